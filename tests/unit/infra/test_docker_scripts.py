import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from infra.docker import healthcheck
from infra.local.process import free_port


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health/live" else 503)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Pages) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield str(server.server_port)
        server.shutdown()
        thread.join()


def test_a_page_that_answers_200_is_healthy(port: str) -> None:
    assert healthcheck.main("/health/live", port) == 0


def test_a_page_that_answers_503_is_not(port: str) -> None:
    assert healthcheck.main("/health/ready", port) == 1


def test_nobody_there_is_not() -> None:
    assert healthcheck.main("/health/live", str(free_port())) == 1
