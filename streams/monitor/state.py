"""What is known of one pipeline's recent past: rings of counts, by source and by failure.

Everything here follows from the records of the last `span_ms`, so that reading those again after a restart gives the
same state. Memory is bounded: so many sources, a fixed number of slots each.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from sightline.runtime.settings import MonitorSettings
from streams.monitor.observation import Kind, Observation
from streams.monitor.ring import Ring

# A window's slots: what leaves it leaves in steps of this part.
WINDOW_SLOTS = 12
# Silence is judged by what a source did in this many times the shortest silence, before it fell silent.
STEADY_SPANS = 4
# A source's usual gap can make the silence that counts for it this much longer than the shortest.
LONGEST_SILENCE = 3
_SAMPLES = 3


def span_ms(rules: MonitorSettings) -> int:
    """Return how far back the rules look: as much must be read before anything is judged."""
    longest_s = max(
        rules.window_s,
        rules.acceptance_window_s,
        rules.quality_window_s + rules.quality_baseline_s,
        rules.silent_after_s * (STEADY_SPANS + LONGEST_SILENCE + 1),
    )
    return round(longest_s * 1000)


@dataclass(slots=True)
class Activity:
    """When something last came, and how steadily before that."""

    ring: Ring
    last_ms: int = 0

    def see(self, at_ms: int) -> None:
        """Note that something came."""
        self.ring.add(at_ms)
        self.last_ms = max(self.last_ms, at_ms)

    def usual_gap_ms(self, at_least: int) -> float | None:
        """Return the mean time between two records while it was active; None: too few, or all in one burst."""
        count, spread = self.ring.count(self.last_ms + 1), self.ring.spread(self.last_ms + 1)
        if count < at_least or spread <= WINDOW_SLOTS // STEADY_SPANS:
            return None
        return spread * self.ring.slot_ms / count


@dataclass(slots=True)
class Source:
    """One camera or other device."""

    activity: Activity
    scores: Ring | None = None


@dataclass(slots=True)
class Failures:
    """Dead letters of one source with one code; `samples` are the ids of the last few."""

    ring: Ring
    samples: deque[str] = field(default_factory=lambda: deque(maxlen=_SAMPLES))


@dataclass(frozen=True, slots=True)
class FailureCount:
    """Dead letters of one source with one code within the window."""

    source: str
    code: str
    count: int
    samples: tuple[str, ...]


class State:
    """The recent past of one pipeline. Observations come about in order; `forgotten` counts sources given up."""

    def __init__(self, rules: MonitorSettings) -> None:
        self._rules = rules
        self._span_ms = span_ms(rules)
        self._window_ms = round(rules.window_s * 1000)
        self._silence_ms = round(rules.silent_after_s * 1000)
        self.answers = self._window()
        self.failures = self._window()
        self.decided = Ring(round(rules.acceptance_window_s * 1000), WINDOW_SLOTS)
        self.scores = self._score_ring()
        self.activity = self._activity()
        self.resumed_ms = 0  # when the pipeline last came back from a silence
        self.sources: OrderedDict[str, Source] = OrderedDict()  # the one heard of longest ago comes first
        self.forgotten = 0
        self._failing: OrderedDict[tuple[str, str], Failures] = OrderedDict()

    def apply(self, seen: Observation) -> None:
        """Take in one record."""
        if seen.kind in {Kind.FAILED, Kind.NOT_STORED}:
            self._count_failure(seen)
        if seen.kind is Kind.NOT_STORED:
            return  # the frame itself was answered
        self._mark_alive(seen)
        if seen.kind is Kind.FAILED:
            self.failures.add(seen.at_ms)
        elif seen.kind is Kind.ANSWERED:
            self.answers.add(seen.at_ms)
        if seen.accepted is not None:
            self.decided.add(seen.at_ms, float(seen.accepted))
        if seen.score is not None:
            self._score(seen.source, seen.at_ms, seen.score)

    def prune(self, now_ms: int) -> None:
        """Forget what lies too far back to matter to any rule."""
        while self.sources and next(iter(self.sources.values())).activity.last_ms < now_ms - self._span_ms:
            self.sources.popitem(last=False)
        for key in [key for key, failures in self._failing.items() if not failures.ring.count(now_ms)]:
            del self._failing[key]

    def failing(self, now_ms: int) -> Iterator[FailureCount]:
        """Yield the dead letters within the window, by source and code."""
        for (source, code), failures in self._failing.items():
            count = failures.ring.count(now_ms)
            if count:
                yield FailureCount(source, code, count, tuple(failures.samples))

    def mean_scores(self, scores: Ring | None, now_ms: int) -> tuple[tuple[int, float], tuple[int, float]]:
        """Return count and mean of the quality window, and of the baseline before it."""
        if scores is None:
            return (0, 0.0), (0, 0.0)
        recent = scores.total(now_ms, 0, self._recent_slots())
        earlier = scores.total(now_ms, self._recent_slots())
        return _mean(*recent), _mean(*earlier)

    def _mark_alive(self, seen: Observation) -> None:
        if self.activity.last_ms and seen.at_ms - self.activity.last_ms > self._silence_ms:
            self.resumed_ms = seen.at_ms
        self.activity.see(seen.at_ms)
        source = self.sources.get(seen.source)
        if source is None:
            source = self.sources[seen.source] = Source(self._activity())
            if len(self.sources) > self._rules.max_sources:
                self.sources.popitem(last=False)
                self.forgotten += 1
        self.sources.move_to_end(seen.source)
        source.activity.see(seen.at_ms)

    def _count_failure(self, seen: Observation) -> None:
        key = (seen.source, seen.code or "")
        failures = self._failing.get(key)
        if failures is None:
            failures = self._failing[key] = Failures(self._window())
            if len(self._failing) > self._rules.max_sources:
                self._failing.popitem(last=False)
        self._failing.move_to_end(key)
        failures.ring.add(seen.at_ms)
        failures.samples.append(seen.id)

    def _score(self, name: str, at_ms: int, score: float) -> None:
        self.scores.add(at_ms, score)
        source = self.sources[name]
        if source.scores is None:
            source.scores = self._score_ring()
        source.scores.add(at_ms, score)

    def _window(self) -> Ring:
        return Ring(self._window_ms, WINDOW_SLOTS)

    def _activity(self) -> Activity:
        return Activity(Ring(STEADY_SPANS * max(self._silence_ms, 1000), WINDOW_SLOTS))

    def _score_ring(self) -> Ring:
        slot_s = self._rules.quality_window_s / self._recent_slots()
        slots = self._recent_slots() + round(self._rules.quality_baseline_s / slot_s)
        return Ring(round(slot_s * slots * 1000), slots)

    @staticmethod
    def _recent_slots() -> int:
        return WINDOW_SLOTS // 2


def _mean(count: int, total: float) -> tuple[int, float]:
    return count, total / count if count else 0.0
