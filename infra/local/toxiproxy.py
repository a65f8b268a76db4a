"""A proxy that cuts, delays and swallows what goes through it."""

import http.client
import json
import urllib.request
from typing import Any

from infra.local.service import LocalService
from infra.local.tools import toxiproxy


class Toxiproxy(LocalService):
    """Proxies on 127.0.0.1, each from a port of its own to a server, and what disturbs them ("toxics")."""

    name = "toxiproxy"

    def prepare(self) -> None:
        """Nothing to do: it keeps nothing on disk."""

    def command(self) -> list[str]:
        """Return the program's command line."""
        return [str(toxiproxy()), "-host", "127.0.0.1", "-port", str(self.port)]

    def answers(self) -> bool:
        """Whether its API does."""
        try:
            self._ask("GET", "/version")
        except (OSError, http.client.HTTPException):
            return False
        return True

    def settle(self) -> None:
        """Nothing to do: proxies are made as they are wanted."""

    def proxy(self, name: str, port: int, upstream: str) -> None:
        """Pass on what comes to `port` to `upstream`, `host:port`."""
        self._ask("POST", "/proxies", {"name": name, "listen": f"127.0.0.1:{port}", "upstream": upstream})

    def cut(self, name: str) -> None:
        """End all connections of a proxy and refuse new ones."""
        self._ask("POST", f"/proxies/{name}", {"enabled": False})

    def disturb(self, name: str, kind: str, stream: str = "downstream", share: float = 1.0, **attributes: int) -> None:
        """Add a toxic to a share of a proxy's connections; kinds and attributes are toxiproxy's own."""
        toxic = {"type": kind, "stream": stream, "toxicity": share, "attributes": attributes}
        self._ask("POST", f"/proxies/{name}/toxics", toxic)

    def heal(self) -> None:
        """Let everything through again."""
        self._ask("POST", "/reset")

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> None:
        data = None if body is None else json.dumps(body).encode()
        # Its API refuses what looks like a browser, and asks for no more than a name.
        headers = {"Content-Type": "application/json", "User-Agent": "sightline"}
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", data=data, headers=headers, method=method
        )
        with urllib.request.urlopen(request, timeout=5) as answer:  # noqa: S310
            answer.read()
