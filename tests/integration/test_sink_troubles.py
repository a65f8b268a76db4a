"""Poison leaves alone, and what is set up wrongly waits: no dead letter, no loss."""

import json

import pytest
from confluent_kafka import Producer

from schemas import topics
from tests.audit import assert_sound, read_letter
from tests.pictures import headers, jpeg
from tests.world import Running, World, wait_for

pytestmark = pytest.mark.services


def _publish_results(world: World, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": world.bootstrap})
    for value in values:
        head = [("ce_specversion", b"1.0"), ("ce_type", b"sightline.result.v1"), ("content-type", b"application/json")]
        producer.produce(topics.results(world.pipeline), value, b"/cameras/1", headers=list(head))
    assert producer.flush(30) == 0


def test_poison_rows_leave_alone(world: World) -> None:
    """A NUL in a text, NaN, bytes that are no JSON, and one id twice in a batch: 40 good rows go in."""
    published = world.publish((jpeg(n), headers(f"e{n}", "/cameras/1")) for n in range(40))
    world.start_worker()
    wait_for(lambda: len(world.results()) == 40, 60, "40 results")
    sample = world.results()[0]
    other = {**sample, "result_id": "00000000-0000-8000-8000-000000000001"}
    nul = json.dumps({**other, "summary": {"camera": "A\0B"}}).encode()
    nan = json.dumps({**other, "score": 50.0}).encode().replace(b"50.0", b"NaN")
    _publish_results(world, [nul, nan, b"\xff\xfe", json.dumps(sample).encode()])
    world.start_sink("postgres")
    world.start_sink("objects")
    wait_for(lambda: world.count_rows() == (40, 3), 60, "40 results and 3 dead letters")
    letters = [read_letter(message) for message in world.dead_letters()]
    assert {letter.stage for letter in letters} == {"sink.postgres"}
    assert {letter.value for letter in letters} == {nul, nan, b"\xff\xfe"}
    assert {letter.origin[0] for letter in letters} == {topics.results(world.pipeline)}
    assert len(published) == 40


def test_a_poison_alert_leaves_as_a_dead_letter_too(world: World) -> None:
    """The topic is no pipeline's: its dead letters go to that of the sink, and would be redriven to `alerts`."""
    sink = world.start_sink("postgres").wait_ready()
    garbage = f"no alert, {world.pipeline}".encode()
    producer = Producer({"bootstrap.servers": world.bootstrap})
    producer.produce(topics.ALERTS, garbage, b"x", headers=[("ce_type", b"sightline.alert.v1")])
    assert producer.flush(30) == 0
    wait_for(world.dead_letters, 60, "a dead letter")
    [letter] = [read_letter(message) for message in world.dead_letters()]
    assert (letter.value, letter.origin[0], letter.stage) == (garbage, topics.ALERTS, "sink.postgres")
    wait_for(lambda: world.count_rows() == (0, 1), 30, "its row")
    assert sink.ready()


def _waits(world: World, sink: Running, rows: int) -> None:
    """The sink is not ready, alive, says why, and neither stores nor dead-letters."""
    wait_for(lambda: '"waiting"' in sink.log.read_text(), 60, "the sink has met its trouble")
    assert not sink.ready()
    assert sink.get("/health/live")[0] == 200
    assert "postgres" in sink.get("/health/ready")[1]
    assert world.dead_letters() == []
    assert rows == 0 or world.count_rows() == (rows, 0)


def test_a_dropped_table_waits(world: World) -> None:
    world.start_worker()
    sink = world.start_sink("postgres").wait_ready()
    world.execute("ALTER TABLE quality_checks RENAME TO elsewhere")
    published = world.publish((jpeg(n), headers(f"e{n}", "/cameras/1")) for n in range(20))
    _waits(world, sink, 0)
    world.execute("ALTER TABLE elsewhere RENAME TO quality_checks")
    world.start_sink("objects")
    world.wait_for_rows(20)
    wait_for(sink.ready, 30, "ready again")
    assert_sound(world, published)


def test_a_revoked_right_waits_and_alerts(world: World) -> None:
    world.execute("CREATE ROLE writer LOGIN PASSWORD 'writer'" if not world.has_role("writer") else "SELECT 1")
    world.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO writer; REVOKE INSERT ON results FROM writer")
    world.start_worker()
    sink = world.start_sink("postgres", {"SIGHTLINE_DATABASE_URL": world.database_url("writer", "writer")})
    published = world.publish((jpeg(n), headers(f"e{n}", "/cameras/1")) for n in range(20))
    _waits(world, sink, 0)
    world.execute("GRANT INSERT ON results TO writer")
    world.start_sink("objects")
    world.wait_for_rows(20)
    assert_sound(world, published)
    rule = "SELECT count(*) FROM alerts WHERE rule = 'setup-wrong' AND pipeline = :pipeline"
    wait_for(lambda: world.sql(rule)[0][0] == 1, 30, "an alert")


def test_a_missing_bucket_waits(world: World) -> None:
    world.start_worker()
    sink = world.start_sink("objects", {"SIGHTLINE_OBJECTS_URL": f"s3://absent-{world.pipeline}/x"})
    world.publish((jpeg(n), headers(f"e{n}", "/cameras/1")) for n in range(5))
    wait_for(lambda: '"waiting"' in sink.log.read_text(), 60, "the sink waits")
    assert not sink.ready()
    assert sink.get("/health/live")[0] == 200
    assert world.dead_letters() == []


def test_an_unknown_major_version_waits(world: World) -> None:
    producer = Producer({"bootstrap.servers": world.bootstrap})
    head = [("ce_specversion", b"1.0"), ("ce_type", b"sightline.result.v2")]
    producer.produce(topics.results(world.pipeline), b"{}", b"/cameras/1", headers=list(head))
    assert producer.flush(30) == 0
    sink = world.start_sink("postgres")
    wait_for(lambda: "VersionUnknownError" in sink.log.read_text(), 60, "the sink waits")
    assert not sink.ready()
    assert world.dead_letters() == []
