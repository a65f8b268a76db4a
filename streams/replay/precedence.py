"""Live frames go first: how many frames of a replay the next batch may have."""

from collections.abc import Callable, Sequence
from typing import Final

from sightline.runtime.clock import Clock

# After so long without a live frame a replay may have whole batches. The next live frame waits for one of them, which
# takes longer than it should wait where pictures are large: so that must be rare.
_QUIET_S: Final = 60.0
_BETWEEN_LIVE: Final = 1


class Precedence:
    """Says how many frames may be taken: none while live ones are in hand, one at a time soon after, else a batch.

    `live` tells how many records each live loop of the process has in hand, `own` how many the replay's has.
    """

    def __init__(self, live: Sequence[Callable[[], int]], own: Callable[[], int], batch: int, clock: Clock) -> None:
        self._live = live
        self._own = own
        self._batch = batch
        self._clock = clock
        self._last_live = -_QUIET_S

    def allowance(self) -> int:
        """Return how many records may be taken now. Never blocks."""
        now = self._clock.monotonic()
        if any(in_hand() for in_hand in self._live):
            self._last_live = now
            return 0
        if now - self._last_live >= _QUIET_S:
            return self._batch
        # A live frame that comes now waits for what is in hand: that must not be several frames side by side.
        return 0 if self._own() else _BETWEEN_LIVE
