"""`/metrics`, `/health/live` and `/health/ready` of a process, over HTTP."""

import json
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from schemas.errors import ConfigurationError

# None when all is well, else what is wrong.
Probe = Callable[[], str | None]


class HealthServer:
    """Serves in a thread of its own until `stop`. `port` 0 takes a free one; `port` then says which."""

    def __init__(self, port: int, *, live: Probe, ready: Probe, host: str = "") -> None:
        """Raise ConfigurationError when the port cannot be had."""
        try:
            self._server = ThreadingHTTPServer((host, port), _handler({"/health/live": live, "/health/ready": ready}))
        except OSError as error:
            raise ConfigurationError("--http-port", f"port {port} cannot be used: {error.strerror}") from None
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, name="health", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop serving; may block for half a second."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _handler(probes: dict[str, Probe]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?", 1)[0]
            if path == "/metrics":
                self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest())
            elif path in probes:
                problem = probes[path]()
                status = HTTPStatus.OK if problem is None else HTTPStatus.SERVICE_UNAVAILABLE
                body = {"status": "ok"} if problem is None else {"status": "unavailable", "reason": problem}
                self._answer(status, "application/json", json.dumps(body).encode())
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", b"/metrics /health/live /health/ready\n")

        def _answer(self, status: HTTPStatus, media_type: str, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Probes every few seconds are no news."""

    return Handler
