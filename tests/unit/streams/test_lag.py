"""The lag where nothing is fetched comes from a client of its own, which a failure replaces."""

from concurrent.futures import Future
from types import SimpleNamespace
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, ListOffsetsResultInfo

from sightline.runtime import metrics
from sightline.runtime.clock import SystemClock
from streams.lag import LagGauges
from streams.tracker import Tracker


class Clock(SystemClock):
    """Ten seconds pass between two looks at it."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        self.seconds += 10
        return self.seconds


class Admin:
    """Says that the log ends at `end`; fails where that is None."""

    def __init__(self, end: int | None) -> None:
        self._end = end

    def list_offsets(
        self, places: dict[TopicPartition, object], **_: object
    ) -> dict[TopicPartition, Future[ListOffsetsResultInfo]]:
        answer: Future[ListOffsetsResultInfo] = Future()
        if self._end is None:
            answer.set_exception(KafkaException(KafkaError(KafkaError._TIMED_OUT)))
        else:
            answer.set_result(cast("ListOffsetsResultInfo", SimpleNamespace(offset=self._end)))
        return dict.fromkeys(places, answer)


def test_a_client_that_fails_is_replaced() -> None:
    tracker = Tracker(lambda _: None)
    tracked = tracker.assign("frames.lag", 0)
    tracked.reach(40)
    consumer = cast("Consumer", SimpleNamespace(get_watermark_offsets=lambda *_, **__: (0, -1)))
    clients = [Admin(None), Admin(100), Admin(None)]
    gauges = LagGauges(consumer, lambda: cast("AdminClient", clients.pop(0)), "lag-test", Clock())
    lag = metrics.CONSUMER_LAG.labels("lag-test", "frames.lag", "0")
    gauges.update(tracker)
    gauges.update(tracker)
    assert lag._value.get() == 0
    gauges.update(tracker)
    assert lag._value.get() == 60
    assert len(clients) == 1, "one that answers is kept"
