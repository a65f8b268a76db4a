"""`sightline worker` as two processes: a supervisor that imports nothing heavy, and the worker proper."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from sightline.runtime.childwatch import ChildLimits
from sightline.runtime.log import configure_logging
from sightline.runtime.settings import Settings, load_settings
from sightline.runtime.supervisor import supervise

_SHARE: Final = 0.85
# cgroup version 2, then version 1; both as a container sees its own.
_CONTAINER_LIMITS: Final = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def run_supervised(arguments: Sequence[str], run: Callable[[Sequence[str]], int]) -> int:
    """Run a command in a child that is started anew when it dies; return the exit code. Raises ConfigurationError."""
    settings = load_settings()
    configure_logging(settings.log)
    return supervise(lambda: run(arguments), child_limits(settings))


def child_limits(settings: Settings, limits: Sequence[str] = _CONTAINER_LIMITS) -> ChildLimits:
    """Return what the settings allow; `limits` are the files that tell a container's memory limit."""
    resident = settings.worker.max_resident or round(_SHARE * _memory_bytes(limits))
    return ChildLimits(resident, settings.worker.max_batch_s)


def _memory_bytes(limits: Sequence[str]) -> int:
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    known = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:")]
    for name in limits:
        path = Path(name)
        text = path.read_text(encoding="ascii").strip() if path.exists() else "max"
        known += [int(text)] if text.isdigit() else []
    return min(known)
