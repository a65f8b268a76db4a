"""Where the partitions of some topics end, and where a group that nobody is in shall begin."""

import asyncio
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from typing import Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.errors import OutageError, SetupError
from sightline.runtime.kafka import SERVICE, map_kafka_error
from streams.agents.progress import Place

_TIMEOUT_S = 4.0
_NOT_EMPTY: Final = {KafkaError.UNKNOWN_MEMBER_ID, KafkaError.NON_EMPTY_GROUP, KafkaError.REBALANCE_IN_PROGRESS}


class LogEnds:
    """Asks the broker, on a connection of its own. Raises OutageError where it gives no answer."""

    def __init__(self, admin: AdminClient, topics: Sequence[str], required: Sequence[str] = ()) -> None:
        self._admin = admin
        self._topics = topics
        self._required = [*topics, *required]

    def places(self) -> list[Place]:
        """Return every partition; may block for seconds. Raises SetupError when a topic that is required is missing."""
        try:
            known = self._admin.list_topics(timeout=_TIMEOUT_S).topics
        except KafkaException as error:
            raise map_kafka_error(error.args[0]) from error
        missing = [name for name in self._required if name not in known or known[name].error is not None]
        if missing:
            raise SetupError(SERVICE, f"no topic {', '.join(missing)}")
        return [(name, number) for name in self._topics for number in sorted(known[name].partitions)]

    def ask(self, places: Sequence[Place]) -> dict[Place, int]:
        """Return the end of each partition, as far as transactions are closed; may block for seconds."""
        return {place: _offset(answer) for place, answer in self._asked(places).items()}

    def begins(self, places: Sequence[Place]) -> dict[Place, int]:
        """Return the first offset that each partition still has; may block for seconds."""
        return {place: _offset(answer) for place, answer in self._asked(places, first=True).items()}

    async def ask_soon(self, places: Sequence[Place]) -> dict[Place, int]:
        """Do as `ask`, without blocking the event loop."""
        answers = self._asked(places)
        waited = asyncio.gather(*(asyncio.wrap_future(answer) for answer in answers.values()), return_exceptions=True)
        try:
            await asyncio.wait_for(waited, _TIMEOUT_S + 1)
        except TimeoutError:
            raise OutageError(SERVICE, "no answer") from None
        return {place: _offset(answer, 0) for place, answer in answers.items()}

    def begin_at(self, group: str, positions: Mapping[Place, int]) -> None:
        """Commit where a group shall begin; may block for seconds. Raises OutageError while somebody is in it."""
        places = [TopicPartition(*place, offset) for place, offset in positions.items()]
        asked = self._admin.alter_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group, places)], request_timeout=_TIMEOUT_S
        )
        try:
            answered = asked[group].result(_TIMEOUT_S + 1).topic_partitions or []
        except KafkaException as error:
            raise map_kafka_error(error.args[0]) from error
        except TimeoutError:
            raise OutageError(SERVICE, "no answer") from None
        refused = next((place.error for place in answered if place.error is not None), None)
        if refused is not None:
            if refused.code() in _NOT_EMPTY:
                raise OutageError(SERVICE, f"{group} has members still")
            raise map_kafka_error(refused)

    def _asked(self, places: Sequence[Place], *, first: bool = False) -> dict[Place, "Future[Any]"]:
        edge = OffsetSpec.earliest() if first else OffsetSpec.latest()  # type: ignore[no-untyped-call]  # has no types
        wanted = {TopicPartition(*place): edge for place in places}
        answers = self._admin.list_offsets(
            wanted, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_TIMEOUT_S
        )
        return {(place.topic, place.partition): answer for place, answer in answers.items()}


def _offset(answer: "Future[Any]", timeout_s: float = _TIMEOUT_S + 1) -> int:
    try:
        offset: int = answer.result(timeout_s).offset
    except KafkaException as error:
        raise map_kafka_error(error.args[0]) from error
    except TimeoutError:
        raise OutageError(SERVICE, "no answer") from None
    return offset
