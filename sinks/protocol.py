"""What a sink is: it reads one record at a time, and stores many at once.

The runner owns the consumer, the sink owns the store. The runner commits offsets only after `store` has
returned; whatever `store` raises, the same entries may come again, so storing twice must change nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from schemas.alert import Alert
from schemas.errors import OutageError, Stage
from schemas.headers import Headers

Entry = TypeVar("Entry")


class VersionUnknownError(OutageError):
    """A message of a kind that we know in a major version that we don't: it waits for a newer sink."""


@dataclass(frozen=True, slots=True)
class SinkRecord:
    """A Kafka record, independent of any client library. `headers` is None when they cannot be read."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers | None


@dataclass(frozen=True, slots=True)
class StoreReport:
    """What a call of `store` did. Every entry is either stored or repeated.

    `differing` counts the repeats that say something else than what is stored (the first write won),
    `reused` the stored results whose event id the same source had used for another frame. `alerts` are to
    be published by the caller before it commits offsets.
    """

    stored: int = 0
    repeated: int = 0
    differing: int = 0
    reused: int = 0
    alerts: tuple[Alert, ...] = ()

    def __add__(self, other: "StoreReport") -> "StoreReport":
        known = {alert.alert_id for alert in self.alerts}
        return StoreReport(
            stored=self.stored + other.stored,
            repeated=self.repeated + other.repeated,
            differing=self.differing + other.differing,
            reused=self.reused + other.reused,
            alerts=self.alerts + tuple(alert for alert in other.alerts if alert.alert_id not in known),
        )


class Sink(Protocol[Entry]):
    """A store for records. Used by one thread at a time."""

    @property
    def stage(self) -> Stage:
        """Return the stage that dead letters of this sink carry."""
        ...

    def read(self, record: SinkRecord) -> Entry:
        """Parse one record; no I/O.

        Raises InputError (`record_invalid`, this sink's stage) when it can never be stored, and
        VersionUnknownError when it is a known kind of message in an unknown major version.
        """
        ...

    def store(self, entries: Sequence[Entry]) -> StoreReport:
        """Store all entries or none that matters, and block until the store has confirmed. Idempotent.

        Raises OutageError or SetupError (wait and call again), InputError (some entry can never be
        stored), UnclearError (either).
        """
        ...

    def close(self) -> None:
        """Give back connections and threads; not to be used afterwards."""
        ...
