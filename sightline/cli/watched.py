"""The worker's side of its supervisor: what it was told when it was started, put where it is needed."""

from collections.abc import Callable
from functools import partial

from sightline.runtime import metrics
from sightline.runtime.faults import Faults
from sightline.runtime.kafka import SESSION_TIMEOUT_MS
from sightline.runtime.life import Life, current_life
from sightline.runtime.settings import Settings
from streams.watch import Watch

Announce = Callable[[int], None]


def open_watch(settings: Settings) -> Watch | None:
    """Return the watch over what this process has in hand, or None when nobody would hear of it.

    Counts the deaths before it.
    """
    life = current_life()
    if life is None:
        return None
    for cause, count in life.deaths.items():
        metrics.WORKER_DEATHS.labels(cause).inc(count)
    return Watch(life, _session_s(settings))


def _session_s(settings: Settings) -> float:
    """Return how long a group waits for a dead member; a static one is replaced at once."""
    properties = settings.kafka.properties
    if "group.instance.id" in properties:
        return 0.0
    return float(properties.get("session.timeout.ms", SESSION_TIMEOUT_MS)) / 1000


def planned_faults(settings: Settings) -> Faults:
    """Return the faults that a test asked for, if one did."""
    life = current_life()
    supervisor = None if life is None else life.supervisor
    return Faults(settings.fault.point, pictures=settings.fault.pictures, supervisor=supervisor)


def health_page(http_port: int | None, announce: Announce) -> tuple[int | None, Announce]:
    """Return port and announcement: a process that follows another serves where that one did, and says nothing."""
    life = current_life()
    if life is None or http_port is None:
        return http_port, announce
    if life.port is not None:
        return life.port, lambda _: None
    return http_port, partial(_announce, life, announce)


def _announce(life: Life, announce: Announce, port: int) -> None:
    life.in_hand.port = port
    announce(port)
