"""Reads answers as another system would: from the topics, in no group, disturbing nobody."""

import threading
from collections.abc import Sequence
from contextlib import closing
from typing import cast

from confluent_kafka import OFFSET_BEGINNING, KafkaException, Message, TopicPartition
from pydantic import ValidationError

from schemas import topics
from schemas.deadletter import parse_dead_letter
from schemas.errors import SightlineError
from schemas.frame import Origin
from schemas.headers import Headers
from schemas.result import Result
from sightline.demo.tally import Answer, Tally
from sightline.runtime.kafka import make_reader, map_kafka_error
from sightline.runtime.settings import KafkaSettings
from sinks.objects.keys import dead_letter_key

_TIMEOUT_S = 10.0
_POLL_S = 0.05


class Reader:
    """Reads results and dead letters of all pipelines into `tally`, from their topics' beginning."""

    def __init__(self, settings: KafkaSettings, pipelines: Sequence[str], tally: Tally) -> None:
        self._settings = settings
        self._letters = {topics.dead_letters(pipeline): pipeline for pipeline in pipelines}
        self._topics = [*self._letters, *map(topics.results, pipelines)]
        self._tally = tally

    def run(self, stop: threading.Event) -> None:
        """Read until `stop`. Raises SightlineError: the broker is gone, or an answer cannot be read."""
        try:
            with closing(make_reader(self._settings)) as consumer:
                described = consumer.list_topics(timeout=_TIMEOUT_S).topics
                consumer.assign([
                    TopicPartition(topic, partition, OFFSET_BEGINNING)
                    for topic in self._topics
                    for partition in described[topic].partitions
                ])  # fmt: skip
                while not stop.is_set():
                    for message in consumer.consume(100, _POLL_S):
                        if message.error() is None:
                            self._tally.answered(self._answer(message))
        except KafkaException as error:
            raise map_kafka_error(error.args[0]) from error
        except ValidationError as error:
            raise SightlineError(f"a result cannot be read: {error.error_count()} fields are wrong") from None

    def _answer(self, message: Message) -> Answer:
        key, value = message.key(), message.value()
        source = None if key is None else key.decode("utf-8", "replace")
        size_bytes = len(value or b"")
        pipeline = self._letters.get(message.topic() or "")
        if pipeline is not None:
            letter = parse_dead_letter(cast("Headers", message.headers() or []))
            promised = () if value is None else (dead_letter_key(pipeline, letter.dl_id),)
            return Answer(letter.origin, letter, letter.time, promised, source, size_bytes, (size_bytes,))
        result = Result.model_validate_json(value or b"")
        place = result.origin
        if place is None:
            raise SightlineError("a result does not say which record it answers")
        artifacts = result.artifacts or []
        return Answer(
            Origin(place.topic, place.partition, place.offset),
            result,
            result.processed_at,
            tuple(artifact.key for artifact in artifacts),
            source,
            size_bytes,
            tuple(artifact.size_bytes for artifact in artifacts),
        )
