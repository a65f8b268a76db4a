"""Where reading begins: new groups, new partitions, and offsets that retention took."""

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions

from schemas import topics
from tests.audit import assert_sound
from tests.pictures import headers, jpeg
from tests.world import World, wait_for

pytestmark = pytest.mark.services


def test_a_partition_added_later_is_read_from_its_beginning(world: World) -> None:
    worker, *_ = world.start_all()
    admin = AdminClient({"bootstrap.servers": world.bootstrap})
    frames = topics.frames(world.pipeline)
    before = len(world.partitions(frames))
    for done in admin.create_partitions([NewPartitions(frames, before + 4)]).values():
        done.result(30)
    wait_for(lambda: len(world.partitions(frames)) == before + 4, 10, "more partitions")
    # Published before the worker knows of the new partitions.
    published = world.publish((jpeg(n), headers(f"e{n}", f"/cameras/{n}")) for n in range(100))
    assert any(item.partition >= before for item in published)
    world.wait_for_rows(100)
    assert_sound(world, published)
    assert worker.metric("sightline_partitions", group=topics.group("worker", world.pipeline)) == before + 4


def test_offsets_that_retention_took_become_an_alert_a_metric_and_a_row(world: World) -> None:
    """The group had read up to 10; records up to 40 are deleted; it says so, and goes on at 40."""
    frames = topics.frames(world.pipeline)
    group = topics.group("worker", world.pipeline)
    published = world.publish((jpeg(n), headers(f"e{n}", "/cameras/1")) for n in range(60))
    partition = published[0].partition
    reader = Consumer({"bootstrap.servers": world.bootstrap, "group.id": group})
    reader.commit(offsets=[TopicPartition(frames, partition, 10)], asynchronous=False)
    reader.close()
    admin = AdminClient({"bootstrap.servers": world.bootstrap})
    for done in admin.delete_records([TopicPartition(frames, partition, 40)]).values():
        done.result(30)
    worker, *_ = world.start_all()
    world.wait_for_rows(20)
    assert world.count_rows() == (20, 0)
    assert_sound(world, [item for item in published if item.offset >= 40])
    assert worker.metric("sightline_offsets_lost_total") == 30
    facts = "SELECT consumer_group, topic, partition, from_offset, to_offset FROM gaps WHERE topic = :topic"
    wait_for(lambda: world.sql(facts, topic=frames), 30, "a row in gaps")
    assert [tuple(row) for row in world.sql(facts, topic=frames)] == [(group, frames, partition, 10, 40)]
    alerts = world.alerts()
    [alert] = [alert for alert in alerts if alert.get("pipeline") == world.pipeline]
    assert alert["rule"] == "offsets-lost"
    assert alert["facts"]["from_offset"] == 10


def test_topics_that_do_not_exist_yet_are_waited_for(world: World) -> None:
    admin = AdminClient({"bootstrap.servers": world.bootstrap})
    names = [kind(world.pipeline) for kind in (topics.frames, topics.results, topics.artifacts, topics.dead_letters)]
    for done in admin.delete_topics(names).values():
        done.result(30)
    wait_for(lambda: not set(names) & set(admin.list_topics(timeout=10).topics), 30, "no topics")
    processes = [world.start_worker(), world.start_sink("postgres"), world.start_sink("objects")]
    wait_for(lambda: all("no topic" in process.get("/health/ready")[1] for process in processes), 60, "they wait")
    assert all(process.get("/health/live")[0] == 200 for process in processes)
    world.run("topics", "apply", world.pipeline, "--yes")
    published = world.publish((jpeg(n), headers(f"e{n}", "/cameras/1")) for n in range(20))
    world.wait_for_rows(20)
    assert_sound(world, published)
    for process in processes:
        process.wait_ready()


def test_transaction_markers_are_no_lag(world: World) -> None:
    producer = Producer({"bootstrap.servers": world.bootstrap, "transactional.id": world.pipeline})
    producer.init_transactions(30)
    for n in range(3):
        producer.begin_transaction()
        head = headers(f"e{n}", "/cameras/1")
        producer.produce(topics.frames(world.pipeline), jpeg(n), b"/cameras/1", headers=[*head])
        producer.commit_transaction(30)
    worker = world.start_worker()
    wait_for(lambda: len(world.results()) == 3, 60, "3 results")
    labels = {"topic": topics.frames(world.pipeline)}
    world.wait_for_lag(topics.group("worker", world.pipeline), [topics.frames(world.pipeline)], 30)
    wait_for(lambda: worker.metric("sightline_consumer_lag", **labels) == 0, 30, "no lag")
    wait_for(lambda: worker.metric("sightline_consumer_lag_seconds", **labels) == 0, 30, "no age")


def test_lag_is_told_in_offsets_and_in_seconds(world: World) -> None:
    published = world.publish((jpeg(n), headers(f"e{n}", "/cameras/1")) for n in range(50))
    worker = world.start_worker({"SIGHTLINE_CLAIMS_TIMEOUT_S": "5"})
    wait_for(lambda: len(world.results()) == 50, 60, "50 results")
    partition = str(published[0].partition)
    labels = {"topic": topics.frames(world.pipeline), "partition": partition}
    wait_for(lambda: worker.metric("sightline_consumer_lag", **labels) == 0, 10, "no lag")
    assert worker.metric("sightline_consumer_lag_seconds", **labels) == 0
    sink = world.start_sink("postgres", {"SIGHTLINE_DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none"})
    wait_for(lambda: not sink.ready(), 30, "the sink waits")
    results = {"topic": topics.results(world.pipeline)}
    wait_for(lambda: sink.metric("sightline_consumer_lag_seconds", **results) > 2, 30, "the oldest record's age")
