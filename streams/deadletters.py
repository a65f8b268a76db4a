"""Sending dead letters: one way for worker and sinks."""

from collections.abc import Callable

from schemas.deadletter import Failed, dead_letter_message
from schemas.errors import InputError
from schemas.frame import Origin
from sightline.runtime import metrics
from sightline.runtime.clock import Clock
from sightline.runtime.log import get_logger
from streams.offload import Offload
from streams.publisher import Outgoing, Publishes
from streams.tracker import Record

_log = get_logger(__name__)


class DeadLetters:
    """Publishes failed records, with their original bytes and headers. `worker` names the process in them."""

    def __init__(self, publisher: Publishes, offload: Offload, clock: Clock, worker: str) -> None:
        self._publisher = publisher
        self._offload = offload
        self._clock = clock
        self._worker = worker

    def send(
        self, pipeline: str, record: Record, error: InputError, on_done: Callable[[], None], frame_id: str | None = None
    ) -> None:
        """Publish `record` as a dead letter of `pipeline`; `on_done` is called when the broker has it.

        One that the broker refuses for its size goes with its value in the object store.
        """
        origin = Origin(record.topic, record.partition, record.offset)
        failed = Failed(record.key, record.value, record.headers, origin, record.timestamp_ms)
        message = dead_letter_message(
            pipeline, failed, error, now=self._clock.now(), worker=self._worker, frame_id=frame_id
        )
        metrics.DEAD_LETTERS.labels(pipeline, error.stage.value, error.code.value).inc()
        _log.info(
            "dead letter",
            pipeline=pipeline,
            stage=error.stage.value,
            code=error.code.value,
            frame_id=frame_id,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )
        self._publisher.publish([Outgoing(message, self._offload.refused_dead_letter)], on_done)
