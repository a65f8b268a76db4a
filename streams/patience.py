"""Waiting out outages: a step is tried until it succeeds, or until its records are no longer ours."""

import threading
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

from schemas.errors import BrokenError, OutageError
from sightline.runtime import metrics
from sightline.runtime.backoff import Backoff
from sightline.runtime.log import get_logger
from streams.tracker import Record, Tracker

_log = get_logger(__name__)
# With the back-off's delays about five minutes.
_TRIES_WHILE_BROKEN: Final = 40
Done = TypeVar("Done")


class GivenBackError(Exception):
    """The records' partitions went to somebody else, or the process is ending: they are nobody's business here."""


class HaltError(OutageError):
    """Work is stopped on purpose: nothing more is taken until a try says that it may go on."""


class Patience:
    """What the work threads of one group wait for. `on_blocked` hears of each when it begins."""

    def __init__(self, group: str, tracker: Tracker, on_blocked: Callable[[OutageError], None]) -> None:
        self._group = group
        self._tracker = tracker
        self._on_blocked = on_blocked
        self._outages: dict[int, OutageError] = {}  # by thread

    def outage(self) -> OutageError | None:
        """Return something that is waited for at present."""
        return next(iter(list(self._outages.values())), None)

    def halted(self) -> bool:
        """Tell whether work is stopped on purpose."""
        return any(isinstance(outage, HaltError) for outage in list(self._outages.values()))

    def insist(self, records: Sequence[Record], act: Callable[[], Done]) -> Done:
        """Call `act` until it raises no OutageError; blocks as long as that takes.

        Raises GivenBackError once none of `records` is held, BrokenError that has lasted for minutes, and whatever
        else `act` raises.
        """
        backoff = Backoff()
        try:
            while any(record.held for record in records):
                try:
                    return act()
                except OutageError as outage:
                    self._begin(outage)
                    if isinstance(outage, BrokenError) and backoff.tries >= _TRIES_WHILE_BROKEN:
                        raise
                    self._tracker.wait_unless_given_back(records, backoff.next_delay_s())
            raise GivenBackError
        finally:
            self._end()

    def _begin(self, outage: OutageError) -> None:
        me = threading.get_ident()
        metrics.OUTAGES.labels(self._group, outage.service).inc()
        before = self._outages.get(me)
        self._outages[me] = outage
        if before is None or (type(before), before.service) != (type(outage), outage.service):
            kind = type(outage).__name__
            _log.warning("waiting", group=self._group, service=outage.service, reason=outage.reason, kind=kind)
            self._on_blocked(outage)
        self._show(outage, before)
        with self._tracker.changed:  # a hand-over that waits for this work need not wait any longer
            self._tracker.changed.notify_all()

    def _end(self) -> None:
        outage = self._outages.pop(threading.get_ident(), None)
        if outage is not None:
            self._show(outage, None)
            _log.info("no longer waiting", group=self._group, service=outage.service)

    def _show(self, *outages: OutageError | None) -> None:
        """Set the gauge of each service named: another thread may wait for the same one."""
        waiting = {outage.service for outage in list(self._outages.values())}
        for outage in outages:
            if outage is not None:
                metrics.WAITING.labels(self._group, outage.service).set(outage.service in waiting)
