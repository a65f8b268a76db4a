"""When a flood of dead letters halts, when it only alerts, and when work goes on."""

import threading
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import OutageError
from streams.flood import Flood, FloodGuard, FloodHaltError, FloodRules, Verdict

COUNT, SOURCES, WINDOW_S = 20, 4, 60.0


class StandingClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.at = 1000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def monotonic(self) -> float:
        return self.at

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.at += timeout_s
        return event.is_set()


class Bench:
    """A guard, and the newest frames of its topic."""

    def __init__(self, *, halt: bool = True) -> None:
        self.clock = StandingClock()
        self.fresh: list[bool] = []
        self.now_there: list[Verdict] | OutageError = []
        self.marks = 0
        rules = FloodRules(halt, COUNT, SOURCES, WINDOW_S)
        self.guard = FloodGuard("unit", rules, self.clock, self)

    def mark(self) -> None:
        self.marks += 1

    def since_mark(self) -> list[Verdict]:
        return [Verdict(f"/new/{n}", None if good else "broken") for n, good in enumerate(self.fresh)]

    def latest(self) -> list[Verdict]:
        if isinstance(self.now_there, OutageError):
            raise self.now_there
        return self.now_there

    def poison(self, frames: int, sources: int = 10, code: str = "broken") -> list[Flood]:
        return self.guard.count([Verdict(f"/c/{n % sources}", code) for n in range(frames)])

    def good(self, frames: int) -> list[Flood]:
        return self.guard.count([Verdict(f"/g/{n}", None) for n in range(frames)])

    def halted_by(self, frames: int) -> bool:
        """Fail one frame after the other, and tell whether the last one halts."""
        for number in range(frames):
            try:
                self.guard.count([Verdict(f"/c/{number % 10}", "broken")])
            except FloodHaltError:
                return number == frames - 1
        return False


def test_the_same_code_over_many_sources_halts() -> None:
    bench = Bench()
    bench.poison(COUNT - 1)
    assert not bench.guard.halted
    with pytest.raises(FloodHaltError) as raised:
        bench.poison(1)
    assert bench.guard.halted
    assert bench.marks == 1
    flood = raised.value.flood
    assert (flood.code, flood.frames, flood.sources) == ("broken", COUNT, 10)


@pytest.mark.parametrize("sources", [1, 2, SOURCES - 1])
def test_few_sources_alert_and_go_on(sources: int) -> None:
    bench = Bench()
    assert bench.poison(COUNT - 1, sources) == []
    [flood] = bench.poison(1, sources)
    assert (flood.frames, flood.worst) == (COUNT, "/c/0")
    # Not again within the window.
    assert bench.poison(COUNT * 20, sources) == []
    assert not bench.guard.halted


@pytest.mark.parametrize(
    ("failing", "other", "good", "halts"),
    [(4, 0, 0, True), (4, 0, 3, True), (4, 0, 4, False), (3, 0, 0, False), (4, 4, 0, False), (0, 0, 9, False)],
)
def test_a_backlog_of_one_source_halts_when_the_newest_frames_of_others_fail_too(
    failing: int, other: int, good: int, *, halts: bool
) -> None:
    """Partitions are read one after the other, and one may hold few sources."""
    bench = Bench()
    bench.now_there = [
        *(Verdict(f"/f/{n}", "broken") for n in range(failing)),
        *(Verdict(f"/o/{n}", "otherwise") for n in range(other)),
        *(Verdict(f"/g/{n}", None) for n in range(good)),
    ]
    bench.poison(COUNT - 1, sources=1)
    if halts:
        with pytest.raises(FloodHaltError):
            bench.poison(1, sources=1)
    else:
        assert len(bench.poison(1, sources=1)) == 1
    assert bench.guard.halted is halts


def test_when_the_newest_frames_cannot_be_had_work_goes_on() -> None:
    bench = Bench()
    bench.now_there = OutageError("kafka", "away")
    assert len(bench.poison(COUNT, sources=1)) == 1


def test_loud_sources_among_many_do_not_halt_the_rest() -> None:
    bench = Bench()
    for _ in range(50):
        bench.guard.count([Verdict(f"/loud/{n % 2}", "broken") for n in range(6)] + [Verdict("/quiet", None)])
    bench.poison(8, sources=8)
    assert not bench.guard.halted


def test_different_codes_are_different_causes() -> None:
    bench = Bench()
    for code in ("a", "b", "c"):
        bench.poison(COUNT - 1, code=code)
    assert not bench.guard.halted


def test_a_code_that_is_not_half_of_what_is_judged_only_alerts() -> None:
    bench = Bench()
    floods: list[Flood] = []
    for _ in range(COUNT):
        bench.good(2)
        floods += bench.poison(1)
        floods += bench.guard.count([Verdict(f"/c/{len(floods)}", "broken")]) if floods else []
    assert not bench.guard.halted
    assert [flood.code for flood in floods] == ["broken"] or floods == []


def test_what_is_older_than_the_window_counts_no_more() -> None:
    bench = Bench()
    bench.poison(COUNT - 1)
    bench.clock.at += WINDOW_S + 1
    bench.poison(COUNT - 1)
    assert not bench.guard.halted


def test_frames_that_were_good_long_ago_excuse_nothing() -> None:
    bench = Bench()
    bench.good(10_000)
    with pytest.raises(FloodHaltError):
        bench.poison(2 * COUNT)


def test_switched_off_the_same_flood_only_alerts() -> None:
    bench = Bench(halt=False)
    [flood] = bench.poison(COUNT)
    assert flood.sources == 10
    assert not bench.guard.halted


def _halted() -> Bench:
    bench = Bench()
    with pytest.raises(FloodHaltError):
        bench.poison(COUNT)
    return bench


def _probe(bench: Bench, held: Sequence[bool]) -> bool:
    try:
        bench.guard.probe(lambda: held)
    except FloodHaltError:
        return False
    return True


@pytest.mark.parametrize(
    ("held", "fresh", "goes_on"),
    [
        ([False] * 4, [], False),
        ([False] * 4, [False, True], False),
        ([True, True, False, False], [], False),
        ([True, True, True, False, False], [], True),
        ([False] * 4, [True], True),
        ([False] * 4, [True, True, False], True),
        ([], [], True),
    ],
)
def test_work_goes_on_when_more_than_half_succeeds(held: list[bool], fresh: list[bool], *, goes_on: bool) -> None:
    bench = _halted()
    bench.fresh = fresh
    assert _probe(bench, held) is goes_on
    assert bench.guard.halted is not goes_on
    assert bench.guard.stage == (1 if goes_on else 0)


def test_twice_as_many_may_fail_after_newer_frames_succeeded() -> None:
    """A long stretch of poison passes in few steps."""
    bench = _halted()
    bench.fresh = [True]
    for doubled in (2, 4, 8):
        assert _probe(bench, [False])
        bench.clock.at += WINDOW_S / 2  # however long that takes
        assert bench.halted_by(COUNT * doubled)
    assert bench.marks == 1
    assert _probe(bench, [True])
    assert bench.halted_by(COUNT)


def test_after_a_quiet_window_the_bound_is_the_first_again() -> None:
    bench = _halted()
    bench.fresh = [True]
    assert _probe(bench, [False])
    bench.poison(5)
    bench.clock.at += WINDOW_S + 1
    bench.good(6)
    assert bench.halted_by(COUNT)
    assert bench.marks == 2


def test_a_probe_without_a_halt_asks_nobody() -> None:
    Bench().guard.probe(lambda: pytest.fail("nobody is halted"))


@given(st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=300))
def test_no_flood_halts_below_its_count_and_sources(frames: list[tuple[int, bool]]) -> None:
    bench = Bench()
    seen: list[tuple[int, bool]] = []
    for source, failed in frames:
        seen.append((source, failed))
        try:
            bench.guard.count([Verdict(f"/c/{source}", "broken" if failed else None)])
        except FloodHaltError:
            failing = [source for source, failed in seen if failed]
            assert len(failing) >= COUNT
            assert len(set(failing)) >= SOURCES
            return
