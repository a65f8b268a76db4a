"""One suite against every result cache: in memory, and in PostgreSQL."""

import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator

import pytest

from schemas.resultcache import CacheKey, Entry, ResultCache, cache_key
from sightline.runtime.clock import SystemClock
from sightline.runtime.resultcache import GuardedCache, MemoryCache
from sinks.postgres.resultcache import PostgresCacheStore
from tests.contract.conftest import execute

KEY = cache_key("ab" * 32, "polyp", {"detector": "d1"}, "s1")


class Case(ABC):
    """A cache, and the time that its entries live by."""

    cache: ResultCache

    @abstractmethod
    def let_pass(self, seconds: float) -> None: ...

    def put(self, key: CacheKey, entry: Entry, ttl_s: int = 60) -> None:
        self.cache.put(key, entry, ttl_s)
        self.settle()

    @abstractmethod
    def settle(self) -> None:
        """Wait until what was put is there."""


class MovedClock(SystemClock):
    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead_s


class PatientClock(SystemClock):
    """The deadline is tested elsewhere: here, a busy machine must not turn hits into misses."""

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        del timeout_s
        return event.wait(30)


class InMemory(Case):
    def __init__(self) -> None:
        self._clock = MovedClock()
        self.cache = MemoryCache(64 * 1024 * 1024, self._clock)

    def let_pass(self, seconds: float) -> None:
        self._clock.ahead_s += seconds

    def settle(self) -> None:
        """A put is done when it returns."""


class WatchedStore(PostgresCacheStore):
    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.written = threading.Semaphore(0)

    def put(self, key: CacheKey, entry: Entry, ttl_s: int) -> None:
        try:
            super().put(key, entry, ttl_s)
        finally:
            self.written.release()


class InPostgres(Case):
    def __init__(self, url: str) -> None:
        self._url = url
        self._store = WatchedStore(url)
        self.cache = GuardedCache(self._store, PatientClock())

    def settle(self) -> None:
        assert self._store.written.acquire(timeout=30)

    def let_pass(self, seconds: float) -> None:
        execute(self._url, f"UPDATE result_cache SET expires_at = expires_at - interval '{seconds} s'")


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.services)])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    made = InMemory() if request.param == "memory" else InPostgres(request.getfixturevalue("database_url"))
    yield made
    made.cache.close()


@pytest.mark.parametrize("body", [b"", b"{}", b'{"name":"h\xc3\xb6fe"}', bytes(range(256)), os.urandom(1024 * 1024)])
def test_what_was_put_is_got(case: Case, body: bytes) -> None:
    case.put(KEY, Entry("r1", body))
    assert case.cache.get(KEY) == Entry("r1", body)


def test_what_was_never_put_is_a_miss(case: Case) -> None:
    case.put(KEY, Entry("r1", b"{}"))
    assert case.cache.get(cache_key("ab" * 32, "polyp", {"detector": "d2"}, "s1")) is None


def test_an_entry_lives_as_long_as_was_said(case: Case) -> None:
    other = cache_key("cd" * 32, "polyp", {}, "s1")
    case.put(KEY, Entry("r1", b"1"), ttl_s=100)
    case.put(other, Entry("r2", b"2"), ttl_s=1000)
    case.let_pass(60)
    assert case.cache.get(KEY) == Entry("r1", b"1")
    case.let_pass(60)
    assert case.cache.get(KEY) is None
    assert case.cache.get(other) == Entry("r2", b"2")


def test_putting_again_replaces_and_lives_anew(case: Case) -> None:
    case.put(KEY, Entry("r1", b"one"), ttl_s=100)
    case.let_pass(60)
    case.put(KEY, Entry("r2", b"two"), ttl_s=100)
    case.let_pass(60)
    assert case.cache.get(KEY) == Entry("r2", b"two")


def test_what_has_expired_may_be_put_again(case: Case) -> None:
    case.put(KEY, Entry("r1", b"one"), ttl_s=1)
    case.let_pass(2)
    case.put(KEY, Entry("r2", b"two"), ttl_s=100)
    assert case.cache.get(KEY) == Entry("r2", b"two")


@pytest.mark.parametrize("entry", [Entry("\ud800", b"{}"), Entry("a\x00b", b"{}")])
def test_an_entry_that_cannot_be_kept_raises_nothing(case: Case, entry: Entry) -> None:
    case.put(KEY, entry)
    assert case.cache.get(KEY) in {None, entry}


def test_a_time_to_live_beyond_all_bounds_raises_nothing(case: Case) -> None:
    entry = Entry("r1", b"{}")
    case.put(KEY, entry, ttl_s=10**15)
    assert case.cache.get(KEY) in {None, entry}


def test_closing_twice_does_no_harm(case: Case) -> None:
    case.cache.close()
