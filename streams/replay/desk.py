"""Carries out the commands that are written down, and goes on with the replays that they let run.

A command, in this order:

1. it is carried out, which does nothing twice;
2. its answer is written down;
3. the answer is published and acknowledged;
4. that is written down.

Killed anywhere between, the next process begins again with the first step that is not written down. Commands of one
replay are carried out one after the other, those of several side by side: a plan may read for minutes.
"""

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol

from schemas.errors import ConfigurationError, InputError, OutageError, ReplayCode, ReplayError
from schemas.replaycommand import CommandName, ReplayAnswer, ReplayCommand, answer_message
from sightline.runtime import metrics
from sightline.runtime.backoff import Backoff
from sightline.runtime.clock import Clock
from sightline.runtime.faults import REPLAY_COMMAND_DONE, Faults
from sightline.runtime.log import get_logger
from sinks.postgres.replay_commands import CommandBox, CommandRow
from streams.publisher import Outgoing, Publishes
from streams.replay.refusals import refusal
from streams.replay.runs import Runs

_log = get_logger(__name__)
_AT_ONCE: Final = 4
_LISTED: Final = 100
_LOOK_EVERY_S: Final = 0.5
_STALLED_AFTER_S: Final = 90.0
_TRIES: Final = 3


@dataclass(frozen=True, slots=True)
class Done:
    """How a replay stands after a command was carried out; of a comparison also what came out."""

    replay_id: str
    pipeline: str
    state: str
    counts: dict[str, Any]
    comparison: dict[str, Any] | None = None
    limits_kept: bool | None = None


# Carries out a command; a second time changes nothing more. Blocks. Raises ConfigurationError or InputError for one
# that is refused, OutageError.
CarryOut = Callable[[CommandName, ReplayCommand], Done]


class Locks(Protocol):
    """Locks over all processes; see `sinks.postgres.replays.ReplayBook.alone`."""

    def alone(self, replay_id: str) -> AbstractContextManager[bool]:
        """Hold a name for the length of the block; yield False where another process has it."""
        ...


class Desk:
    """The working side of `sightline replay serve`, as `streams.process.Process` runs it."""

    def __init__(
        self,
        box: CommandBox,
        locks: Locks,
        carry_out: CarryOut,
        runs: Runs,
        publisher: Publishes,
        faults: Faults,
        clock: Clock,
    ) -> None:
        self._box = box
        self._locks = locks
        self._carry_out = carry_out
        self._runs = runs
        self._publisher = publisher
        self._faults = faults
        self._clock = clock
        self._stop = threading.Event()
        self._news = threading.Event()
        self._lock = threading.Lock()
        self._busy: set[str] = set()
        self._problem: str | None = "not started yet"
        self._last_turn = clock.monotonic()

    def run(self) -> None:
        """Work until `stop`; blocks."""
        backoff = Backoff()
        while not self._stop.is_set():
            self._last_turn = self._clock.monotonic()
            self._news.clear()
            try:
                self._begin_commands()
                self._runs.begin(self._box.due())
            except OutageError as outage:
                self._problem = str(outage)
                _log.warning("commands wait", reason=str(outage))
                self._clock.wait(self._stop, backoff.next_delay_s())
            else:
                self._problem = None
                backoff.reset()
                self._clock.wait(self._news, _LOOK_EVERY_S)
        self._runs.end()

    def stop(self) -> None:
        """End `run`. From any thread."""
        self._stop.set()
        self._runs.stop()
        self._news.set()

    def look(self) -> None:
        """Hear that a command came. From any thread."""
        self._news.set()

    def stalled(self) -> str | None:
        """Say that nothing has turned lately, or None."""
        silent_s = self._clock.monotonic() - self._last_turn
        return f"replay commands: nothing for {silent_s:.0f} s" if silent_s > _STALLED_AFTER_S else None

    def unready(self) -> str | None:
        """Say what is waited for, or None."""
        return self._problem

    def _begin_commands(self) -> None:
        waiting = self._box.waiting(_LISTED)
        metrics.REPLAY_COMMANDS_WAITING.set(len(waiting))
        taken: set[str] = set()
        for row in waiting:
            subject = row.replay_id or row.key
            with self._lock:
                free = subject not in self._busy | taken and len(self._busy) < _AT_ONCE
                if free:
                    self._busy.add(subject)
            taken.add(subject)  # later ones of the same replay wait, also when this one ends meanwhile
            if free:
                name = f"command-{row.key}"
                threading.Thread(target=self._handle, args=(row.key, subject), daemon=True, name=name).start()

    def _handle(self, key: str, subject: str) -> None:
        backoff = Backoff()
        try:
            while not self._stop.is_set():
                try:
                    self._finish(key, subject)
                except OutageError as outage:
                    _log.warning("command waits", key=key, reason=str(outage))
                    self._clock.wait(self._stop, backoff.next_delay_s())
                else:
                    return
        except Exception:  # noqa: BLE001 -- the boundary: the command stays written down, and is tried again
            _log.exception("command broke off", key=key)
            self._clock.wait(self._stop, backoff.longest_s)
        finally:
            with self._lock:
                self._busy.discard(subject)
            self._news.set()

    def _finish(self, key: str, subject: str) -> None:
        """Do what is left of a command. Raises OutageError."""
        with self._locks.alone(f"command|{subject}") as held:
            if not held:
                self._clock.wait(self._stop, _LOOK_EVERY_S)  # another process is at it
                return
            row = self._box.find(key)
            if row is None:
                return  # another process was at it
            answer = row.answer
            if answer is None:
                answer = self._answer(row).model_dump(mode="json", exclude_none=True)  # 1.
                self._faults.passing(REPLAY_COMMAND_DONE)
                self._box.answer(key, answer)  # 2.
            if self._publish(ReplayAnswer.model_validate(answer), key):  # 3.
                self._box.sent(key, self._clock.now())  # 4.
                metrics.REPLAY_COMMANDS.labels(row.action or "unknown", answer["outcome"]).inc()

    def _answer(self, row: CommandRow) -> ReplayAnswer:
        """Carry a command out. Raises OutageError."""
        try:
            command = ReplayCommand.model_validate_json(row.body or b"")  # it was valid when it was written down
            done = self._insist(CommandName(row.command_id, row.source), command)
        except (ConfigurationError, InputError) as error:
            return refusal(row, error, self._clock.now())
        return ReplayAnswer(
            command_id=row.command_id,
            command_source=row.source,
            action=row.action,
            outcome="done",
            replay_id=done.replay_id,
            pipeline=done.pipeline,
            state=done.state,
            counts=done.counts,
            comparison=done.comparison,
            limits_kept=done.limits_kept,
            answered_at=self._clock.now(),
        )

    def _insist(self, name: CommandName, command: ReplayCommand) -> Done:
        """Try several times where the failure says nothing. Raises ReplayError (`command_failed`) after the last."""
        for _ in range(_TRIES):
            try:
                return self._carry_out(name, command)
            except (ConfigurationError, InputError, OutageError):
                raise
            except Exception:  # noqa: BLE001 -- the boundary: whatever a command does, the others are carried out
                _log.exception("command failed", key=name.key, action=command.action)
        raise ReplayError(ReplayCode.FAILED, "command", "an unexpected error, see the log")

    def _publish(self, answer: ReplayAnswer, key: str) -> bool:
        """Publish an answer; return whether the broker has it, which is false only when the process ends before."""
        acknowledged = threading.Event()
        self._publisher.publish([Outgoing(answer_message(answer, key))], acknowledged.set)
        while not self._clock.wait(acknowledged, _LOOK_EVERY_S):
            if self._stop.is_set():
                return False
        return True
