"""Times the stages of one frame."""

from collections.abc import Callable


class Stopwatch:
    """Splits time into laps. `timer` gives seconds, monotonic; `laps_ms` has milliseconds to the microsecond."""

    def __init__(self, timer: Callable[[], float]) -> None:
        self._timer = timer
        self._last = timer()
        self.laps_ms: dict[str, float] = {}

    def lap(self, name: str) -> None:
        """Book the time since the last lap (or the start) under `name`."""
        now = self._timer()
        self.book(name, now - self._last)
        self._last = now

    def resume(self, name: str, elapsed_s: float) -> None:
        """Book `elapsed_s` under `name` and begin the next lap now: what passed since the last lap was for others."""
        self.book(name, elapsed_s)
        self._last = self._timer()

    def book(self, name: str, elapsed_s: float) -> None:
        """Write a time down."""
        self.laps_ms[name] = round(elapsed_s * 1000, 3)
