"""`delivery: exactly-once`: whatever happens to workers, a reader of committed records finds every answer once."""

import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from schemas import topics
from sightline.runtime.faults import CRASHING
from tests.audit import read_letter
from tests.pictures import TEN_WAYS, headers, jpeg
from tests.services import Kafka
from tests.world import Published, Running, World, wait_for

pytestmark = [pytest.mark.services, pytest.mark.chaos]
SESSION_S = 3


def _exactly_once(world: World) -> None:
    definition = world.folder / "pipelines" / f"{world.pipeline}.yaml"
    definition.write_text(f"{definition.read_text(encoding='utf-8')}delivery: exactly-once\n", encoding="utf-8")
    config = world.folder / "sooner.yaml"
    config.write_text(
        yaml.safe_dump(
            {"kafka": {"properties": {"session.timeout.ms": SESSION_S * 1000, "heartbeat.interval.ms": 300}}}
        )
    )
    world.env["SIGHTLINE_CONFIG"] = str(config)


def _publish(world: World, count: int, name: str) -> list[Published]:
    """Publish frames of which every twentieth cannot succeed."""
    good = ((jpeg(n), headers(f"{name}{n}", f"/cameras/{n % 24}")) for n in range(count))
    bad = [TEN_WAYS[n % 2].make(n, f"{name}-broken{n}", f"/cameras/{n}") for n in range(count // 20)]
    return world.publish(good) + world.publish(bad)


def _assert_once(world: World, published: list[Published]) -> None:
    """Compare the topics, as a reader of committed records sees them, with what was published."""
    count = len(published)
    answered = [topics.results(world.pipeline), topics.dead_letters(world.pipeline)]
    wait_for(lambda: sum(len(world.read(topic)) for topic in answered) >= count, 120, f"{count} answers", 0.5)
    results = Counter(result["result_id"] for result in world.results())
    letters = Counter(read_letter(message).dl_id for message in world.dead_letters())
    assert set(results.values()) | set(letters.values()) == {1}
    assert len(results) + len(letters) == count
    # One for each result; the parts of a transaction become visible one after the other.
    pictures = topics.artifacts(world.pipeline)
    wait_for(lambda: len(world.read(pictures)) >= len(results), 30, "the pictures too", 0.5)
    assert len(world.read(pictures)) == len(results)


def _written(world: World) -> int:
    """Count results that were written, whatever became of their transaction."""
    topic = topics.results(world.pipeline)
    reader = Consumer({
        "bootstrap.servers": world.bootstrap, "group.id": "tests.dirty", "isolation.level": "read_uncommitted",
        "enable.partition.eof": True,
    })  # fmt: skip
    try:
        partitions = world.partitions(topic)
        reader.assign([TopicPartition(topic, partition, 0) for partition in partitions])
        ended = written = 0
        while ended < len(partitions):
            message = reader.poll(5)
            assert message is not None
            written, ended = (written + 1, ended) if message.error() is None else (written, ended + 1)
        return written
    finally:
        reader.close()


def _transactions(worker: Running, outcome: str) -> float:
    return worker.metric("sightline_transactions_total", outcome=outcome)


def test_killed_aborted_and_shut_out(world: World) -> None:
    _exactly_once(world)
    doomed = [
        world.start_worker({"SIGHTLINE_FAULT_POINT": point, "SIGHTLINE_WORKER_SLOT": point.partition(":")[0]})
        for point in ("in-transaction:4", "before-commit:4")
    ]
    for worker in doomed:
        worker.wait_ready()
    published = _publish(world, 400, "killed")
    for worker in doomed:
        wait_for(lambda worker=worker: worker.process.poll() == -9, 60, "death in a transaction")  # type: ignore[misc]
    # Those who take over the names end what was left open, before its time is over.
    heirs = [world.start_worker({"SIGHTLINE_WORKER_SLOT": name}) for name in ("in-transaction", "before-commit")]
    for heir in heirs:
        heir.wait_ready()

    # A topic that refuses what it is sent: aborted, waited for, nobody blamed.
    world.set_topic(topics.results(world.pipeline), "max.message.bytes", "100")
    published += _publish(world, 100, "refused")
    wait_for(lambda: sum(_transactions(heir, "aborted") for heir in heirs) >= 2, 60, "aborts")
    wait_for(lambda: not any(heir.ready() for heir in heirs), 30, "nobody ready")
    world.set_topic(topics.results(world.pipeline), "max.message.bytes", str(16 * 1024 * 1024))

    # Somebody else takes the name of a live worker.
    group = topics.group("worker", world.pipeline)
    thief = Producer({"bootstrap.servers": world.bootstrap, "transactional.id": f"{group}.before-commit"})
    thief.init_transactions(30)
    published += _publish(world, 100, "stolen")
    wait_for(lambda: _transactions(heirs[1], "dropped") >= 1, 60, "another producer")

    # A few cameras flood, of which an alert tells, and a worker is killed meanwhile.
    published += world.publish(TEN_WAYS[5].make(n, f"flood{n}", f"/cameras/bad/{n % 4}") for n in range(600))
    published += _publish(world, 300, "more")
    time.sleep(0.7)
    heirs[0].kill()
    world.start_worker({"SIGHTLINE_WORKER_SLOT": "in-transaction"})
    _assert_once(world, published)
    alerts = Counter(one["alert_id"] for one in world.alerts() if one.get("rule") == "dead-letter-flood"
                     and one.get("pipeline") == world.pipeline)  # fmt: skip
    assert set(alerts.values()) == {1}
    assert _written(world) > len(world.results())  # there was something to take back


def test_lost_offsets_are_reported_once_and_without_overlap(world: World) -> None:
    """Killed before the report is committed, and after it, while retention takes more: alert and offset go together."""
    _exactly_once(world)
    frames, group = topics.frames(world.pipeline), topics.group("worker", world.pipeline)
    published = world.publish((jpeg(n), headers(f"lost{n}", "/cameras/1")) for n in range(60))
    partition = published[0].partition
    reader = Consumer({"bootstrap.servers": world.bootstrap, "group.id": group})
    reader.commit(offsets=[TopicPartition(frames, partition, 10)], asynchronous=False)
    reader.close()
    admin = AdminClient({"bootstrap.servers": world.bootstrap})
    for low, fault in ((40, "before-commit:1"), (45, "before-commit:2"), (50, None)):
        for done in admin.delete_records([TopicPartition(frames, partition, low)]).values():
            done.result(30)
        point = {} if fault is None else {"SIGHTLINE_FAULT_POINT": fault}
        # Transactions of a second group would be counted, too.
        worker = world.start("worker", world.pipeline, "--no-replay", env={"SIGHTLINE_WORKER_SLOT": "only", **point})
        if fault is not None:
            wait_for(lambda worker=worker: worker.process.poll() == -9, 60, "death in a transaction")  # type: ignore[misc]
    _assert_once(world, [item for item in published if item.offset >= 50])
    lost = [alert["facts"] for alert in world.alerts() if alert.get("pipeline") == world.pipeline]
    assert sorted((one["from_offset"], one["to_offset"]) for one in lost) == [(10, 45), (45, 50)]


def test_a_broker_that_is_away_for_half_a_minute(world: World, kafka: Kafka) -> None:
    """Its coordinators are gone from the client's view meanwhile, and must be found anew."""
    _exactly_once(world)
    worker = world.start_worker().wait_ready()
    published = _publish(world, 100, "before")
    wait_for(lambda: _transactions(worker, "committed") >= 1, 60, "a commit")
    kafka.kill()
    time.sleep(35)  # longer than a client waits before it forgets a broker
    kafka.start()
    published += _publish(world, 100, "after")
    _assert_once(world, published)
    assert worker.process.poll() is None
    worker.wait_ready()


def test_frozen_past_its_session_and_then_continued(world: World) -> None:
    _exactly_once(world)
    frozen = [
        world.start_worker({"SIGHTLINE_FAULT_POINT": f"{point}:3:freeze"})
        for point in ("in-transaction", "before-commit")
    ]
    for worker in frozen:
        worker.wait_ready()
    other = world.start_worker().wait_ready()
    published = _publish(world, 500, "frozen")
    for worker in frozen:
        wait_for(lambda worker=worker: _is_frozen(worker), 60, "frozen")  # type: ignore[misc]
    all_partitions = len(world.partitions(topics.frames(world.pipeline)))
    group = topics.group("worker", world.pipeline)
    wait_for(lambda: other.metric("sightline_partitions", group=group) == all_partitions, 60, "all are the other's")
    time.sleep(1)
    for worker in frozen:
        os.kill(worker.working_pid, signal.SIGCONT)
    published += _publish(world, 200, "after")
    assert other.terminate() == 0  # with work in hand: its transaction is over before its partitions are another's
    _assert_once(world, published)
    for worker in frozen:
        worker.wait_ready(60)
    # What was not sent with its offsets in time can never be: its worker is out of the group.
    assert _transactions(frozen[0], "aborted") + _transactions(frozen[0], "dropped") >= 1


def test_a_frame_that_kills_the_process_is_one_dead_letter_and_each_neighbour_one_result(world: World) -> None:
    _exactly_once(world)
    worker = world.start_worker({"SIGHTLINE_FAULT_PICTURES": "true"})
    pictures = [jpeg(n) for n in range(30)]
    pictures[7] += CRASHING
    published = world.publish((picture, headers(f"e{n}", "/cameras/1")) for n, picture in enumerate(pictures))
    _assert_once(world, published)
    [letter] = map(read_letter, world.dead_letters())
    assert (letter.code, letter.origin) == ("process_killed", published[7].origin)
    assert worker.metric("sightline_worker_deaths_total", cause="SIGSEGV") == 2


def _is_frozen(worker: Running) -> bool:
    stat = Path(f"/proc/{worker.working_pid}/stat").read_text(encoding="ascii")
    return stat.rsplit(") ", 1)[1].startswith("T")
