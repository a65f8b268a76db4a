"""How many pictures one run may take, learned from runs that failed."""

import threading
from typing import Final

_PATIENCE: Final = 64
_MOST_PATIENCE: Final = 4096


class BatchSize:
    """The size that works, at most `most`; shared by threads.

    It falls when a batch failed whose pictures then passed in smaller ones. A GPU that another process filled for a
    while becomes free again, so after a number of good runs twice as many are tried; each fall doubles that number.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._now = most
        self._good_runs = 0
        self._patience = _PATIENCE
        self._lock = threading.Lock()

    @property
    def now(self) -> int:
        """How many pictures the next run may take."""
        return self._now

    def worked(self, pictures: int) -> None:
        """Note a run that succeeded."""
        with self._lock:
            if pictures < self._now or self._now == self.most:
                return
            self._good_runs += 1
            if self._good_runs >= self._patience:
                self._now = min(self.most, 2 * self._now)
                self._good_runs = 0

    def too_large(self, pictures: int) -> None:
        """Note that so many failed together, and that the same ones succeeded in two parts."""
        with self._lock:
            if pictures > self._now:  # another thread has learned it already
                return
            self._now = max(1, (pictures + 1) // 2)
            self._good_runs = 0
            self._patience = min(_MOST_PATIENCE, 2 * self._patience)
