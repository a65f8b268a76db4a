"""Work of the demo in a thread of its own."""

import threading
from collections.abc import Callable
from typing import Final

_JOIN_S: Final = 30.0

# Works until the event is set; what it waits for, it waits for with the event or a bounded time.
Work = Callable[[threading.Event], None]


class Background:
    """Runs `work` in a thread from `start` to `stop`. What ends it early is kept for `check`: nothing dies unseen."""

    def __init__(self, name: str, work: Work) -> None:
        self._work = work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._failure: Exception | None = None

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for that; may be called again, and before `start`. A thread that hangs is left behind."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def check(self) -> None:
        """Raise what ended the work early, if anything did."""
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            self._work(self._stop)
        except Exception as failure:  # noqa: BLE001 -- an error that nobody foresaw must end the demo as well
            self._failure = failure
