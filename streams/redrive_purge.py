"""Purging dead letters: their objects go, their rows keep who, when, where and why.

In this order, so that it can be killed at any moment and run again:

1. The pipeline's lock is taken, and what an earlier purge left half-done is finished.
2. The action is recorded without an outcome.
3. The objects are deleted. An object that is not there is no error.
4. The state becomes `purged`, headers and key are cleared, the action is closed.
"""

import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

from confluent_kafka import KafkaException, TopicPartition

from schemas import topics
from schemas.errors import ConfigurationError
from sightline.runtime.kafka import make_consumer, map_kafka_error
from sinks.objects.keys import dead_letter_key
from sinks.postgres.deadletter_actions import (
    Action,
    Intent,
    Outcome,
    begin_actions,
    end_actions,
    pending_actions,
    pipeline_lock,
)
from sinks.postgres.reader import Row, read_dead_letters
from streams.redrive import Limits, Services
from streams.redrive_plan import Handled, Step

_PAGE = 200


def purge(
    services: Services, limits: Limits, pipeline: str, dl_ids: Sequence[str], *, object_sink: bool = True
) -> Iterator[Handled]:
    """Purge dead letters of one pipeline; yield each with what became of it. Blocks.

    What the object sink has not come to yet is left alone: it would write the object afterwards. Without `object_sink`
    none runs, nor will one. Raises BusyError, OutageError, SetupError, and ConfigurationError when there are objects
    and no store is set.
    """
    engine = services.engine
    with pipeline_lock(engine, pipeline):
        # 1.
        finished = _finish(services, pipeline)
        yield from (Handled(Step(dl_id, Action.PURGE)) for dl_id in finished)
        stored = _stored_offsets(services, limits, pipeline) if object_sink else {}
        for start in range(0, len(dl_ids), _PAGE):
            page = [dl_id for dl_id in dl_ids[start : start + _PAGE] if dl_id not in finished]
            rows = read_dead_letters(engine, page)
            reasons = {row["dl_id"]: _problem(row, stored) for row in rows}
            yield from (Handled(Step(dl_id, None, reason=reason)) for dl_id, reason in reasons.items() if reason)
            wanted = [row for row in rows if reasons[row["dl_id"]] is None]
            # 2.
            batch_id = str(uuid.uuid4())
            intents = [Intent(row["dl_id"], Action.PURGE, details={"state": row["state"]}) for row in wanted]
            claimed = begin_actions(engine, batch_id, limits.actor, intents, limits.states) if intents else set()
            # 3.
            _delete(services, (row for row in wanted if row["dl_id"] in claimed))
            # 4.
            end_actions(engine, batch_id, Outcome.DONE)
            yield from (_handled(row["dl_id"], claimed) for row in wanted)


def _handled(dl_id: str, claimed: set[str]) -> Handled:
    if dl_id in claimed:
        return Handled(Step(dl_id, Action.PURGE))
    reason = "an action on it was broken off, or is under way; `sightline deadletters redrive` settles it"
    return Handled(Step(dl_id, None, reason=reason))


def _finish(services: Services, pipeline: str) -> list[str]:
    pending = [one for one in pending_actions(services.engine, pipeline) if one.action is Action.PURGE]
    _delete(services, read_dead_letters(services.engine, [one.dl_id for one in pending]))
    for batch_id in dict.fromkeys(one.batch_id for one in pending):
        end_actions(services.engine, batch_id, Outcome.DONE)
    return [one.dl_id for one in pending]


def _delete(services: Services, rows: Iterable[Row]) -> None:
    for row in rows:
        if row["object_key"] is None and row["dataref"] is None:
            continue
        if services.store is None:
            raise ConfigurationError("SIGHTLINE_OBJECTS_URL", "is not set, and there are objects to delete")
        services.store.delete(dead_letter_key(row["pipeline"], row["dl_id"]))


def _problem(row: Mapping[str, Any], stored: Mapping[int, int]) -> str | None:
    if row["state"] == "purged":
        return "it is purged already"
    if row["object_key"] is not None and row["dl_offset"] >= stored.get(row["dl_partition"], row["dl_offset"] + 1):
        return "the object sink has not come to it yet, and would write its object afterwards"
    return None


def _stored_offsets(services: Services, limits: Limits, pipeline: str) -> dict[int, int]:
    """Return how far the object sink has committed, by partition."""
    topic = topics.dead_letters(pipeline)
    with closing(make_consumer(services.kafka, topics.group("sink-objects", pipeline))) as consumer:
        try:
            described = consumer.list_topics(topic, timeout=limits.timeout_s).topics[topic]
            places = [TopicPartition(topic, partition) for partition in described.partitions]
            committed = consumer.committed(places, timeout=limits.timeout_s) if places else []
        except KafkaException as error:
            raise map_kafka_error(error.args[0]) from error
    return {place.partition: max(place.offset, 0) for place in committed}
