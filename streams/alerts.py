"""Alerts that the loop's own processes raise: lost offsets, services set up wrongly, unknown versions."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from schemas.alert import (
    RULE_FLOOD,
    RULE_FLOOD_HALT,
    RULE_MODEL_REFUSED,
    RULE_OFFSETS_LOST,
    RULE_SETUP_WRONG,
    RULE_VERSION_UNKNOWN,
    Alert,
    make_alert,
)
from schemas.errors import OutageError, SetupError
from schemas.message import alert_message
from sightline.models.manager import Refusal
from sightline.runtime import metrics
from sightline.runtime.clock import Clock
from sinks.protocol import VersionUnknownError
from streams.flood import Flood, FloodHaltError
from streams.offsets import LostRange
from streams.publisher import Outgoing, Publishes


class Alarm:
    """Publishes the alerts of one consumer group."""

    def __init__(self, publisher: Publishes, clock: Clock, group: str, pipeline: str | None) -> None:
        self._publisher = publisher
        self._clock = clock
        self._group = group
        self._pipeline = pipeline

    def raise_alerts(
        self,
        alerts: Sequence[Alert],
        on_done: Callable[[], None] = lambda: None,
        publisher: Publishes | None = None,
    ) -> None:
        """Publish alerts, here or by another way; `on_done` is called when the broker has them or there are none."""
        for alert in alerts:
            metrics.ALERTS.labels(alert.rule).inc()
        (publisher or self._publisher).publish([Outgoing(alert_message(alert)) for alert in alerts], on_done)

    def lost(self, lost: LostRange, on_reported: Callable[[], None], publisher: Publishes | None = None) -> None:
        """Alert that retention took offsets before they were read; the window is the range, so once each."""
        count = lost.to_offset - lost.from_offset
        alert = make_alert(
            rule=RULE_OFFSETS_LOST,
            source=f"{lost.group}|{lost.topic}|{lost.partition}",
            window=f"{lost.from_offset}-{lost.to_offset}",
            raised_at=self._clock.now(),
            severity="critical",
            summary=f"{count} offsets of {lost.topic}/{lost.partition} were gone before {lost.group} read them",
            pipeline=self._pipeline,
            facts=asdict(lost),
        )
        self.raise_alerts([alert], on_reported, publisher)

    def blocked(self, outage: OutageError) -> None:
        """Alert that we wait for something that will not mend itself; an ordinary outage is a metric only."""
        if isinstance(outage, FloodHaltError):
            if not outage.again:
                self._halted(outage.flood)
            return
        if isinstance(outage, VersionUnknownError):
            rule = RULE_VERSION_UNKNOWN
        elif isinstance(outage, SetupError):
            rule = RULE_SETUP_WRONG
        else:
            return
        now = self._clock.now()
        alert = make_alert(
            rule=rule,
            source=f"{self._group}|{outage.service}",
            window=now.date().isoformat(),
            raised_at=now,
            severity="critical",
            summary=f"{self._group} waits: {outage}",
            pipeline=self._pipeline,
            facts={"group": self._group, "service": outage.service, "reason": outage.reason},
        )
        self.raise_alerts([alert])

    def refused(self, refusal: Refusal) -> None:
        """Alert that an activated model cannot be used: what was in force before stays."""
        now = self._clock.now()
        alert = make_alert(
            rule=RULE_MODEL_REFUSED,
            source=f"{refusal.pipeline}|{refusal.role}",
            window=f"{refusal.model.digest[:12]} {now.date().isoformat()}",
            raised_at=now,
            severity="critical",
            summary=f"{refusal.model} is refused for role {refusal.role} of {refusal.pipeline}: {refusal.error}",
            pipeline=self._pipeline,
            facts={"role": refusal.role, "digest": refusal.model.digest, "code": refusal.error.code.value},
        )
        self.raise_alerts([alert])

    def flooded(self, flood: Flood) -> None:
        """Alert that many frames fail alike, while work goes on; once an hour for each code and worst source."""
        alert = make_alert(
            rule=RULE_FLOOD,
            source=f"{flood.pipeline}|{flood.code}|{flood.worst}",
            window=f"{flood.noticed_at:%Y-%m-%dT%H}",
            raised_at=flood.noticed_at,
            summary=f"{flood.frames} frames of {flood.sources} sources failed with {flood.code}",
            pipeline=self._pipeline,
            facts=_evidence(flood),
        )
        self.raise_alerts([alert])

    def _halted(self, flood: Flood) -> None:
        alert = make_alert(
            rule=RULE_FLOOD_HALT,
            source=f"{self._group}|{flood.code}",
            window=flood.noticed_at.isoformat(),
            raised_at=flood.noticed_at,
            severity="critical",
            summary=f"{self._group} halts: {flood.frames} frames of {flood.sources} sources failed with {flood.code}",
            pipeline=self._pipeline,
            facts=_evidence(flood),
        )
        self.raise_alerts([alert])


def _evidence(flood: Flood) -> dict[str, Any]:
    return {
        "code": flood.code,
        "frames": flood.frames,
        "sources": flood.sources,
        "worst": flood.worst,
        "worst_frames": flood.worst_frames,
    }
