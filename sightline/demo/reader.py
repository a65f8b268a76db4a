"""Reads answers as another system would: from the topics, in no group, disturbing nobody."""

import threading
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
    """Reads results and dead letters of a pipeline into `tally`, from `start` to `stop`.

    `failure` is what ended the thread early: the broker is gone, or an answer cannot be read.
    """

    def __init__(self, settings: KafkaSettings, pipeline: str, tally: Tally) -> None:
        self._settings = settings
        self._pipeline = pipeline
        self._topics = (topics.results(pipeline), topics.dead_letters(pipeline))
        self._tally = tally
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._read_all, name="reader", daemon=True)
        self.failure: SightlineError | None = None

    def start(self) -> None:
        """Begin to read, at the beginning of both topics."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def _read_all(self) -> None:
        try:
            with closing(make_reader(self._settings)) as consumer:
                described = consumer.list_topics(timeout=_TIMEOUT_S).topics
                consumer.assign([
                    TopicPartition(topic, partition, OFFSET_BEGINNING)
                    for topic in self._topics
                    for partition in described[topic].partitions
                ])  # fmt: skip
                while not self._stop.is_set():
                    for message in consumer.consume(100, _POLL_S):
                        if message.error() is None:
                            self._tally.answered(self._answer(message))
        except KafkaException as error:
            self.failure = map_kafka_error(error.args[0])
        except SightlineError as error:
            self.failure = error
        except ValidationError as error:
            self.failure = SightlineError(f"a result cannot be read: {error.error_count()} fields are wrong")

    def _answer(self, message: Message) -> Answer:
        key = message.key()
        source = None if key is None else key.decode("utf-8", "replace")
        if message.topic() == self._topics[1]:
            letter = parse_dead_letter(cast("Headers", message.headers() or []))
            promised = () if message.value() is None else (dead_letter_key(self._pipeline, letter.dl_id),)
            return Answer(letter.origin, letter, letter.time, promised, source)
        result = Result.model_validate_json(message.value() or b"")
        place = result.origin
        if place is None:
            raise SightlineError("a result does not say which record it answers")
        keys = tuple(artifact.key for artifact in result.artifacts or [])
        origin = Origin(place.topic, place.partition, place.offset)
        return Answer(origin, result, result.processed_at, keys, source)
