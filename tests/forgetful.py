"""A Kafka broker that says in its last moments that there are none: what one that shuts down does."""

import socketserver
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from aiokafka.protocol.admin import ApiVersionResponse_v0
from aiokafka.protocol.metadata import MetadataResponse_v1

_METADATA, _COORDINATOR, _VERSIONS, _PRODUCER_ID = 3, 10, 18, 22
# What it knows, besides, of Produce, Fetch and ListOffsets: without them a client is too new for it.
_KNOWN = [(0, 0, 7), (1, 0, 11), (2, 0, 2), (_METADATA, 1, 1), (_COORDINATOR, 1, 1), (_VERSIONS, 0, 0),
          (_PRODUCER_ID, 0, 1)]  # fmt: skip
_UNSUPPORTED_VERSION, _NO_LEADER, _LOADING, _NO_COORDINATOR = 35, 5, 14, 15
# So much that the client is still reading it when it sees its connection end.
_TOPICS, _PARTITIONS = 800, 100


class ForgetfulBroker(socketserver.ThreadingTCPServer):
    """Answers who is there, and nothing else. While `leaving`, nobody is, and connections end with that answer."""

    daemon_threads = True
    request_queue_size = 50

    def __init__(self, topic: str) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.port: int = self.server_address[1]
        self.leaving = False
        self._topic = topic

    @property
    def bootstrap(self) -> str:
        """The address for `bootstrap.servers`."""
        return f"127.0.0.1:{self.port}"

    def metadata(self) -> bytes:
        brokers = [] if self.leaving else [(1, "127.0.0.1", self.port, None)]
        names = [self._topic, *(f"other-{number}" for number in range(_TOPICS if self.leaving else 0))]
        partitions = [(_NO_LEADER, number, -1, [1], [1]) for number in range(_PARTITIONS)]
        described = [(0, name, False, partitions) for name in names]
        return bytes(MetadataResponse_v1(brokers, -1, described).encode())


class _Connection(socketserver.StreamRequestHandler):
    server: ForgetfulBroker

    def handle(self) -> None:
        while size := self.rfile.read(4):
            request = self.rfile.read(*struct.unpack(">i", size))
            key, version, number = struct.unpack(">hhi", request[:8])
            leaving = self.server.leaving
            body = struct.pack(">i", number) + self._answer(key, version)
            self.wfile.write(struct.pack(">i", len(body)) + body)
            if leaving and key == _METADATA:
                return

    def _answer(self, key: int, version: int) -> bytes:
        match key:
            case 3:
                return self.server.metadata()
            case 10:
                return struct.pack(">ihhihi", 0, _NO_COORDINATOR, -1, -1, 0, -1)
            case 18:
                return bytes(ApiVersionResponse_v0(_UNSUPPORTED_VERSION if version else 0, _KNOWN).encode())
            case 22:
                return struct.pack(">ihqh", 0, _LOADING, -1, -1)
        raise NotImplementedError(key)


@contextmanager
def forgetful_broker(topic: str) -> Iterator[ForgetfulBroker]:
    """Serve one until the block ends."""
    with ForgetfulBroker(topic) as broker:
        threading.Thread(target=broker.serve_forever, daemon=True).start()
        yield broker
        broker.shutdown()
