"""The shared result cache on a real PostgreSQL: between processes, over outages, and when it is slow."""

import itertools
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

import psycopg2
import pytest
from alembic import command
from alembic.config import Config
from prometheus_client import REGISTRY
from sqlalchemy import make_url

from schemas.errors import ConfigurationError
from schemas.resultcache import CacheKey, Entry, ResultCache
from sightline.cli.doctor.database import check_database
from sightline.cli.resultcache import open_result_cache
from sightline.runtime.database import database_engine
from sightline.runtime.resultcache import MemoryCache
from sightline.runtime.settings import load_settings
from sinks.postgres.resultcache import PURGE_EVERY, PURGE_ROWS, PostgresCacheStore
from sinks.postgres.upgrade import upgrade
from tests.services import Postgres
from tests.world import wait_for

ENTRY = Entry("r1", b'{"score": 81.2}')
# The deadline is 50 ms; what is above it is a busy machine, and far below any timeout of the network.
LATE_S = 0.3
_numbers = itertools.count()
Open = Callable[[str], ResultCache]


def _execute(url: str, statement: str) -> list[tuple[object, ...]]:
    connection = psycopg2.connect(url)
    try:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


@pytest.fixture
def empty_url(postgres: Postgres) -> Iterator[str]:
    name = f"resultcache_{next(_numbers)}"
    _execute(postgres.url, f"CREATE DATABASE {name}")
    yield make_url(postgres.url).set(database=name).render_as_string(hide_password=False)
    postgres.start()
    _execute(postgres.url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def url(empty_url: str) -> str:
    upgrade(empty_url)
    return empty_url


@pytest.fixture
def open_at() -> Iterator[Open]:
    """Open caches as a worker does."""
    opened: list[ResultCache] = []

    def make(url: str) -> ResultCache:
        cache = open_result_cache(load_settings(_environment(url)))
        assert cache is not None
        opened.append(cache)
        return cache

    yield make
    for cache in opened:
        cache.close()


def _environment(url: str) -> dict[str, str]:
    return {"SIGHTLINE_DATABASE_URL": url, "SIGHTLINE_WORKER_RESULT_CACHE": "postgres"}


def _key() -> CacheKey:
    return CacheKey("resultcache-test", str(next(_numbers)))


def _count(outcome: str) -> float:
    labels = {"pipeline": "resultcache-test", "outcome": outcome}
    return REGISTRY.get_sample_value("sightline_result_cache_total", labels) or 0.0


def _timed_get(cache: ResultCache, key: CacheKey) -> tuple[Entry | None, float]:
    began = time.perf_counter()
    found = cache.get(key)
    return found, time.perf_counter() - began


def _hits(cache: ResultCache, key: CacheKey) -> bool:
    return cache.get(key) == ENTRY


def _assert_misses_in_time(cache: ResultCache, key: CacheKey, times: int = 20) -> None:
    """Each is a miss within the deadline; with the circuit open, most take no time at all."""
    answers = [_timed_get(cache, key) for _ in range(times)]
    assert {found for found, _ in answers} == {None}
    spent = sorted(seconds for _, seconds in answers)
    assert spent[-1] < LATE_S
    assert spent[times // 2] < 0.005


# Between processes


def test_another_process_and_another_connection_hit(url: str, open_at: Open) -> None:
    key = _key()
    program = (
        "from schemas.resultcache import CacheKey, Entry\n"
        "from sightline.cli.resultcache import open_result_cache\n"
        "from sightline.runtime.settings import load_settings\n"
        "cache = open_result_cache(load_settings())\n"
        f"cache.put(CacheKey{tuple(key)!r}, Entry({ENTRY.result_id!r}, {ENTRY.body!r}), 600)\n"
        "cache.close()\n"
    )
    subprocess.run([sys.executable, "-c", program], env={**os.environ, **_environment(url)}, check=True, timeout=60)
    for cache in (open_at(url), open_at(url)):
        wait_for(partial(_hits, cache, key), 30, "a hit")


def test_an_entry_expires_by_the_databases_clock(url: str, open_at: Open) -> None:
    cache, key = open_at(url), _key()
    cache.put(key, ENTRY, 600)
    wait_for(lambda: _hits(cache, key), 30, "a hit")
    _execute(url, "UPDATE result_cache SET expires_at = now()")
    misses = _count("miss")
    wait_for(lambda: cache.get(key) is None and _count("miss") > misses, 30, "a miss that is no failure")


def test_expired_rows_are_deleted_some_at_a_time(url: str) -> None:
    _execute(
        url,
        "INSERT INTO result_cache SELECT 'old ' || n, 'p', 'r', '', now() - n * interval '1 s'"
        " FROM generate_series(1, 2500) n",
    )
    store, left = PostgresCacheStore(url), [2500]
    for _ in range(2 * PURGE_EVERY + 1):
        store.put(_key(), ENTRY, 600)
        [(count,)] = _execute(url, "SELECT count(*) FROM result_cache WHERE key LIKE 'old %'")
        assert isinstance(count, int)
        left.append(count)
    store.close()
    assert sorted(set(left), reverse=True) == [2500, 2500 - PURGE_ROWS, 2500 - 2 * PURGE_ROWS, 0]
    assert left[1] == 2500 - PURGE_ROWS, "a worker that restarts often purges too"
    assert _execute(url, "SELECT count(*) FROM result_cache") == [(2 * PURGE_EVERY + 1,)]


# Outages


def test_a_stopped_server_costs_misses_and_comes_back(postgres: Postgres, url: str, open_at: Open) -> None:
    cache, key = open_at(url), _key()
    cache.put(key, ENTRY, 600)
    wait_for(lambda: _hits(cache, key), 30, "a hit")
    postgres.stop()
    failed, dropped = _count("failed"), _count("dropped")
    _assert_misses_in_time(cache, key)
    began = time.perf_counter()
    cache.put(key, ENTRY, 600)
    assert time.perf_counter() - began < LATE_S
    assert _count("failed") - failed == 20
    assert _count("dropped") - dropped == 1
    postgres.start()
    wait_for(lambda: _hits(cache, key), 60, "a hit")


def test_a_killed_server_has_forgotten_and_learns_again(postgres: Postgres, url: str, open_at: Open) -> None:
    cache, key = open_at(url), _key()
    cache.put(key, ENTRY, 600)
    wait_for(lambda: _hits(cache, key), 30, "a hit")
    postgres.kill()
    _assert_misses_in_time(cache, key)
    postgres.start()

    def learnt() -> bool:
        cache.put(key, ENTRY, 600)
        return _hits(cache, key)

    wait_for(learnt, 60, "a hit")


def test_a_locked_table_costs_misses(url: str, open_at: Open) -> None:
    cache, key = open_at(url), _key()
    cache.put(key, ENTRY, 600)
    wait_for(lambda: _hits(cache, key), 30, "a hit")
    connection = psycopg2.connect(url)
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE result_cache IN ACCESS EXCLUSIVE MODE")
        slow, failed = _count("slow"), _count("failed")
        _assert_misses_in_time(cache, key)
        assert _count("slow") - slow + _count("failed") - failed == 20
    connection.close()
    wait_for(lambda: _hits(cache, key), 60, "a hit")


def test_a_table_that_is_missing_costs_misses_until_it_is_made(empty_url: str, open_at: Open) -> None:
    cache, key = open_at(empty_url), _key()
    wait_for(lambda: cache.get(key) is None and _timed_get(cache, key)[1] < 0.005, 30, "left alone")
    upgrade(empty_url)

    def learnt() -> bool:
        cache.put(key, ENTRY, 600)
        return _hits(cache, key)

    wait_for(learnt, 60, "a hit")


def test_a_server_that_says_nothing_holds_up_neither_frames_nor_the_end(open_at: Open) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cache = open_at(f"postgresql://nobody@127.0.0.1:{listener.getsockname()[1]}/none")
        _assert_misses_in_time(cache, _key())
        began = time.perf_counter()
        cache.close()
        assert time.perf_counter() - began < 2


def test_doctor_sees_rights_that_a_cache_lacks(url: str) -> None:
    """A sink's user needs nothing of the cache; that of a worker with the shared cache does."""
    _execute(url, "DROP ROLE IF EXISTS cacheless")
    _execute(
        url,
        "CREATE ROLE cacheless LOGIN; GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO cacheless;"
        " GRANT UPDATE ON dead_letters TO cacheless; REVOKE ALL ON result_cache FROM cacheless",
    )
    environment = _environment(make_url(url).set(username="cacheless").render_as_string(hide_password=False))
    lacking = "this user lacks SELECT on result_cache, INSERT on result_cache, UPDATE on result_cache, DELETE on"
    try:
        findings = list(check_database(load_settings(environment)))
        assert [found.says for found in findings if found.status == "fail"] == [f"{lacking} result_cache"]
        del environment["SIGHTLINE_WORKER_RESULT_CACHE"]
        assert [found for found in check_database(load_settings(environment)) if found.status == "fail"] == []
        _execute(url, "GRANT SELECT, INSERT, UPDATE, DELETE ON result_cache TO cacheless")
        findings = list(check_database(load_settings({**environment, "SIGHTLINE_WORKER_RESULT_CACHE": "postgres"})))
        assert "this user has the rights of a result cache" in [found.says for found in findings]
    finally:
        _execute(url, "DROP OWNED BY cacheless; DROP ROLE cacheless")


# Opening


def test_what_the_settings_ask_for_is_opened() -> None:
    assert open_result_cache(load_settings({"SIGHTLINE_WORKER_RESULT_CACHE": "off"})) is None
    assert isinstance(open_result_cache(load_settings({})), MemoryCache)
    with pytest.raises(ConfigurationError):
        open_result_cache(load_settings({"SIGHTLINE_WORKER_RESULT_CACHE": "postgres"}))


# Migration


def test_a_database_of_the_first_release_gets_the_table(empty_url: str) -> None:
    engine = database_engine(empty_url, application_name="test")
    config = Config()
    config.set_main_option("script_location", "sinks.postgres:migrations")
    config.set_main_option("path_separator", "os")
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    _execute(empty_url, "INSERT INTO gaps VALUES ('a', 'g', 't', 0, 1, 2, now())")
    assert _execute(empty_url, "SELECT to_regclass('result_cache')") == [(None,)]
    upgrade(empty_url)
    assert _execute(empty_url, "SELECT relpersistence::text FROM pg_class WHERE relname = 'result_cache'") == [("u",)]
    assert _execute(empty_url, "SELECT alert_id FROM gaps") == [("a",)]
