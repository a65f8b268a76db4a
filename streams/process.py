"""A long-running process: its loops in threads, its health page, its signals, its end within the time allowed."""

import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from types import FrameType
from typing import Protocol

from sightline.runtime.health import HealthServer
from sightline.runtime.log import get_logger
from streams.publisher import Publisher

_log = get_logger(__name__)
# SIGTERM must end the process within 10 s, whatever hangs; what is in hand then is simply given back.
_END_WITHIN_S = 9.0
_FLUSH_S = 2.0
_LOOK_EVERY_S = 0.1
# A loop that is inside a call of librdkafka which never returns can only be helped by another process. Its liveness
# says so long before this.
_STUCK_S = 20.0


class RunnableLoop(Protocol):
    """A loop as `streams.loop.Loop` has it, whatever it prepares."""

    def run(self) -> None:
        """Run until `stop`."""
        ...

    def stop(self) -> None:
        """End `run`."""
        ...

    def stalled(self) -> str | None:
        """Say why the process is not alive, or None."""
        ...

    def unready(self) -> str | None:
        """Say what is waited for, or None."""
        ...


class Awaited(Protocol):
    """Something else that a process needs, such as its models."""

    def problem(self) -> str | None:
        """Say what is waited for, or None."""
        ...

    def stalled(self) -> str | None:
        """Say why the process is not alive, or None."""
        ...

    def failure(self) -> BaseException | None:
        """Return what it cannot recover from, or None."""
        ...


class Process:
    """The loops of one process. `run` blocks until SIGTERM, SIGINT, or the first loop that fails.

    What is `awaited` must be there before the process is ready, and its failure ends the process.
    """

    def __init__(self, loops: Sequence[RunnableLoop], publisher: Publisher, awaited: Sequence[Awaited] = ()) -> None:
        self._loops = loops
        self._publisher = publisher
        self._awaited = awaited
        # Plain flags: a signal handler may run while this very thread holds an Event's lock.
        self._ended = False
        self._stopping = False
        self._failures: list[BaseException] = []

    def run(self, http_port: int | None, announce: Callable[[int], None]) -> None:
        """Run to the end: loops, then publisher, then health page; call from the main thread.

        `announce` hears the port of the health page. Raises the error of the first loop that failed.
        """
        with ExitStack() as stack:
            for number in (signal.SIGTERM, signal.SIGINT):
                stack.callback(signal.signal, number, signal.signal(number, self._on_signal))
            if http_port is not None:
                server = HealthServer(http_port, live=self._not_live, ready=self._not_ready)
                stack.callback(server.stop)
                announce(server.port)
            threads = [
                threading.Thread(target=self._run_loop, args=(loop,), name=f"loop-{number}", daemon=True)
                for number, loop in enumerate(self._loops)
            ]
            for thread in threads:
                thread.start()
            self._wait_for_end()
            self._stopping = True
            watchdog = threading.Timer(_END_WITHIN_S, _end_now)
            watchdog.daemon = True
            watchdog.start()
            stack.callback(watchdog.cancel)
            for loop in self._loops:
                loop.stop()
            for thread in threads:
                thread.join()
            self._publisher.close(_FLUSH_S)
        if self._failures:
            raise self._failures[0]

    def _wait_for_end(self) -> None:
        stuck_s = 0.0  # as far as we saw it pass: the machine, or all of us, may have been frozen in between
        while not self._ended:
            time.sleep(_LOOK_EVERY_S)
            stuck_s = stuck_s + _LOOK_EVERY_S if self._not_live() else 0.0
            if stuck_s > _STUCK_S:
                _die(self._not_live())
            failures = [self._publisher.failure(), *(awaited.failure() for awaited in self._awaited)]
            self._failures += [failure for failure in failures if failure is not None]
            if self._failures:
                return

    def _run_loop(self, loop: RunnableLoop) -> None:
        try:
            loop.run()
        except BaseException as failure:  # noqa: BLE001 -- whatever it is, the main thread raises it
            _log.exception("loop failed")
            self._failures.append(failure)
        else:
            if not self._stopping:
                self._failures.append(RuntimeError("a loop ended by itself"))
        finally:
            self._ended = True

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        _log.info("stopping", signal=signal.Signals(number).name)
        self._ended = True

    def _not_live(self) -> str | None:
        reasons = [loop.stalled() for loop in self._loops] + [awaited.stalled() for awaited in self._awaited]
        return next((reason for reason in [self._publisher.stalled(), *reasons] if reason), None)

    def _not_ready(self) -> str | None:
        # A loop that hangs cannot say so itself: what it knew last may be that all is well.
        reasons = [self._not_live(), self._publisher.problem(), *(loop.unready() for loop in self._loops)]
        reasons += [awaited.problem() for awaited in self._awaited]
        return next((reason for reason in reasons if reason), None)


def _die(reason: str | None) -> None:
    """End as `kill -9` does: a worker's supervisor starts another and blames no frame; others, their orchestrator."""
    _log.error("gives up, to be started anew", reason=reason)
    faulthandler.dump_traceback(all_threads=True)
    os.kill(os.getpid(), signal.SIGKILL)


def _end_now() -> None:
    _log.error("not ended in time, giving up what is in hand", seconds=_END_WITHIN_S)
    os._exit(1)
