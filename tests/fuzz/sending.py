"""Sends malformed messages, and remembers where each lies."""

import subprocess
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from confluent_kafka import KafkaError, Message, Producer

from tests.fuzz.stream import Malformed

Place = tuple[str, int, int]


class Sender:
    """`places` has what is acknowledged by place; what kcat sent is only counted, by topic, and what was too large."""

    def __init__(self, bootstrap: str) -> None:
        self.places: dict[Place, str] = {}
        self.events: dict[str, Place] = {}
        self.sent: Counter[str] = Counter()
        self.unplaced: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.complaints: Counter[str] = Counter()
        self._bootstrap = bootstrap
        self._producer = Producer({
            "bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "enable.idempotence": True,
            "message.max.bytes": 20_000_000, "queue.buffering.max.kbytes": 100_000, "linger.ms": 20, "log_level": 2,
        })  # fmt: skip

    def send(self, messages: Iterable[Malformed]) -> None:
        """Send all and wait until they are acknowledged."""
        raw: dict[tuple[str, bytes], list[bytes]] = defaultdict(list)
        for message in messages:
            self.sent[message.kind] += 1
            self.complaints[message.topic] += bool(message.complaint)
            if message.raw_name is not None:
                raw[message.topic, message.raw_name].append(message.value or b"nothing")
            else:
                self._produce(message)
        assert self._producer.flush(120) == 0
        for (topic, name), values in raw.items():
            self._send_raw(topic, name, values)

    def _produce(self, message: Malformed) -> None:
        acknowledged = partial(self._acknowledged, message)
        while True:
            try:
                self._producer.produce(
                    message.topic, message.value, message.key, headers=list(message.headers), on_delivery=acknowledged
                )
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return

    def _acknowledged(self, sent: Malformed, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            # The broker itself turned it away: nobody has to answer for it.
            assert error.code() == KafkaError.MSG_SIZE_TOO_LARGE, error
            self.refused[sent.kind] += 1
            self.complaints[sent.topic] -= bool(sent.complaint)
            return
        place = (message.topic() or "", message.partition() or 0, message.offset() or 0)
        self.places[place] = sent.kind
        if sent.kind in {"replayed frame", "replay command"} and not sent.complaint:
            event_id = next((value.decode() for name, value in sent.headers if name == "ce_id" and value), "")
            self.events[event_id] = place

    def _send_raw(self, topic: str, name: bytes, values: list[bytes]) -> None:
        """Send one message for each value, all with a header of that name; kcat takes any bytes."""
        with tempfile.TemporaryDirectory() as folder:
            files = [Path(folder) / str(number) for number in range(len(values))]
            for file, value in zip(files, values, strict=True):
                file.write_bytes(value)
            header = [b"-H", name + b"=1", b"-H", b"ce_id=raw"]
            subprocess.run(["kcat", "-P", "-b", self._bootstrap, "-t", topic, *header, *map(str, files)], check=True)
        self.unplaced[topic] += len(values)
