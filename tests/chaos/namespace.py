"""A network of its own for a scenario: its loopback may lose packets, and nothing outside notices."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

_INSIDE: Final = "SIGHTLINE_CHAOS_INSIDE"
_TOOLS: Final = ("unshare", "ip", "iptables")
_ENTER: Final = ("unshare", "--net", "--", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")
_RULES: Final = ("iptables", "--wait")


def is_inside() -> bool:
    """Tell whether this process has been started by `run_inside`."""
    return _INSIDE in os.environ


def what_is_missing() -> str | None:
    """Say why this machine makes no network that loses packets, or None."""
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        return f"a network that loses packets needs root, and {', '.join(missing or _TOOLS)}"
    # A rule that drops none: the kernel may lack what it takes.
    tried = subprocess.run([*_ENTER, *_RULES, *_rule(0.0, 1)], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"a network that loses packets is not to be had: {tried.stderr.strip()}"


def run_inside(arguments: Sequence[str], folder: Path) -> dict[str, Any]:
    """Run `python -m tests.chaos` with `arguments` in a network of its own; return the JSON that it writes."""
    folder.mkdir(parents=True, exist_ok=True)
    said = folder / "outcome.json"
    command = [*_ENTER, sys.executable, "-m", "tests.chaos", *arguments, "--json", str(said)]
    subprocess.run(command, check=False, env={**os.environ, _INSIDE: "1"})
    facts: dict[str, Any] = json.loads(said.read_text(encoding="utf-8"))
    return facts


@contextmanager
def losing(share: float, ports: Sequence[int]) -> Iterator[None]:
    """Lose a share of all packets to and from `ports`, inside only."""
    assert is_inside()
    for port in ports:
        subprocess.run([*_RULES, *_rule(share, port)], check=True)
        subprocess.run([*_RULES, *_rule(share, port, "--sport")], check=True)
    try:
        yield
    finally:
        subprocess.run([*_RULES, "--flush", "INPUT"], check=True)


def lost_packets() -> int:
    """Return how many packets the rules in force have dropped."""
    listed = subprocess.run(
        [*_RULES, "--list", "INPUT", "--verbose", "--numeric", "--exact"], check=True, capture_output=True, text=True
    )
    return sum(int(line.split()[0]) for line in listed.stdout.splitlines() if "DROP" in line.split()[2:3])


def _rule(share: float, port: int, end: str = "--dport") -> tuple[str, ...]:
    chance = ("--match", "statistic", "--mode", "random", "--probability", str(share))
    return ("--append", "INPUT", "--protocol", "tcp", end, str(port), *chance, "--jump", "DROP")
