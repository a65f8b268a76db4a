"""What the rows promise, on a real PostgreSQL."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any

import psycopg2
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, make_url

from schemas.alert import RULE_EVENT_ID_REUSED
from schemas.errors import InputError, OutageError, SetupError, Stage
from sightline.runtime.database import database_engine, transaction
from sinks.isolate import store_isolating
from sinks.postgres.copy import copy_lines
from sinks.postgres.entries import DeadLetterEntry
from sinks.postgres.partitions import ensure_partitions
from sinks.postgres.sink import PostgresSink
from sinks.postgres.tables import PARTITIONED, STATES, metadata
from sinks.postgres.upgrade import upgrade
from sinks.protocol import SinkRecord, StoreReport
from tests.contract.conftest import execute
from tests.services import Postgres
from tests.unit.sinks.samples import (
    CHECKS,
    NOW,
    SOURCE,
    dead_letter_record,
    gap_record,
    make_result,
    result_record,
)

pytestmark = pytest.mark.services
CHILDREN = {"quality_checks": len(CHECKS), "detections": 1, "artifacts": 1}


@pytest.fixture
def sink(engine: Engine) -> Iterator[PostgresSink]:
    made = PostgresSink(engine, lambda: NOW)
    yield made
    made.close()


def store(sink: PostgresSink, *records: SinkRecord) -> StoreReport:
    return sink.store([sink.read(made) for made in records])


def query(engine: Engine, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with transaction(engine) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement, parameters or None)]


def counts(engine: Engine) -> dict[str, int]:
    return {table: query(engine, f"SELECT count(*) FROM {table}")[0][0] for table in PARTITIONED}


# Migrations and partitions


def test_upgrading_again_changes_nothing(engine: Engine, database_url: str) -> None:
    shape = "SELECT attrelid::regclass::text, attname, atttypid FROM pg_attribute ORDER BY 1, 2"
    before = query(engine, shape)
    upgrade(database_url)
    assert query(engine, shape) == before


def test_an_empty_database_may_be_upgraded_by_several_at_once(make_database: Callable[[str], str]) -> None:
    url = make_database("template1")
    failures: list[BaseException] = []

    def run() -> None:
        try:
            upgrade(url)
        except BaseException as error:  # noqa: BLE001 - whatever it was, the test shows it
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    made = database_engine(url, application_name="contract")
    head = ScriptDirectory(str(files("sinks.postgres") / "migrations")).get_current_head()
    assert query(made, "SELECT version_num FROM alembic_version") == [(head,)]
    made.dispose()


def test_a_later_release_is_left_alone(engine: Engine, database_url: str) -> None:
    query(engine, "UPDATE alembic_version SET version_num = '9999' RETURNING 1")
    with pytest.raises(SetupError):
        upgrade(database_url)


def test_the_tables_are_those_of_the_migrations(engine: Engine) -> None:
    def ours(_: Any, name: str | None, kind: str, reflected: bool, other: Any) -> bool:  # noqa: FBT001 - alembic's own
        return not (kind == "table" and reflected and other is None and "_" in (name or ""))

    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "include_object": ours})
        assert compare_metadata(context, metadata) == []


def test_states_are_those_that_the_table_takes(engine: Engine, sink: PostgresSink) -> None:
    store(sink, dead_letter_record())
    for state in STATES:
        query(engine, "UPDATE dead_letters SET state = %s RETURNING 1", state)
    with pytest.raises(InputError):
        query(engine, "UPDATE dead_letters SET state = 'lost' RETURNING 1")


def test_partitions_are_made_ahead_once(engine: Engine) -> None:
    later = datetime(2031, 11, 30, tzinfo=UTC)
    made = ensure_partitions(engine, later)
    assert [name for name in made if name.startswith("results")] == [
        "results_2031_11",
        "results_2031_12",
        "results_2032_01",
        "results_2032_02",
    ]
    assert ensure_partitions(engine, later) == []


def test_a_month_that_the_default_partition_holds_is_left_to_it(engine: Engine, sink: PostgresSink) -> None:
    ahead = datetime(2041, 5, 2, tzinfo=UTC)
    store(sink, result_record(make_result(1, captured_at=ahead)))
    assert "results_2041_05" not in ensure_partitions(engine, ahead)
    assert store(sink, result_record(make_result(2, captured_at=ahead))).stored == 1
    assert query(engine, "SELECT count(*) FROM results_default") == [(2,)]


def test_a_sink_makes_the_partitions_of_its_day(engine: Engine) -> None:
    later = datetime(2051, 1, 1, tzinfo=UTC)
    store(PostgresSink(engine, lambda: later), result_record(make_result(1, captured_at=later)))
    assert query(engine, "SELECT count(*) FROM results_2051_01") == [(1,)]


def test_a_missing_partition_is_our_setup(engine: Engine, sink: PostgresSink) -> None:
    query(engine, "DROP TABLE results_default; SELECT 1")
    with pytest.raises(SetupError):
        store(sink, result_record(make_result(1, captured_at=datetime(1970, 1, 1, tzinfo=UTC))))


# Results


def _sink_at(engine: Engine, now: datetime) -> PostgresSink:
    return PostgresSink(engine, lambda: now)


def test_a_result_with_its_children(engine: Engine, sink: PostgresSink) -> None:
    result = make_result(7)
    store(sink, result_record(result))
    assert counts(engine) == {"results": 1, **CHILDREN}
    [row] = query(
        engine,
        "SELECT result_id, frame_id, source, verdict, score, level, label, width, model_digest, origin_offset,"
        " detection_count, processing_ms, body ->> 'verdict' FROM results",
    )
    assert row == (
        result.result_id, result.frame_id, SOURCE, "accepted", 81.2, "good", "real", 1920, "d1", 7, 1, 6.5, "accepted",
    )  # fmt: skip
    names = query(engine, "SELECT name, passed, reason FROM quality_checks ORDER BY position")
    assert names == [(name, name != "blur", f"{name}\\n") for name in CHECKS]


def test_the_first_write_wins_and_differing_repeats_are_counted(engine: Engine, sink: PostgresSink) -> None:
    store(sink, result_record(make_result(1)))
    report = store(sink, result_record(make_result(1, verdict="rejected")))
    assert (report.stored, report.repeated, report.differing) == (0, 1, 1)
    assert query(engine, "SELECT verdict, body ->> 'verdict' FROM results") == [("accepted", "accepted")]
    assert counts(engine) == {"results": 1, **CHILDREN}


def test_what_two_runs_may_say_differently_is_no_difference(sink: PostgresSink) -> None:
    store(sink, result_record(make_result(1)))
    again = make_result(1, processed_at=NOW + timedelta(hours=1), timings_ms={"decode": 99.0}, origin=None)
    assert store(sink, result_record(again)) == StoreReport(repeated=1)


def test_a_repeat_in_one_batch(engine: Engine, sink: PostgresSink) -> None:
    first, other = result_record(make_result(1)), result_record(make_result(1, verdict="rejected"))
    assert store(sink, first, other, first, result_record(make_result(2))) == StoreReport(2, 2, 1)
    assert counts(engine)["results"] == 2


def test_parent_and_children_are_one(engine: Engine, sink: PostgresSink) -> None:
    query(engine, "ALTER TABLE quality_checks ADD CONSTRAINT no_blur CHECK (name <> 'blur'); SELECT 1")
    with pytest.raises(InputError):
        store(sink, result_record(make_result(1)))
    assert counts(engine) == dict.fromkeys(PARTITIONED, 0)


def test_a_camera_in_1970_has_one_row_in_the_default_partition(engine: Engine, sink: PostgresSink) -> None:
    made = result_record(make_result(1, captured_at=datetime(1970, 1, 1, tzinfo=UTC)))
    store(sink, made)
    assert store(sink, made).repeated == 1
    assert query(engine, "SELECT count(*) FROM results_default") == [(1,)]


def test_a_redelivery_after_midnight_is_one_row(engine: Engine) -> None:
    made = result_record(make_result(1, captured_at=datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC)))
    for now in (datetime(2026, 11, 30, 23, 59, 59, tzinfo=UTC), datetime(2026, 12, 1, 0, 0, 1, tzinfo=UTC)):
        store(_sink_at(engine, now), made)
    assert counts(engine)["results"] == 1


@pytest.mark.parametrize(
    "poison",
    [
        result_record(make_result(99, note="a"), replace=(b'"note":"a"', b'"note":"\\u0000"')),
        result_record(make_result(99, source="a\x00b")),
        result_record(make_result(99, note=1), replace=(b'"note":1', b'"note":NaN')),
        result_record(make_result(99, note="a"), replace=(b'"note":"a"', b'"note":"\\ud800"')),
        result_record(make_result(99), replace=(b'"class_id":1', b'"class_id":99999999999')),
    ],
    ids=["nul in the body", "nul in a column", "NaN", "lone surrogate", "number out of range"],
)
def test_a_poison_row_leaves_alone(engine: Engine, sink: PostgresSink, poison: SinkRecord) -> None:
    entries, unread = [], 0
    for made in [*(result_record(make_result(number)) for number in range(10)), poison]:
        try:
            entries.append(sink.read(made))
        except InputError:
            unread += 1
    report, rejected = store_isolating(sink, entries)
    assert (report.stored, len(rejected) + unread) == (10, 1)
    assert counts(engine)["results"] == 10


def test_two_writers_of_the_same_results(engine: Engine, sink: PostgresSink) -> None:
    entries = [sink.read(result_record(make_result(number))) for number in range(200)]
    reports: list[StoreReport] = []
    start = threading.Barrier(2)

    def run() -> None:
        start.wait(10)
        reports.append(PostgresSink(engine, lambda: NOW).store(entries))

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(report.stored for report in reports) == 200
    assert sum(report.repeated for report in reports) == 200
    assert counts(engine) == {"results": 200, **{table: 200 * count for table, count in CHILDREN.items()}}


# Reused event ids


def test_a_reused_event_id_is_alerted_once_a_day(sink: PostgresSink) -> None:
    store(sink, result_record(make_result(1, event_id="7")))
    report = store(sink, *(result_record(make_result(n, event_id="7", picture=f"p{n}")) for n in range(2, 5)))
    assert (report.stored, report.reused) == (3, 3)
    [alert] = report.alerts
    assert (alert.rule, alert.source, alert.window) == (RULE_EVENT_ID_REUSED, SOURCE, "2026-11-21")
    assert alert.facts == {"frames": 3}


def test_a_redelivery_carries_the_same_alert_and_counts_nothing(sink: PostgresSink) -> None:
    batch = [result_record(make_result(n, event_id="7", picture=f"p{n}")) for n in range(2)]
    first, again = store(sink, *batch), store(sink, *batch)
    assert first.reused > 0
    assert again.reused == 0
    assert [alert.alert_id for alert in again.alerts] == [alert.alert_id for alert in first.alerts]


def test_the_same_frame_or_another_source_is_no_reuse(sink: PostgresSink) -> None:
    store(sink, result_record(make_result(1, event_id="7")))
    report = store(
        sink,
        result_record(make_result(1, event_id="7", replay_id="r1")),
        result_record(make_result(1, event_id="7", source="/other")),
    )
    assert (report.stored, report.reused, report.alerts) == (2, 0, ())


# Dead letters, alerts, gaps


def states(engine: Engine) -> list[str]:
    return [state for (state,) in query(engine, "SELECT state FROM dead_letters ORDER BY dl_offset")]


def test_a_result_resolves_what_failed_before(engine: Engine, sink: PostgresSink) -> None:
    result = make_result(1)
    store(
        sink,
        dead_letter_record(0, frame_id=result.frame_id),
        dead_letter_record(1, frame_id=result.frame_id),
        dead_letter_record(2, frame_id=result.frame_id),
        dead_letter_record(3, frame_id="another"),
        dead_letter_record(4, frame_id=result.frame_id, stage=Stage.SINK_OBJECTS),
        dead_letter_record(5, frame_id=result.frame_id, topic="frames.civic.replay"),
    )
    query(engine, "UPDATE dead_letters SET state = 'redriven' WHERE dl_offset = 1 RETURNING 1")
    query(engine, "UPDATE dead_letters SET state = 'parked' WHERE dl_offset = 2 RETURNING 1")
    store(sink, result_record(make_result(1, pipeline="banana")), result_record(make_result(1, replay_id="r1")))
    assert states(engine) == ["open", "redriven", "parked", "open", "open", "open"]
    store(sink, result_record(result))
    assert states(engine) == ["resolved", "resolved", "parked", "open", "open", "open"]


def test_a_dead_letter_that_comes_after_its_result_is_resolved(engine: Engine, sink: PostgresSink) -> None:
    result = make_result(1)
    store(sink, result_record(result))
    store(sink, dead_letter_record(0, frame_id=result.frame_id), dead_letter_record(1, frame_id="another"))
    assert states(engine) == ["resolved", "open"]


def test_a_dead_letter_twice_keeps_its_state(engine: Engine, sink: PostgresSink) -> None:
    store(sink, dead_letter_record())
    query(engine, "UPDATE dead_letters SET state = 'parked' RETURNING 1")
    assert store(sink, dead_letter_record(), dead_letter_record()) == StoreReport(repeated=2)
    assert states(engine) == ["parked"]


def test_headers_survive_as_they_were(engine: Engine, sink: PostgresSink) -> None:
    odd: list[tuple[str, bytes | None]] = [("x", b""), ("x", None), ("y", b"\xff\x00")]
    store(sink, dead_letter_record(headers=odd))
    [(headers,)] = query(engine, "SELECT headers FROM dead_letters")
    assert headers[-3:] == [["x", ""], ["x", None], ["y", "/wA="]]


def test_a_dead_letter_that_the_database_refuses_is_stored_bare(engine: Engine, sink: PostgresSink) -> None:
    entry = sink.read(dead_letter_record())
    assert isinstance(entry, DeadLetterEntry)
    entry.columns["reason"] = "a\x00b"
    assert sink.store([entry]).stored == 1
    assert query(engine, "SELECT dl_id, code, reason, 'reason' = ANY(fields_lost) FROM dead_letters") == [
        (entry.dl_id, "row_rejected", None, True)
    ]


def test_lost_offsets_are_an_alert_and_a_gap(engine: Engine, sink: PostgresSink) -> None:
    assert store(sink, gap_record(), gap_record()) == StoreReport(stored=1, repeated=1)
    assert query(engine, "SELECT consumer_group, topic, partition, from_offset, to_offset FROM gaps") == [
        ("g", "frames.civic", 3, 10, 25)
    ]
    assert query(engine, "SELECT rule, time_window FROM alerts") == [("offsets-lost", "3:10")]


# The view


def current(engine: Engine) -> list[str]:
    return [verdict for (verdict,) in query(engine, "SELECT verdict FROM current_results ORDER BY pipeline")]


def test_current_results_has_one_row_per_frame_and_pipeline(engine: Engine, sink: PostgresSink) -> None:
    live = make_result(1, verdict="live")
    store(
        sink,
        result_record(live),
        result_record(make_result(1, verdict="other", pipeline="other")),
        result_record(make_result(1, verdict="replayed", replay_id="r1")),
        result_record(make_result(1, verdict="shadow", variant="shadow")),
    )
    assert current(engine) == ["live", "other"]
    promoted = make_result(1, verdict="promoted", replay_id="r2", supersedes=live.result_id)
    store(sink, result_record(promoted))
    assert current(engine) == ["promoted", "other"]
    latest = make_result(
        1, verdict="latest", replay_id="r3", supersedes=promoted.result_id, processed_at=NOW + timedelta(hours=1)
    )
    sibling = make_result(1, verdict="sibling", replay_id="r4", supersedes=live.result_id)
    store(sink, result_record(latest), result_record(sibling))
    assert current(engine) == ["latest", "other"]


# Setup and outages


def test_a_dropped_table_waits(engine: Engine, sink: PostgresSink) -> None:
    query(engine, "DROP TABLE quality_checks CASCADE; SELECT 1")
    with pytest.raises(SetupError):
        store(sink, result_record(make_result(1)))
    assert query(engine, "SELECT count(*) FROM results") == [(0,)]


def test_a_revoked_right_waits(database_url: str) -> None:
    execute(
        database_url,
        "DROP ROLE IF EXISTS reader",
        "CREATE ROLE reader LOGIN",
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader",
    )
    url = make_url(database_url).set(username="reader").render_as_string(hide_password=False)
    sink = PostgresSink(database_engine(url, application_name="contract"), lambda: NOW)
    with pytest.raises(SetupError):
        store(sink, result_record(make_result(1)))
    sink.close()
    execute(database_url, "DROP OWNED BY reader", "DROP ROLE reader")


def test_a_right_to_insert_is_enough(engine: Engine, database_url: str) -> None:
    execute(
        database_url,
        "DROP ROLE IF EXISTS writer",
        "CREATE ROLE writer LOGIN",
        "GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO writer",
        "GRANT UPDATE ON dead_letters TO writer",
    )
    url = make_url(database_url).set(username="writer").render_as_string(hide_password=False)
    sink = PostgresSink(database_engine(url, application_name="contract"), lambda: NOW + timedelta(days=900))
    assert store(sink, result_record(make_result(1)), dead_letter_record(), gap_record()).stored == 3
    sink.close()
    assert counts(engine)["results"] == 1
    execute(database_url, "DROP OWNED BY writer", "DROP ROLE writer")


def test_a_standby_waits(engine: Engine, sink: PostgresSink, database_url: str) -> None:
    name = make_url(database_url).database
    execute(database_url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    engine.dispose()
    with pytest.raises(SetupError):
        store(sink, result_record(make_result(1)))


def test_a_stopped_server_is_an_outage_and_comes_back(postgres: Postgres, engine: Engine, sink: PostgresSink) -> None:
    store(sink, result_record(make_result(1)))
    postgres.stop()
    for _ in range(2):
        with pytest.raises(OutageError) as caught:
            store(sink, result_record(make_result(2)))
        assert not isinstance(caught.value, SetupError)
    postgres.start()
    assert store(sink, result_record(make_result(1)), result_record(make_result(2))) == StoreReport(1, 1)
    assert counts(engine)["results"] == 2


def test_a_connection_that_is_cut_within_a_batch_is_thrown_away(
    engine: Engine, sink: PostgresSink, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_first(cursor: Any, table: str, *rest: Any) -> None:
        if table == "quality_checks":
            monkeypatch.undo()
            execute(database_url, f"SELECT pg_terminate_backend({cursor.connection.info.backend_pid})")
        copy_lines(cursor, table, *rest)

    monkeypatch.setattr("sinks.postgres.write_results.copy_lines", cut_first)
    with pytest.raises(OutageError):
        store(sink, result_record(make_result(1)))
    assert store(sink, result_record(make_result(1))) == StoreReport(stored=1)
    assert counts(engine) == {"results": 1, **CHILDREN}


def test_a_row_that_cannot_be_encoded_is_no_outage(engine: Engine) -> None:
    def run() -> None:
        with transaction(engine) as connection:
            cursor = connection.connection.cursor()
            assert isinstance(cursor, psycopg2.extensions.cursor)
            copy_lines(cursor, "alerts", ["alert_id"], ["fine\n", "\ud800\n"])

    with pytest.raises(InputError):
        run()
