"""A bound on decoded pixels, shared by all threads of a worker."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class PixelBudget:
    """Hands out pixels from a fixed total; whoever asks for more than the total waits to be alone.

    A thread must not ask again while it holds some, or two of them could wait for each other.
    """

    def __init__(self, total: int) -> None:
        self.total = total
        self._used = 0
        self._freed = threading.Condition()

    @contextmanager
    def hold(self, pixels: int) -> Iterator[None]:
        """Block until `pixels` are free (or, if they never can be, until nobody holds any), then hold them."""
        with self._freed:
            self._freed.wait_for(lambda: self._used == 0 or self._used + pixels <= self.total)
            self._used += pixels
        try:
            yield
        finally:
            with self._freed:
                self._used -= pixels
                self._freed.notify_all()
