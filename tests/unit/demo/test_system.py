"""A process's pages: there, refused, slow, or gone in the midst of an answer."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from schemas.errors import OutageError
from sightline.demo import system as module
from sightline.demo.system import WORKER, System


@contextmanager
def _answering(answer: bytes | None) -> Iterator[System]:
    """A system whose worker sends these bytes, or none at all, and closes each connection."""
    ended = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(4096)
                if answer is None:
                    ended.wait(5)
                else:
                    connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        system = System("civic", [], Path())
        system._pages[WORKER] = f"http://127.0.0.1:{server.getsockname()[1]}"
        yield system
        ended.set()
        thread.join()


def test_a_page_is_its_text() -> None:
    with _answering(b"HTTP/1.0 200 OK\r\n\r\nlag 3\n") as system:
        assert system.page(WORKER, "metrics") == "lag 3\n"


def test_a_refusal_is_no_page() -> None:
    with _answering(b"HTTP/1.0 503 Service Unavailable\r\n\r\n") as system:
        assert system.page(WORKER, "health/ready") is None


def test_a_slow_process_has_not_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PAGE_TIMEOUT_S", 0.05)
    with _answering(None) as system:
        assert system.page(WORKER, "metrics") is None


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.0 200 OK\r\nContent-Length: 900\r\n\r\nlag"])
def test_a_process_that_dies_while_it_answers_has_ended(answer: bytes) -> None:
    with _answering(answer) as system, pytest.raises(OutageError, match="worker: the process has ended"):
        system.page(WORKER, "metrics")


def test_a_process_that_is_gone_has_ended() -> None:
    with _answering(b"HTTP/1.0 200 OK\r\n\r\n") as system:
        system.page(WORKER, "metrics")
    with pytest.raises(OutageError, match="the process has ended"):
        system.page(WORKER, "metrics")
