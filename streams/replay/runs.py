"""Replays that one process sends frames of, each in a thread of its own."""

import threading
from collections.abc import Callable, Sequence
from typing import Final

from schemas.errors import ConfigurationError, OutageError
from sightline.runtime import metrics
from sightline.runtime.clock import Clock
from sightline.runtime.log import get_logger
from sinks.postgres.replay_commands import DueReplay
from sinks.postgres.replays import PAUSED

_log = get_logger(__name__)
_AT_ONCE: Final = 8
# After a run that did not get through, or that another process has: so long until the next try.
_REST_S: Final = 5.0
_END_WITHIN_S: Final = 6.0

# Sends what is left of a replay, until the event at the latest or until it is paused; returns the state that it came
# to, None where another process is at it. Blocks. Raises ConfigurationError, OutageError.
Run = Callable[[DueReplay, threading.Event], str | None]


class Runs:
    """Begins runs and ends them. `begin` is called by one thread."""

    def __init__(self, run: Run, clock: Clock) -> None:
        self._run = run
        self._clock = clock
        self._lock = threading.Lock()
        self._running: dict[str, tuple[threading.Thread, threading.Event]] = {}
        self._rest_until: dict[str, float] = {}
        self._stopped = False

    def begin(self, due: Sequence[DueReplay]) -> None:
        """Begin a run of each replay that is due and has none, as far as there is room."""
        now = self._clock.monotonic()
        with self._lock:
            self._rest_until = {name: until for name, until in self._rest_until.items() if until > now}
        for replay in due:
            name = replay.replay_id
            with self._lock:
                if name in self._running or name in self._rest_until or len(self._running) >= _AT_ONCE or self._stopped:
                    continue
                stop = threading.Event()
                thread = threading.Thread(target=self._go, args=(replay, stop), daemon=True, name=f"replay-{name}")
                self._running[name] = thread, stop
                metrics.REPLAY_RUNS.set(len(self._running))
            thread.start()

    def stop(self) -> None:
        """Tell all runs to end. From any thread."""
        with self._lock:
            self._stopped = True
            for _, stop in self._running.values():
                stop.set()

    def end(self) -> None:
        """Wait until all runs have ended, for some seconds at most: what they have not saved is sent again."""
        until = self._clock.monotonic() + _END_WITHIN_S
        with self._lock:
            threads = [thread for thread, _ in self._running.values()]
        for thread in threads:
            thread.join(max(until - self._clock.monotonic(), 0))

    def _go(self, replay: DueReplay, stop: threading.Event) -> None:
        name, state = replay.replay_id, None
        try:
            state = self._run(replay, stop)
            _log.info("replay run ended", replay_id=name, state=state)
        except (ConfigurationError, OutageError) as error:
            _log.warning("replay run broke off", replay_id=name, reason=str(error))
        except Exception:  # noqa: BLE001 -- the boundary: the other replays go on, and so does this one, a little later
            _log.exception("replay run failed", replay_id=name)
        finally:
            with self._lock:
                del self._running[name]
                metrics.REPLAY_RUNS.set(len(self._running))
                if state != PAUSED:
                    self._rest_until[name] = self._clock.monotonic() + _REST_S
