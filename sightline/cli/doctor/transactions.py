"""Transactions that do not end: whoever reads committed records stands still before them."""

from collections.abc import Iterator

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from sightline.cli.doctor.clocks import age_s
from sightline.cli.doctor.finding import Finding, fail, ok, warn
from sightline.runtime.kafka import map_kafka_error
from sightline.runtime.settings import KafkaSettings
from streams.read import read_records
from streams.topics import ClusterState

_CHECK = "transactions"
_GROUPS = "__consumer_offsets"
# Ours end within 10 s, and a broker looks every 10 s for those whose process is gone.
_LONGEST_S = 60.0


def check_transactions(
    admin: AdminClient,
    settings: KafkaSettings,
    cluster: ClusterState,
    timeout_s: float,
    *,
    longest_s: float = _LONGEST_S,
) -> Iterator[Finding]:
    """Find topics with a transaction that has been open for longer than `longest_s`. Raises OutageError."""
    places = [*cluster.places(), *_of_groups(admin, timeout_s)]
    committed = _ends(admin, places, IsolationLevel.READ_COMMITTED, timeout_s)
    written = _ends(admin, places, IsolationLevel.READ_UNCOMMITTED, timeout_s)
    open_at = [TopicPartition(*key, offset) for key, offset in committed.items() if offset < written[key]]
    everything = settings.model_copy(
        update={"properties": {**settings.properties, "isolation.level": "read_uncommitted"}}
    )
    firsts = read_records(everything, open_at, timeout_s=timeout_s) if open_at else []
    stuck = [first for first in firsts if age_s(first) > longest_s]
    for first in stuck:
        says = (
            f"{first.topic}/{first.partition} cannot be read past offset {first.offset}: a transaction there has been "
            f"open for {age_s(first):.0f} s"
        )
        advice = "see `Transactions that do not end` in the operator's guide"
        # Where offsets of groups lie, the transaction may be somebody else's.
        yield warn(_CHECK, says, advice) if first.topic == _GROUPS else fail(_CHECK, says, advice)
    if not stuck:
        yield ok(_CHECK, "none has been open for long")


def _of_groups(admin: AdminClient, timeout_s: float) -> list[TopicPartition]:
    """Return where the offsets of groups lie; nothing where we may not look."""
    try:
        found = admin.list_topics(_GROUPS, timeout=timeout_s).topics[_GROUPS]
    except KafkaException as error:
        raise map_kafka_error(error.args[0]) from error
    return [] if found.error is not None else [TopicPartition(_GROUPS, number) for number in found.partitions]


def _ends(
    admin: AdminClient, places: list[TopicPartition], level: IsolationLevel, timeout_s: float
) -> dict[tuple[str, int], int]:
    """Return the end of each partition as readers of that level see it."""
    asked = {place: OffsetSpec.latest() for place in places}  # type: ignore[no-untyped-call]
    try:
        answers = admin.list_offsets(asked, isolation_level=level, request_timeout=timeout_s) if asked else {}
        return {(place.topic, place.partition): answer.result(timeout_s).offset for place, answer in answers.items()}
    except KafkaException as error:
        raise map_kafka_error(error.args[0]) from error
