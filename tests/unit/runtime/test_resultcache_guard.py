import random
import threading
from collections.abc import Callable, Iterator
from typing import Final

import pytest
from prometheus_client import REGISTRY

from schemas.errors import OutageError
from schemas.resultcache import CacheKey, Entry
from sightline.runtime.backoff import Backoff
from sightline.runtime.clock import SystemClock
from sightline.runtime.resultcache import GuardedCache, guard
from sightline.runtime.resultcache.circuit import FAILURES, Circuit
from sightline.runtime.resultcache.guard import BACKLOG_BYTES, DEADLINE_S

KEY = CacheKey("guard-test", "k")
ENTRY = Entry("r1", b'{"score": 1}')
AWAY: Final = OutageError("postgres", "is away")


class HandClock(SystemClock):
    """Moves when it is told to; its waits end at once where `hurried`, else when the event comes."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.hurried = False
        self.waits: list[float] = []

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.waits.append(timeout_s)
        return event.is_set() if self.hurried else event.wait(30)


class Store:
    """Keeps entries; fails or hangs when it is told to."""

    def __init__(self) -> None:
        self.kept: dict[CacheKey, Entry] = {}
        self.error: Exception | None = None
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.gets: list[CacheKey] = []
        self.writing = threading.Event()
        self.closed = False

    def get(self, key: CacheKey) -> Entry | None:
        self.gets.append(key)
        self._hang_or_fail()
        return self.kept.get(key)

    def put(self, key: CacheKey, entry: Entry, ttl_s: int) -> None:
        assert ttl_s > 0
        self.writing.set()
        self._hang_or_fail()
        self.kept[key] = entry

    def close(self) -> None:
        self.closed = True

    def _hang_or_fail(self) -> None:
        assert self.may_go_on.wait(30)
        if self.error is not None:
            raise self.error


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def cache(store: Store, clock: HandClock) -> Iterator[GuardedCache]:
    made = GuardedCache(store, clock)
    yield made
    store.may_go_on.set()
    made.close()


@pytest.fixture
def counted() -> Callable[[], dict[str, float]]:
    """Counts since the test began, by outcome."""
    outcomes = ("hit", "miss", "slow", "failed", "dropped")
    before = {outcome: _count(outcome) for outcome in outcomes}
    return lambda: {name: _count(name) - before[name] for name in outcomes if _count(name) != before[name]}


def _count(outcome: str) -> float:
    labels = {"pipeline": KEY.pipeline, "outcome": outcome}
    return REGISTRY.get_sample_value("sightline_result_cache_total", labels) or 0.0


# The circuit


def test_a_circuit_opens_after_failures_in_a_row(clock: HandClock) -> None:
    circuit = Circuit(clock, limit=3)
    assert [circuit.failed(), circuit.failed()] == [False, False]
    assert circuit.admits()
    circuit.succeeded()
    assert [circuit.failed(), circuit.failed(), circuit.failed()] == [False, False, True]
    assert circuit.is_open
    assert not circuit.admits()


def test_an_open_circuit_lets_one_try_through_after_each_pause(clock: HandClock) -> None:
    circuit = Circuit(clock, limit=1, pauses=Backoff(first_s=2, longest_s=4, chance=random.Random(1)))
    circuit.failed()
    for bound in (2, 4, 4):
        clock.seconds += bound / 2 - 0.01
        assert not circuit.admits()
        clock.seconds += bound / 2 + 0.01
        assert [circuit.admits(), circuit.admits()] == [True, False]
        assert not circuit.failed(), "it was open before"
    clock.seconds += 4
    assert circuit.admits()
    assert circuit.succeeded()
    assert [circuit.admits(), circuit.admits()] == [True, True]


def test_failures_that_were_under_way_make_no_pause_longer(clock: HandClock) -> None:
    circuit = Circuit(clock, limit=1, pauses=Backoff(first_s=2, longest_s=64))
    circuit.failed()
    for _ in range(10):
        circuit.failed()
    clock.seconds += 2
    assert circuit.admits()


# The guard


def test_a_hit_and_a_miss(cache: GuardedCache, store: Store, counted: Callable[[], dict[str, float]]) -> None:
    assert cache.get(KEY) is None
    store.kept[KEY] = ENTRY
    assert cache.get(KEY) == ENTRY
    assert counted() == {"hit": 1, "miss": 1}


def test_a_store_that_is_away_is_a_miss_and_soon_left_alone(
    cache: GuardedCache, store: Store, clock: HandClock, counted: Callable[[], dict[str, float]]
) -> None:
    store.error = AWAY
    assert [cache.get(KEY) for _ in range(50)] == [None] * 50
    assert len(store.gets) == FAILURES
    assert counted() == {"failed": 50}
    store.error, store.kept[KEY] = None, ENTRY
    clock.seconds += 2
    assert [cache.get(KEY), cache.get(KEY)] == [ENTRY, ENTRY]


def test_a_slow_store_is_a_miss_and_soon_left_alone(
    cache: GuardedCache, store: Store, clock: HandClock, counted: Callable[[], dict[str, float]]
) -> None:
    store.may_go_on.clear()
    clock.hurried, store.kept[KEY] = True, ENTRY
    assert [cache.get(KEY) for _ in range(50)] == [None] * 50
    assert clock.waits == [DEADLINE_S] * FAILURES
    assert counted() == {"slow": FAILURES, "failed": 50 - FAILURES}


def test_a_question_that_nobody_waits_for_is_not_asked(cache: GuardedCache, store: Store, clock: HandClock) -> None:
    store.may_go_on.clear()
    clock.hurried = True
    for number in range(3):
        cache.get(CacheKey("guard-test", f"given up {number}"))
    store.may_go_on.set()
    clock.hurried = False
    clock.seconds += 2
    cache.get(KEY)
    assert store.gets[-1] == KEY
    assert CacheKey("guard-test", "given up 2") not in store.gets


def test_a_bug_in_the_store_is_a_miss_and_logged(
    cache: GuardedCache, store: Store, counted: Callable[[], dict[str, float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    logged: list[object] = []
    monkeypatch.setattr(guard._log, "error", lambda _, exc_info: logged.append(exc_info), raising=False)
    store.error = bug = ZeroDivisionError()
    assert cache.get(KEY) is None
    store.error, store.kept[KEY] = None, ENTRY
    assert cache.get(KEY) == ENTRY
    assert counted() == {"failed": 1, "hit": 1}
    assert logged == [bug]


def test_putting_waits_for_nothing_and_drops_what_is_too_much(
    cache: GuardedCache, store: Store, counted: Callable[[], dict[str, float]]
) -> None:
    store.may_go_on.clear()
    large = Entry("r", bytes(BACKLOG_BYTES // 4))
    for number in range(10):
        cache.put(CacheKey("guard-test", str(number)), large, 60)
    assert counted() == {"dropped": 7}
    assert store.writing.wait(30)
    store.may_go_on.set()
    cache.close()
    assert [key.digest for key in store.kept] == ["0", "1", "2"]


def test_small_entries_are_bounded_in_number(
    cache: GuardedCache, store: Store, counted: Callable[[], dict[str, float]]
) -> None:
    store.may_go_on.clear()
    for number in range(6000):
        cache.put(CacheKey("guard-test", str(number)), Entry("r", b""), 60)
    assert counted()["dropped"] == 6000 - BACKLOG_BYTES // 1024


def test_a_put_that_fails_is_counted_and_the_next_one_is_tried(
    cache: GuardedCache, store: Store, counted: Callable[[], dict[str, float]]
) -> None:
    store.error = AWAY
    for _ in range(5):
        cache.put(KEY, ENTRY, 60)
    cache.close()
    assert counted() == {"failed": 5}


def test_nothing_is_put_into_a_store_that_is_left_alone(
    cache: GuardedCache, store: Store, counted: Callable[[], dict[str, float]]
) -> None:
    store.error = AWAY
    for _ in range(FAILURES):
        cache.get(KEY)
    cache.put(KEY, ENTRY, 60)
    assert counted() == {"failed": FAILURES, "dropped": 1}
    assert not store.writing.is_set()


def test_closing_writes_what_waits_and_closes_the_store(cache: GuardedCache, store: Store) -> None:
    for number in range(100):
        cache.put(CacheKey("guard-test", str(number)), ENTRY, 60)
    cache.close()
    assert len(store.kept) == 100
    assert store.closed


def test_a_store_that_hangs_does_not_hold_up_closing(store: Store) -> None:
    store.may_go_on.clear()
    cache = GuardedCache(store, SystemClock())
    assert cache.get(KEY) is None
    cache.put(KEY, ENTRY, 60)
    cache.close()
    assert store.closed
    store.may_go_on.set()
