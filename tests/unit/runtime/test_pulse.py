"""Whether a Kafka client still works shows also where there is no broker, and only while it is polled."""

import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from schemas.errors import ConfigurationError
from schemas.message import Message
from sightline.runtime import pulse
from sightline.runtime.clock import Clock
from sightline.runtime.kafka import (
    DEAD_LETTER_LIMIT_BYTES,
    OnStatistics,
    make_consumer,
    make_producer,
    make_reader,
)
from sightline.runtime.pulse import Pulse
from sightline.runtime.settings import KafkaSettings
from streams.follow import reader_of
from streams.publisher import Outgoing, Publisher
from tests.forgetful import forgetful_broker
from tests.world import wait_for

WELL = '{"brokers": {"b": {"source": "configured"}}}'
NOWHERE = KafkaSettings(bootstrap_servers="127.0.0.1:1")


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.s = 1000.0
        self.clock = cast("Clock", SimpleNamespace(monotonic=lambda: self.s))


def _consumer(on_statistics: OnStatistics) -> Consumer:
    return make_consumer(NOWHERE, "g", on_statistics=on_statistics)


def _reader(on_statistics: OnStatistics, settings: KafkaSettings = NOWHERE) -> Consumer:
    return make_reader(settings, on_statistics=on_statistics)


def _producer(on_statistics: OnStatistics, settings: KafkaSettings = NOWHERE) -> Producer:
    return make_producer(settings, on_statistics=on_statistics)


@pytest.mark.parametrize("make", [_consumer, _reader, _producer])
def test_a_client_that_is_polled_gives_signs_of_life(
    make: Callable[[OnStatistics], Consumer | Producer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "EVERY_S", 0.05)
    beats: list[str] = []
    client = make(beats.append)
    time.sleep(0.2)
    assert not beats

    def heard() -> bool:
        client.poll(0.01)
        return len(beats) > 3

    wait_for(heard, 10, "statistics")


def test_one_that_gives_none_for_half_a_minute_is_of_no_use() -> None:
    hands = Hands()
    taken = Pulse("the client", hands.clock)
    hands.s += 1000
    assert taken.stopped() is None, "not begun yet"
    taken.begin()
    hands.s += 29
    assert taken.stopped() is None
    taken.beat(WELL)
    hands.s += 29
    assert taken.stopped() is None
    hands.s += 2
    assert taken.stopped() == "the client has given no sign of life for 31 s"
    taken.beat(WELL)
    assert taken.stopped() is None
    taken.end()
    hands.s += 1000
    assert taken.stopped() is None


@pytest.mark.parametrize(("every_s", "well"), [(0.05, True), (100.0, False)])
def test_a_publisher_says_when_its_client_hangs(every_s: float, monkeypatch: pytest.MonkeyPatch, *, well: bool) -> None:
    monkeypatch.setattr(pulse, "EVERY_S", every_s)
    hands = Hands()
    publisher = Publisher(NOWHERE, hands.clock)
    try:
        hands.s += 31
        if well:
            wait_for(lambda: publisher.stalled() is None, 10, "statistics")
        else:
            assert publisher.stalled() is not None
    finally:
        publisher.close(0)


def test_a_message_that_is_refused_may_take_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "EVERY_S", 100.0)
    hands = Hands()
    publisher = Publisher(NOWHERE, hands.clock)
    stalled: list[str | None] = []

    def replace(message: Message) -> Message:
        hands.s += 31
        stalled.append(publisher.stalled())
        return message

    publisher.publish([Outgoing(Message("t", None, b"x" * (DEAD_LETTER_LIMIT_BYTES + 1)), replace)], lambda: None)
    assert stalled[0] is not None
    assert publisher.stalled() is None
    publisher.close(0)


def test_nobody_waits_for_room_in_a_client_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "EVERY_S", 100.0)
    hands = Hands()
    full = KafkaSettings(bootstrap_servers="127.0.0.1:1", properties={"queue.buffering.max.messages": 1})
    publisher = Publisher(full, hands.clock)
    publisher.publish([Outgoing(Message("t", None, b"fills it"))], lambda: None)
    waits = Outgoing(Message("t", None, b"waits"))
    thread = threading.Thread(target=publisher.publish, args=([waits], lambda: None))
    thread.start()
    thread.join(0.3)
    assert thread.is_alive()
    hands.s += 31
    thread.join(10)
    assert not thread.is_alive()
    assert not publisher.flush(0), "both wait for their acknowledgements"
    hands.s += 100
    wait_for(lambda: not publisher._retries, 10, "the publisher's own thread at the second one")
    closing = threading.Thread(target=publisher.close, args=(0,), daemon=True)
    closing.start()
    closing.join(10)
    assert not closing.is_alive()


def test_a_reader_is_only_expected_to_work_while_it_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pulse, "EVERY_S", 0.05)
    hands = Hands()
    taken = Pulse("the reader", hands.clock)
    with reader_of(NOWHERE, taken) as consumer:
        hands.s += 60
        assert taken.stopped() is not None
        wait_for(lambda: consumer.consume(1, 0.01) == [] and taken.stopped() is None, 10, "statistics")
    hands.s += 60
    assert taken.stopped() is None


def test_nobody_else_may_say_how_often() -> None:
    settings = KafkaSettings(bootstrap_servers="127.0.0.1:1", properties={"statistics.interval.ms": 0})
    with pytest.raises(ConfigurationError, match=r"statistics\.interval\.ms"):
        make_consumer(settings, "g")


@pytest.mark.parametrize("make", [_reader, _producer])
def test_a_client_may_forget_its_brokers_for_good(
    make: Callable[[OnStatistics, KafkaSettings], Consumer | Producer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "EVERY_S", 0.05)
    hands = Hands()
    taken = Pulse("the client", hands.clock)
    with forgetful_broker("t") as broker:
        client = make(taken.beat, KafkaSettings(bootstrap_servers=broker.bootstrap))
        if isinstance(client, Consumer):
            client.assign([TopicPartition("t", 0)])
        else:
            client.produce("t", b"waits")

        def turn_for(seconds: float) -> None:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                client.poll(0.01)

        def forgot() -> bool:
            """Whether it did when the broker left: a matter of milliseconds, so that it must leave more than once."""
            broker.leaving = False
            turn_for(1)
            broker.leaving = True
            turn_for(1)
            hands.s += 31
            turn_for(0.2)
            return taken.stopped() is not None

        wait_for(forgot, 60, "a client that has forgotten")
        assert "the client has known no broker" in (taken.stopped() or "")
        broker.leaving = False
        turn_for(3)
        assert taken.stopped() is not None, "it never looks again"


@pytest.mark.parametrize("make", [_reader, _producer])
def test_in_an_outage_a_client_goes_on_knowing_its_brokers(
    make: Callable[[OnStatistics, KafkaSettings], Consumer | Producer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pulse, "EVERY_S", 0.05)
    hands = Hands()
    taken = Pulse("the client", hands.clock)
    beats: list[str] = []

    def heard(count: int) -> bool:
        client.poll(0.01)
        return len(beats) >= count

    with forgetful_broker("t") as broker:
        client = make(beats.append, KafkaSettings(bootstrap_servers=broker.bootstrap))
        wait_for(lambda: heard(10), 10, "statistics", 0.01)
    wait_for(lambda: heard(70), 20, "statistics", 0.01)
    for statistics in beats:
        hands.s += 20
        taken.beat(statistics)
        assert taken.stopped() is None
