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
        self.laps_ms[name] = round((now - self._last) * 1000, 3)
        self._last = now
