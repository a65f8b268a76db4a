"""Makes a result cache of a store that may be away, slow, or set up wrongly."""

import threading
from queue import SimpleQueue
from typing import Protocol

from schemas.errors import SightlineError
from schemas.resultcache import CacheKey, Entry
from sightline.runtime.clock import Clock
from sightline.runtime.log import get_logger
from sightline.runtime.metrics import RESULT_CACHE
from sightline.runtime.resultcache.circuit import Circuit

DEADLINE_S = 0.05
READERS = 2
BACKLOG_BYTES = 4 * 1024 * 1024
# Of an answer that waits to be written, besides its body; bounds the number of small ones.
_WAITING_BYTES = 1024
_CLOSING_S = 1.0

_log = get_logger(__name__)


class CacheStore(Protocol):
    """Where entries lie. Calls may block and raise; `get` is called from READERS threads, `put` from one more."""

    def get(self, key: CacheKey) -> Entry | None:
        """Return the entry under `key`, if there is one that has not expired."""
        ...

    def put(self, key: CacheKey, entry: Entry, ttl_s: int) -> None:
        """Keep an entry, in place of an earlier one."""
        ...

    def close(self) -> None:
        """Give back what is held."""
        ...


class _Question:
    """One `get` on its way through a reader's thread."""

    def __init__(self, key: CacheKey) -> None:
        self.key = key
        self.answered = threading.Event()
        self.given_up = False
        self.entry: Entry | None = None
        self.error: Exception | None = None


class GuardedCache:
    """See `schemas.resultcache.ResultCache`.

    `get` asks in a thread and stops waiting after DEADLINE_S; `put` leaves the entry to a thread, or drops it
    when BACKLOG_BYTES wait already. After failures in a row the store is left alone for some seconds.
    The threads are daemons: a store that hangs holds up neither a frame nor the end of the process.
    """

    def __init__(self, store: CacheStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._circuit = Circuit(clock)
        self._questions: SimpleQueue[_Question | None] = SimpleQueue()
        self._writes: SimpleQueue[tuple[CacheKey, Entry, int] | None] = SimpleQueue()
        self._backlog = threading.Lock()
        self._backlog_bytes = 0
        self._threads = [
            *(threading.Thread(target=self._answer_all, name="cache-reader", daemon=True) for _ in range(READERS)),
            threading.Thread(target=self._write_all, name="cache-writer", daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def get(self, key: CacheKey) -> Entry | None:
        """See the protocol."""
        if not self._circuit.admits():
            _count(key, "failed")
            return None
        question = _Question(key)
        self._questions.put(question)
        if not self._clock.wait(question.answered, DEADLINE_S):
            question.given_up = True
            self._note_failure(key, "slow", None)
            return None
        if question.error is not None:
            self._note_failure(key, "failed", question.error)
            return None
        if self._circuit.succeeded():
            _log.info("result cache answers again")
        _count(key, "miss" if question.entry is None else "hit")
        return question.entry

    def put(self, key: CacheKey, entry: Entry, ttl_s: int) -> None:
        """See the protocol."""
        if self._circuit.is_open or not self._make_room(entry):
            _count(key, "dropped")
            return
        self._writes.put((key, entry, ttl_s))

    def close(self) -> None:
        """See the protocol. Waits up to a second for what is being written."""
        for _ in range(READERS):
            self._questions.put(None)
        self._writes.put(None)
        deadline = self._clock.monotonic() + _CLOSING_S
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._clock.monotonic()))
        self._store.close()

    def _note_failure(self, key: CacheKey, outcome: str, error: Exception | None) -> None:
        _count(key, outcome)
        if self._circuit.failed():
            _log.warning("result cache is left alone for a while", reason=str(error or "it is slow"))

    def _answer_all(self) -> None:
        while (question := self._questions.get()) is not None:
            if question.given_up:
                continue
            try:
                question.entry = self._store.get(question.key)
            except Exception as error:  # noqa: BLE001 - whatever it is, the frame goes on without the cache
                question.error = error
                _show_bug(error)
            question.answered.set()

    def _write_all(self) -> None:
        while (write := self._writes.get()) is not None:
            key, entry, ttl_s = write
            try:
                self._write(key, entry, ttl_s)
            finally:
                self._give_room(entry)

    def _write(self, key: CacheKey, entry: Entry, ttl_s: int) -> None:
        if self._circuit.is_open:
            _count(key, "dropped")
            return
        try:
            self._store.put(key, entry, ttl_s)
        except Exception as error:  # noqa: BLE001 - as above
            _count(key, "failed")
            _show_bug(error)

    def _make_room(self, entry: Entry) -> bool:
        size_bytes = len(entry.body) + _WAITING_BYTES
        with self._backlog:
            if self._backlog_bytes + size_bytes > BACKLOG_BYTES:
                return False
            self._backlog_bytes += size_bytes
            return True

    def _give_room(self, entry: Entry) -> None:
        with self._backlog:
            self._backlog_bytes -= len(entry.body) + _WAITING_BYTES


def _count(key: CacheKey, outcome: str) -> None:
    RESULT_CACHE.labels(key.pipeline, outcome).inc()


def _show_bug(error: Exception) -> None:
    """Log what no store is expected to raise; what it is expected to raise shows when it is left alone."""
    if not isinstance(error, SightlineError):
        _log.error("result cache failed unexpectedly", exc_info=error)
