"""Leaving alone what keeps failing, so that it costs nothing."""

import threading

from sightline.runtime.backoff import Backoff
from sightline.runtime.clock import Clock

# With two threads decoding on two busy cores, up to 3 answers of 500 took more than 50 ms, and once 3 in a row did.
FAILURES = 5


class Circuit:
    """Opens after `limit` failures in a row; then lets one try through after each pause, until one succeeds.

    Whoever is admitted reports `succeeded` or `failed`. Never blocks; may be used from several threads.
    """

    def __init__(self, clock: Clock, limit: int = FAILURES, pauses: Backoff | None = None) -> None:
        self._clock = clock
        self._limit = limit
        self._pauses = pauses or Backoff(first_s=2, longest_s=30)
        self._lock = threading.Lock()
        self._failures = 0
        self._trying = False
        self._retry_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the service is left alone, but for a try now and then."""
        return self._failures >= self._limit

    def admits(self) -> bool:
        """Return whether to ask the service now."""
        with self._lock:
            if not self.is_open:
                return True
            if self._trying or self._clock.monotonic() < self._retry_at:
                return False
            self._trying = True
            return True

    def succeeded(self) -> bool:
        """Note an answer; return whether that closed the circuit."""
        with self._lock:
            closed = self.is_open
            self._failures = 0
            self._trying = False
            self._pauses.reset()
            return closed

    def failed(self) -> bool:
        """Note a failure; return whether that opened the circuit."""
        with self._lock:
            # Others that were under way when it opened say nothing new.
            if self.is_open and not self._trying:
                return False
            opened = not self.is_open and self._failures + 1 == self._limit
            self._failures += 1
            self._trying = False
            if self.is_open:
                self._retry_at = self._clock.monotonic() + self._pauses.next_delay_s()
            return opened
