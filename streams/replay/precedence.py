"""Live frames go first: how many frames of a replay the next batch may have."""

from collections.abc import Callable, Sequence
from typing import Final

from sightline.runtime.clock import Clock

# After so long without a live frame a replay may have whole batches. The next live frame waits for one of them, which
# takes longer than it should wait where pictures are large: so that must be rare.
_QUIET_S: Final = 60.0
_BETWEEN_LIVE: Final = 1
# After a frame of a replay, a pause of so many times what it took: a third of the time at most is a replay's, so that
# few live frames find one in hand.
_PAUSES: Final = 2.0


class Precedence:
    """Says how many frames may be taken: none while live ones are in hand, one now and then soon after, else a batch.

    `live` tells how many records each live loop of the process has in hand, `own` how many the replay's has.
    """

    def __init__(self, live: Sequence[Callable[[], int]], own: Callable[[], int], batch: int, clock: Clock) -> None:
        self._live = live
        self._own = own
        self._batch = batch
        self._clock = clock
        self._last_live = -_QUIET_S
        self._own_since: float | None = None
        self._pause_until = 0.0

    def allowance(self) -> int:
        """Return how many records may be taken now. Never blocks."""
        now = self._clock.monotonic()
        busy = self._look_at_own(now)
        if any(in_hand() for in_hand in self._live):
            self._last_live = now
            return 0
        if now - self._last_live >= _QUIET_S:
            return self._batch
        # A live frame that comes now waits for what is in hand: that must not be several frames side by side.
        return 0 if busy or now < self._pause_until else _BETWEEN_LIVE

    def _look_at_own(self, now: float) -> bool:
        """Tell whether a frame of the replay is in hand; once it is not any more, the pause begins."""
        if self._own():
            if self._own_since is None:
                self._own_since = now
            return True
        if self._own_since is not None:
            self._pause_until = now + _PAUSES * (now - self._own_since)
            self._own_since = None
        return False
