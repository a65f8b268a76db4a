"""Whether a Kafka client still works.

librdkafka waits until times of day. Where the clock is set back while one of its threads waits, that thread goes on
waiting until the old time has come again, for hours: no call fails, nothing is delivered, and the broker is well. Of
what its main thread does every few seconds, the statistics, we hear by polling, in any outage as well; a client that
gives none is of no use any more, and cannot be helped: only another process can go on.
"""

from sightline.runtime.clock import Clock

EVERY_S = 5.0
_STOPPED_AFTER_S = 30.0


class Pulse:
    """The signs of life of a client called `name`, between `begin` and `end`; `beat` is its statistics callback."""

    def __init__(self, name: str, clock: Clock) -> None:
        self._name = name
        self._clock = clock
        self._last: float | None = None

    def begin(self) -> None:
        """Expect signs of life from now on."""
        self._last = self._clock.monotonic()

    def end(self) -> None:
        """Expect none any more."""
        self._last = None

    def beat(self, _: str) -> None:
        """Note that the client works, and that it is polled."""
        self._last = self._clock.monotonic()

    def stopped(self) -> str | None:
        """Say that the client has given no sign of life lately, or None. From any thread."""
        last = self._last  # read once: it is asked from any thread
        silent_s = 0.0 if last is None else self._clock.monotonic() - last
        return f"{self._name} has given no sign of life for {silent_s:.0f} s" if silent_s > _STOPPED_AFTER_S else None
