import random
import threading
from datetime import UTC, datetime

from prometheus_client import REGISTRY

from schemas.resultcache import CacheKey, Entry
from sightline.runtime.clock import SystemClock
from sightline.runtime.resultcache import MemoryCache
from sightline.runtime.resultcache.memory import OVERHEAD_BYTES


class SetClock(SystemClock):
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds


def _key(name: object) -> CacheKey:
    return CacheKey("memory-test", str(name))


def _count(outcome: str) -> float:
    return REGISTRY.get_sample_value(
        "sightline_result_cache_total", {"pipeline": "memory-test", "outcome": outcome}
    ) or 0.0  # fmt: skip


def _bytes() -> float:
    return REGISTRY.get_sample_value("sightline_result_cache_bytes") or 0.0


def test_what_was_asked_for_longest_ago_goes_first() -> None:
    cache = MemoryCache(3 * (1000 + OVERHEAD_BYTES), SystemClock())
    for name in ("a", "b", "c"):
        cache.put(_key(name), Entry(name, bytes(1000)), 60)
    assert cache.get(_key("a")) is not None
    cache.put(_key("d"), Entry("d", bytes(1000)), 60)
    assert [name for name in "abcd" if cache.get(_key(name)) is not None] == ["a", "c", "d"]


def test_an_entry_larger_than_the_cache_is_dropped_and_counted() -> None:
    cache, dropped = MemoryCache(10_000, SystemClock()), _count("dropped")
    cache.put(_key("a"), Entry("a", b"small"), 60)
    cache.put(_key("b"), Entry("b", bytes(10_001 - OVERHEAD_BYTES)), 60)
    assert cache.get(_key("b")) is None
    assert cache.get(_key("a")) == Entry("a", b"small")
    assert _count("dropped") == dropped + 1


def test_bytes_stay_within_bounds_and_are_shown() -> None:
    capacity, chance = 50_000, random.Random(7)
    cache = MemoryCache(capacity, SystemClock())
    for number in range(500):
        cache.put(_key(number % 60), Entry("x", bytes(chance.randrange(5000))), 60)
        assert 0 < _bytes() <= capacity
    cache.close()
    assert _bytes() == 0


def test_what_has_expired_makes_room_before_what_has_not() -> None:
    clock = SetClock()
    cache = MemoryCache(2 * (1000 + OVERHEAD_BYTES), clock)
    cache.put(_key("stays"), Entry("s", bytes(1000)), 60)
    cache.put(_key("expires"), Entry("e", bytes(1000)), 1)
    clock.seconds += 2
    cache.put(_key("new"), Entry("n", bytes(1000)), 60)
    assert cache.get(_key("stays")) is not None


def test_threads_may_share_it() -> None:
    cache = MemoryCache(20_000, SystemClock())
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for _ in range(2000):
                name = str(chance.randrange(30))
                cache.put(_key(name), Entry(name, bytes(chance.randrange(2000))), 1 + chance.randrange(3))
                found = cache.get(_key(str(chance.randrange(30))))
                assert found is None or len(found.body) < 2000
        except BaseException as error:  # noqa: BLE001 - whatever it was, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


def test_hits_and_misses_are_counted() -> None:
    cache = MemoryCache(10_000, SystemClock())
    hits, misses = _count("hit"), _count("miss")
    cache.get(_key("a"))
    cache.put(_key("a"), Entry("a", b"{}"), 60)
    cache.get(_key("a"))
    assert (_count("hit") - hits, _count("miss") - misses) == (1, 1)
