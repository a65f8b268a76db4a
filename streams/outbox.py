"""What a batch gives rise to, collected until all of it goes out in one transaction."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from streams.publisher import Outgoing


@dataclass(slots=True)
class Parcel:
    """Messages that belong together; `on_done` is called when the broker has them for good."""

    messages: list[Outgoing]
    on_done: Callable[[], None]


class Outbox:
    """Stands where a `Publisher` does, and only collects. One thread at a time."""

    def __init__(self) -> None:
        self._parcels: list[Parcel] = []

    def publish(self, messages: Sequence[Outgoing], on_done: Callable[[], None]) -> None:
        """Take `messages` in; nothing is sent, and `on_done` is not called yet."""
        self._parcels.append(Parcel(list(messages), on_done))

    def collect(self, act: Callable[[], None]) -> list[Parcel]:
        """Call `act` and return what it published; when it raises, that is forgotten."""
        self._parcels = []
        try:
            act()
            return self._parcels
        finally:
            self._parcels = []
