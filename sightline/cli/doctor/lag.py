"""What our groups have not read yet, and how soon retention takes it."""

from collections.abc import Iterator
from contextlib import closing

from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from sightline.cli.doctor.clocks import age_s, ahead_s
from sightline.cli.doctor.finding import Finding, fail, ok, warn
from sightline.runtime.kafka import make_consumer, make_reader, map_kafka_error
from sightline.runtime.settings import KafkaSettings
from streams.read import TopicRecord, read_records
from streams.topics import ClusterState

_CHECK = "unread"
_PREFIX = "sightline."
# Half of the retention gone says that the group falls behind, nine tenths that there is little time left.
_WARN_SHARE = 0.5
_FAIL_SHARE = 0.9
_AHEAD_S = 1.0


def check_unread(
    admin: AdminClient, settings: KafkaSettings, cluster: ClusterState, timeout_s: float
) -> Iterator[Finding]:
    """Compare the age of each group's oldest unread record with the retention of its topic. Raises OutageError."""
    try:
        groups = admin.list_consumer_groups(request_timeout=timeout_s).result(timeout_s)
        names = sorted(group.group_id for group in groups.valid if group.group_id.startswith(_PREFIX))
        positions = {name: _positions(settings, name, cluster, timeout_s) for name in names}
        unread = {name: _behind(settings, places, timeout_s) for name, places in positions.items() if places}
    except KafkaException as error:
        raise map_kafka_error(error.args[0]) from error
    clock = None
    for group, places in unread.items():
        records = read_records(settings, places, timeout_s=timeout_s) if places else []
        yield _judge(group, records, cluster)
        clock = clock or next((record for record in records if ahead_s(record) > _AHEAD_S), None)
    if clock is not None:
        says = f"the broker's clock is at least {ahead_s(clock):.0f} s ahead of ours"
        yield warn("kafka", says, "set both clocks by NTP")


def _positions(settings: KafkaSettings, group: str, cluster: ClusterState, timeout_s: float) -> list[TopicPartition]:
    """Ask as a consumer that never joins: an admin client may crash over it (librdkafka issue 5040)."""
    places = cluster.places()
    if not places:
        return []
    with closing(make_consumer(settings, group)) as consumer:
        return [place for place in consumer.committed(places, timeout=timeout_s) if place.offset >= 0]


def _behind(settings: KafkaSettings, places: list[TopicPartition], timeout_s: float) -> list[TopicPartition]:
    """Keep the places after which there is more; one whose record is gone by now moves to the oldest that is left."""
    reader = make_reader(settings)
    try:
        behind = []
        for place in places:
            low, high = reader.get_watermark_offsets(place, timeout=timeout_s)
            if place.offset < high and low < high:
                behind.append(TopicPartition(place.topic, place.partition, max(place.offset, low)))
        return behind
    finally:
        reader.close()


def _judge(group: str, records: list[TopicRecord], cluster: ClusterState) -> Finding:
    if not records:
        return ok(_CHECK, f"{group} has read everything")
    share, oldest = max(((_share(record, cluster), record) for record in records), key=lambda pair: pair[0])
    says = f"{group}: the oldest unread record of {oldest.topic} is {age_s(oldest):.0f} s old"
    if share < _WARN_SHARE:
        return ok(_CHECK, says)
    says += f", {share:.0%} of its retention"
    advice = "start more workers or sinks, or lengthen retention_hours, before records expire unread"
    return fail(_CHECK, says, advice) if share >= _FAIL_SHARE else warn(_CHECK, says, advice)


def _share(record: TopicRecord, cluster: ClusterState) -> float:
    retention_ms = int(cluster.topics[record.topic].settings["retention.ms"])
    return 0.0 if retention_ms < 0 else age_s(record) * 1000 / retention_ms
