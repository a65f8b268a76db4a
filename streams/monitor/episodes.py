"""Alerts that are on: each begins once and is resolved once, also when the monitor is killed in between.

The topic `alerts` is the memory. When a stretch of time is judged again after a restart, what was said then is played
back at its moments, and nothing new is said about a rule and subject before the last moment that something was said.
"""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas.alert import Alert, make_alert
from schemas.encoding import format_time
from schemas.identity import alert_id
from sightline.runtime.settings import MonitorSettings
from streams.monitor.findings import WHOLE, Finding, Verdict
from streams.monitor.moments import milliseconds, moment

STATE_FIRING = "firing"
STATE_RESOLVED = "resolved"
_MS_PER_HOUR = 3_600_000


@dataclass(slots=True)
class Episode:
    """One alert that is on. `good_since_ms` is None while its subject is not well."""

    since_ms: int
    severity: str
    facts: Mapping[str, Any]
    good_since_ms: int | None = None


class Episodes:
    """The alerts of one pipeline, by rule and subject."""

    def __init__(self, pipeline: str, settings: MonitorSettings) -> None:
        self._pipeline = pipeline
        self._clear_after_ms = round(settings.clear_after_s * 1000)
        self._give_up_ms = round(settings.give_up_hours * _MS_PER_HOUR)
        self._on: dict[tuple[str, str], Episode] = {}
        self._said: dict[tuple[str, str], int] = {}
        self._script: list[tuple[int, int, tuple[str, str], Alert]] = []

    def restore(self, alert: Alert, appended_ms: int) -> None:
        """Take in an alert that is on the topic already. Those of others, or of another form, are left alone.

        It was said when the topic took it at the latest: a clock that was ahead must not silence its subject.
        """
        if alert.pipeline != self._pipeline or _state(alert) not in {STATE_FIRING, STATE_RESOLVED}:
            return
        key = (alert.rule, alert.source.removeprefix(self._pipeline).removeprefix("|"))
        at_ms = min(milliseconds(alert.raised_at), appended_ms)
        self._said[key] = max(at_ms, self._said.get(key, 0))
        heapq.heappush(self._script, (at_ms, len(self._script), key, alert))

    def play_back(self, before_ms: int) -> None:
        """Let what was said before a moment be so again; a repeat changes nothing."""
        while self._script and self._script[0][0] < before_ms:
            _, _, key, alert = heapq.heappop(self._script)
            if _state(alert) == STATE_FIRING:
                self._on[key] = Episode(milliseconds(alert.raised_at), alert.severity, alert.facts or {})
            else:
                self._on.pop(key, None)

    def firing(self, rule: str) -> dict[str, Mapping[str, Any]]:
        """Return the facts of each alert of a rule that is on, by subject."""
        return {subject: episode.facts for (name, subject), episode in self._on.items() if name == rule}

    def count(self, rule: str) -> int:
        """Return how many alerts of a rule are on."""
        return sum(name == rule for name, _ in self._on)

    def settle(self, rule: str, finding: Finding, now_ms: int) -> Alert | None:
        """Return the alert that a finding gives rise to, if any: that something began, or that it is over."""
        key = (rule, finding.subject)
        episode = self._on.get(key)
        if now_ms <= self._said.get(key, 0):
            return None
        if episode is None:
            return self._begin(key, finding, now_ms) if finding.verdict is Verdict.BAD else None
        if finding.verdict is not Verdict.GOOD:
            episode.good_since_ms = None
            return None
        if episode.good_since_ms is None:
            episode.good_since_ms = now_ms
        if now_ms - episode.good_since_ms < self._clear_after_ms:
            return None
        return self._end(key, episode, now_ms, finding.summary, finding.facts)

    def give_up(self, now_ms: int) -> list[Alert]:
        """Resolve what has been on for so long that nobody waits for its end; it may begin anew at once."""
        old = [
            (key, episode)
            for key, episode in self._on.items()
            if now_ms - episode.since_ms >= self._give_up_ms and now_ms > self._said[key]
        ]
        return [self._end(key, episode, now_ms, "given up", {"given_up": True}) for key, episode in old]

    def forget(self, before_ms: int) -> None:
        """Drop what was said about times that are never judged again."""
        stale = [key for key, at_ms in self._said.items() if at_ms < before_ms and key not in self._on]
        for key in stale:
            del self._said[key]

    def _begin(self, key: tuple[str, str], finding: Finding, now_ms: int) -> Alert:
        facts = {"state": STATE_FIRING, **finding.facts}
        self._on[key] = Episode(now_ms, finding.severity, facts)
        self._said[key] = now_ms
        return self._alert(key, _window(now_ms), now_ms, finding.summary, finding.severity, facts)

    def _end(
        self, key: tuple[str, str], episode: Episode, now_ms: int, summary: str, evidence: Mapping[str, Any]
    ) -> Alert:
        del self._on[key]
        self._said[key] = now_ms
        window = _window(episode.since_ms)
        facts = {
            "state": STATE_RESOLVED,
            "resolves": alert_id(key[0], self._source(key[1]), window),
            "since": format_time(moment(episode.since_ms)),
            "lasted_s": round((now_ms - episode.since_ms) / 1000),
            **evidence,
        }
        return self._alert(key, f"{window} {STATE_RESOLVED}", now_ms, f"Resolved: {summary}", "info", facts)

    def _alert(
        self, key: tuple[str, str], window: str, now_ms: int, summary: str, severity: str, facts: dict[str, Any]
    ) -> Alert:
        return make_alert(
            rule=key[0],
            source=self._source(key[1]),
            window=window,
            raised_at=moment(now_ms),
            summary=summary,
            severity=severity,
            pipeline=self._pipeline,
            facts=facts,
        )

    def _source(self, subject: str) -> str:
        return self._pipeline if subject == WHOLE else f"{self._pipeline}|{subject}"


def _state(alert: Alert) -> str | None:
    state = (alert.facts or {}).get("state")
    return state if isinstance(state, str) else None


def _window(now_ms: int) -> str:
    return format_time(moment(now_ms))
