"""Floods of dead letters: what comes from few sources alerts and goes on, what has a common cause halts.

One code over many sources says that the cause is ours: a broken release, a wrong setting, a decoder that is gone.
Draining the topic into dead letters would help nobody, so work halts. A backlog comes partition by partition, and may
look as if few sources were at fault; then the newest frames of all partitions tell.

Small tries say when work may go on: frames that failed succeed now, or frames that came since do, and then the old
ones were at fault themselves. In that second case twice as many may fail before the next halt: a long stretch of poison
passes in a few steps, and blocks nobody behind it for ever. Once it has passed, all is as before.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from schemas.errors import OutageError
from sightline.runtime import metrics
from sightline.runtime.clock import Clock
from sightline.runtime.log import get_logger
from streams.patience import HaltError

_log = get_logger(__name__)
_MOST_DOUBLINGS: Final = 10
# Failures of this many floods are remembered, whatever the traffic.
_REMEMBERED_FLOODS: Final = 10


@dataclass(frozen=True, slots=True)
class FloodRules:
    """What counts as a flood. `halt` false: it only alerts, whatever its cause."""

    halt: bool
    count: int
    sources: int
    window_s: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one frame. `code` is None where it succeeded."""

    source: str
    code: str | None


@dataclass(frozen=True, slots=True)
class Flood:
    """Frames that failed with one code. `worst` is the source that most of them came from."""

    pipeline: str
    code: str
    frames: int
    sources: int
    worst: str
    worst_frames: int
    noticed_at: datetime


class FloodHaltError(HaltError):
    """The pipeline is halted: too many frames of too many sources fail alike. `again`: as part of the same stretch."""

    def __init__(self, flood: Flood, *, again: bool) -> None:
        reason = f"halted: {flood.frames} frames of {flood.sources} sources failed with {flood.code}"
        super().__init__("flood", reason)
        self.flood = flood
        self.again = again


class Newest(Protocol):
    """Tries the newest frames of the topic, of all partitions; `FreshFrames` does. Blocks for seconds at most."""

    def mark(self) -> None:
        """Remember where the log ends."""
        ...

    def since_mark(self) -> Sequence[Verdict]:
        """Try those that came since `mark`. Raises OutageError of what judging them needs."""
        ...

    def latest(self) -> Sequence[Verdict]:
        """Try those that are there. Raises OutageError of what judging them needs."""
        ...


class FloodGuard:
    """Counts the verdicts of one pipeline, batch by batch, in the order in which they are to be published.

    While a stretch is let pass, its first mark stands: what came after that is newer than all of it.
    Used from one thread at a time; `halted` and `stage` may be read from any.
    """

    def __init__(self, pipeline: str, rules: FloodRules, clock: Clock, newest: Newest) -> None:
        self._pipeline = pipeline
        self._rules = rules
        self._clock = clock
        self._newest = newest
        self._doublings = 0
        self._recent: deque[tuple[float, Verdict]] = deque()
        self._failures: deque[tuple[float, Verdict]] = deque(maxlen=rules.count * _REMEMBERED_FLOODS)
        self._alerted: dict[str, float] = {}  # when, by code
        self._halt: FloodHaltError | None = None
        self._passing: str | None = None  # the code of a stretch that is let pass
        self._passing_at = 0.0  # when it was last seen to go on
        self.stage = 0  # grows when a halt ends: what was judged before that is judged again

    @property
    def halted(self) -> bool:
        """Whether work is halted."""
        return self._halt is not None

    def count(self, verdicts: Sequence[Verdict]) -> list[Flood]:
        """Take in what is about to be published; return floods to alert about. Raises FloodHaltError."""
        now = self._clock.monotonic()
        self._recent.extend((now, verdict) for verdict in verdicts)
        self._failures.extend((now, verdict) for verdict in verdicts if verdict.code is not None)
        self._forget(now)
        self._watch_what_passes(now)
        codes = sorted({verdict.code for verdict in verdicts if verdict.code is not None})
        for code in codes:
            if self._rules.halt and self._has_common_cause(code):
                self._begin(self._flood(code, self._recent))
        floods = [flood for code in codes if (flood := self._worth_an_alert(code, now)) is not None]
        for flood in floods:
            if self._rules.halt and self._shows_everywhere(flood.code):
                self._begin(flood)
            metrics.FLOODS.labels(self._pipeline, "few_sources").inc()
        return floods

    def probe(self, held: Callable[[], Sequence[bool]]) -> None:
        """Go on if it may be; blocks for one small batch or two. Raises FloodHaltError, or OutageError.

        `held` judges frames anew that failed, and says which of them succeed.
        """
        if self._halt is None:
            return
        outcomes = held()
        if outcomes and _mostly(outcomes):
            self._end("what failed succeeds now", doublings=0)
        elif not outcomes or _mostly([verdict.code is None for verdict in self._newest.since_mark()]):
            self._end("newer frames succeed", doublings=min(self._doublings + 1, _MOST_DOUBLINGS))
        else:
            raise self._halt

    def _watch_what_passes(self, now: float) -> None:
        """Be as strict as at first once a stretch of poison has been over for as long as a flood may take."""
        if self._passing is None:
            return
        if 2 * _sources(self._recent, self._passing).total() > len(self._recent):
            self._passing_at = now
        elif now - self._passing_at > self._rules.window_s:
            self._doublings, self._passing = 0, None

    def _needed(self) -> int:
        return self._rules.count << self._doublings

    def _forget(self, now: float) -> None:
        oldest = now - self._rules.window_s
        for entries in (self._recent, self._failures):
            while entries and entries[0][0] < oldest:
                entries.popleft()
        while len(self._recent) > 2 * self._needed():
            self._recent.popleft()

    def _has_common_cause(self, code: str) -> bool:
        """Ask for half of what was judged last, and let no source count for more than its share of that.

        So three broken cameras among a hundred good ones never halt the rest, however fast they send.
        """
        of_source = _sources(self._recent, code)
        share = -(-self._needed() // self._rules.sources)
        return sum(min(frames, share) for frames in of_source.values()) >= self._needed()

    def _shows_everywhere(self, code: str) -> bool:
        """Look at the newest frames of all partitions; when they cannot be had, nothing is known of them."""
        try:
            newest = self._newest.latest()
        except OutageError:
            return False
        failing = [verdict.source for verdict in newest if verdict.code == code]
        return 2 * len(failing) > len(newest) and len(set(failing)) >= self._rules.sources

    def _worth_an_alert(self, code: str, now: float) -> Flood | None:
        """Report a flood that goes on, once a window for each code."""
        flood = self._flood(code, self._failures)
        told_at = self._alerted.get(code)
        if flood.frames < self._rules.count or (told_at is not None and now - told_at < self._rules.window_s):
            return None
        self._alerted[code] = now
        return flood

    def _flood(self, code: str, entries: Iterable[tuple[float, Verdict]]) -> Flood:
        of_source = _sources(entries, code)
        [(worst, worst_frames)] = of_source.most_common(1)
        return Flood(
            self._pipeline, code, of_source.total(), len(of_source), worst, worst_frames, self._clock.now()
        )  # fmt: skip

    def _begin(self, flood: Flood) -> None:
        again = self._passing == flood.code
        if not again:
            self._newest.mark()
        self._halt = FloodHaltError(flood, again=again)
        metrics.FLOODS.labels(self._pipeline, "common_cause").inc()
        metrics.HALTED.labels(self._pipeline).set(1)
        _log.error(
            "halted by a flood",
            pipeline=self._pipeline,
            code=flood.code,
            frames=flood.frames,
            sources=flood.sources,
        )
        raise self._halt

    def _end(self, why: str, *, doublings: int) -> None:
        _log.info("no longer halted", pipeline=self._pipeline, why=why)
        metrics.HALTED.labels(self._pipeline).set(0)
        self._passing = self._halt.flood.code if doublings and self._halt is not None else None
        self._passing_at = self._clock.monotonic()
        self._halt, self._doublings = None, doublings
        self._recent.clear()
        self._failures.clear()
        self.stage += 1


def _sources(entries: Iterable[tuple[float, Verdict]], code: str) -> Counter[str]:
    return Counter(verdict.source for _, verdict in entries if verdict.code == code)


def _mostly(outcomes: Sequence[bool]) -> bool:
    return 2 * sum(outcomes) > len(outcomes)
