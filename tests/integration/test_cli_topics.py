"""`sightline topics` and `doctor` against a real broker, as an operator runs them."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from schemas import topics
from sightline.cli.doctor.finding import Finding
from sightline.cli.doctor.transactions import check_transactions
from sightline.runtime.kafka import make_admin
from sightline.runtime.settings import KafkaSettings
from streams.topics import load_topics_file, read_cluster, topics_of
from tests.services import Kafka
from tests.world import World

pytestmark = pytest.mark.services


def _sightline(
    world: World, *arguments: str, expect: int = 0, env: dict[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-m", "sightline.cli.main", *arguments],
        env={**world.env, **(env or {})},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == expect, (done.stdout, done.stderr)
    return done


def _lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def _own_changes(world: World, *arguments: str) -> list[dict[str, Any]]:
    """Plan, and leave out the topics that other tests change as well."""
    changes = _lines(_sightline(world, "topics", "plan", world.pipeline, "--json", *arguments).stdout)
    return [change for change in changes if change["topic"] not in topics.SHARED]


def test_planned_topics_are_made_and_then_there_is_nothing_to_do(world: World) -> None:
    other = f"{world.pipeline}-b"
    planned = _lines(_sightline(world, "topics", "plan", other, "--json").stdout)
    assert [(change["change"], change["topic"]) for change in planned if change["topic"] not in topics.SHARED] == [
        ("create", topic) for topic in topics_of([other]) if topic not in topics.SHARED
    ]
    _sightline(world, "topics", "apply", other, "--yes")
    assert "nothing to change" in _sightline(world, "topics", "plan", other).stdout
    assert len(world.partitions(f"frames.{other}")) == load_topics_file(None).rules(f"frames.{other}").partitions


def test_apply_asks_and_changes_nothing_where_nobody_answers(world: World) -> None:
    done = _sightline(world, "topics", "apply", f"{world.pipeline}-c", expect=2)
    assert done.stderr.splitlines()[-1] == "sightline: --yes: is needed where nobody can be asked"
    planned = _lines(_sightline(world, "topics", "plan", f"{world.pipeline}-c", "--json").stdout)
    assert {change["topic"] for change in planned} >= set(topics_of([f"{world.pipeline}-c"])) - set(topics.SHARED)


def test_settings_change_partitions_grow_and_nothing_shrinks(world: World) -> None:
    frames = f"frames.{world.pipeline}"
    file = world.folder / "topics.yaml"
    overrides = f"topics:\n  {frames}: {{partitions: 14, retention_hours: 1}}\n"
    source = (Path(__file__).parents[2] / "streams/topics.yaml").read_text(encoding="utf-8")
    file.write_text(source.replace("topics: {}\n", overrides))
    grow, change = _own_changes(world, "--file", str(file))
    assert (grow["change"], grow["before"], grow["after"]) == ("grow", {"partitions": "12"}, {"partitions": "14"})
    assert (change["change"], change["after"]) == ("set", {"retention.ms": "3600000"})
    done = _sightline(world, "topics", "apply", world.pipeline, "--file", str(file), "--yes")
    assert "breaks the order of each camera" in done.stderr
    assert len(world.partitions(frames)) == 14
    assert _own_changes(world, "--file", str(file)) == []
    # Back to the built-in file: the setting follows, the partitions stay.
    done = _sightline(world, "topics", "apply", world.pipeline, "--yes")
    assert f"{frames}: has 14 partitions, 12 are wanted; left as it is" in done.stderr
    assert len(world.partitions(frames)) == 14


def test_a_broker_that_is_away_exits_3_in_one_line(world: World) -> None:
    env = {"SIGHTLINE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1"}
    for arguments in (["topics", "plan"], ["results", world.pipeline], ["publish", world.pipeline, __file__]):
        done = _sightline(world, *arguments, "--timeout", "1", expect=3, env=env)
        assert done.stderr.startswith("sightline: kafka: ")
        assert done.stderr.count("\n") == 1


def _doctor(world: World, expect: int, env: dict[str, str] | None = None) -> list[dict[str, Any]]:
    return _lines(_sightline(world, "doctor", world.pipeline, "--json", expect=expect, env=env).stdout)


def test_doctor_finds_all_well(world: World) -> None:
    # The topic of alerts is shared with the tests before this one, which may have left some unread.
    findings = [finding for finding in _doctor(world, 0) if finding["check"] != "unread"]
    assert {finding["check"] for finding in findings} == {
        "settings", "kafka", "topics", "transactions", "database", "objects",
    }  # fmt: skip
    warnings = [finding["says"] for finding in findings if finding["status"] != "ok"]
    assert warnings == ["reached: one broker, so each record exists once"]


def test_doctor_sees_a_topic_with_too_small_a_limit_and_apply_mends_it(world: World) -> None:
    world.set_topic(f"frames.{world.pipeline}", "max.message.bytes", "1048588")
    world.set_topic(f"results.{world.pipeline}", "message.timestamp.type", "CreateTime")
    failing = [finding for finding in _doctor(world, 1) if finding["status"] == "fail"]
    assert len(failing) == 2
    assert all("sightline topics apply" in finding["advice"] for finding in failing)
    _sightline(world, "topics", "apply", world.pipeline, "--yes")
    _doctor(world, 0)


def test_doctor_sees_a_database_that_is_not_migrated(world: World) -> None:
    world.execute("DROP TABLE alembic_version")
    (failing,) = [finding for finding in _doctor(world, 1) if finding["status"] == "fail"]
    assert failing["check"] == "database"
    assert "sightline db upgrade" in failing["advice"]


def test_doctor_sees_rights_that_are_missing(world: World) -> None:
    name = world.pipeline.replace("-", "_")
    world.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'x'")
    try:
        world.execute(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO {name}")
        env = {"SIGHTLINE_DATABASE_URL": world.database_url(name, "x")}
        (failing,) = [finding for finding in _doctor(world, 1, env) if finding["status"] == "fail"]
        assert failing["says"] == "this user lacks UPDATE on dead_letters"
    finally:
        world.execute(f"DROP OWNED BY {name}")
        world.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize(
    ("variable", "value", "check"),
    [
        ("SIGHTLINE_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1", "kafka"),
        ("SIGHTLINE_DATABASE_URL", "postgresql://u@127.0.0.1:1/d", "database"),
        ("SIGHTLINE_S3_ENDPOINT_URL", "http://127.0.0.1:1", "objects"),
    ],
)
def test_doctor_exits_3_when_a_service_is_away_and_looks_at_the_others(
    world: World, variable: str, value: str, check: str
) -> None:
    findings = _doctor(world, 3, {variable: value})
    assert [finding["check"] for finding in findings if finding["away"]] == [check]
    assert {"settings", "kafka", "database", "objects"} <= {finding["check"] for finding in findings}


def test_doctor_sees_a_transaction_that_does_not_end(world: World) -> None:
    topic = topics.results(world.pipeline)
    producer = Producer({"bootstrap.servers": world.bootstrap, "transactional.id": f"left-open.{world.pipeline}"})
    producer.init_transactions(30)
    producer.begin_transaction()
    producer.produce(topic, b"{}", partition=3)
    assert producer.flush(30) == 0
    assert [finding.status for finding in _transactions(world)] == ["ok"]  # there has been time for it to end
    (finding,) = _transactions(world, longest_s=0)
    assert (finding.status, finding.check) == ("fail", "transactions")
    assert finding.says.startswith(f"{topic}/3 cannot be read past offset 0: a transaction there has been open for ")
    consumer = Consumer({"bootstrap.servers": world.bootstrap, "group.id": f"left-open.{world.pipeline}"})
    metadata = consumer.consumer_group_metadata()
    producer.send_offsets_to_transaction([TopicPartition(topic, 3, 1)], metadata, 30)
    consumer.close()
    found = {finding.says.partition("/")[0]: finding.status for finding in _transactions(world, longest_s=0)}
    assert found == {topic: "fail", "__consumer_offsets": "warn"}  # there it may be somebody else's
    producer.abort_transaction(30)
    assert [finding.status for finding in _transactions(world, longest_s=0)] == ["ok"]


def _transactions(world: World, **longest: float) -> list[Finding]:
    settings = KafkaSettings(bootstrap_servers=world.bootstrap)
    admin = make_admin(settings)
    cluster = read_cluster(admin, topics_of([world.pipeline]), 30)
    return list(check_transactions(admin, settings, cluster, 30, **longest))


def test_doctor_says_what_waits_unread(world: World, kafka: Kafka, tmp_path: Path) -> None:
    del kafka
    picture = tmp_path / "a.jpg"
    picture.write_bytes(b"no picture")
    worker = world.start_worker().wait_ready()
    _sightline(world, "publish", world.pipeline, str(picture))
    world.wait_for_lag(f"sightline.worker.{world.pipeline}", [f"frames.{world.pipeline}"])
    worker.terminate()
    _sightline(world, "publish", world.pipeline, str(picture))
    says = [finding["says"] for finding in _doctor(world, 0) if finding["check"] == "unread"]
    assert any(f"the oldest unread record of frames.{world.pipeline} is" in text for text in says)


def test_wrong_use_names_what_is_wrong(world: World) -> None:
    assert _sightline(world, "doctor", "No/Pipeline", expect=2).stderr.startswith("sightline: 'No/Pipeline'")
    done = _sightline(world, "topics", "plan", "--file", "nowhere.yaml", expect=2)
    assert done.stderr.startswith("sightline: nowhere.yaml: ")
