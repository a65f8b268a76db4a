"""Running one Faust app for ever, in rounds: make ready, hand records on, begin again when that ends.

In this order, each time:

1. `prepare` reads what there is without Faust, and lets the group begin where that ended, which the broker refuses
   while another process of this group is at work;
2. the Faust app is started, and every look at the log's ends tells up to which moment all is taken.

Whatever fails is an outage: it ends the round, and the next one begins after a back-off.
"""

import asyncio
import threading
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Mapping, Sequence
from typing import Final, Protocol

from schemas.errors import OutageError
from sightline.runtime import metrics
from sightline.runtime.backoff import Backoff
from sightline.runtime.clock import Clock
from sightline.runtime.kafka import make_admin
from sightline.runtime.log import get_logger
from sightline.runtime.settings import KafkaSettings
from streams.agents.app import Agents, run_in_loop
from streams.agents.credentials import credentials
from streams.agents.logends import LogEnds
from streams.agents.progress import Place, Progress
from streams.alerts import Alarm
from streams.read import TopicRecord

_log = get_logger(__name__)
# A broker's answer: SIGTERM must end what blocks so long within 9 s, together with the publisher.
ANSWER_S: Final = 5.0
_LOOK_AT_STOP_S: Final = 0.1
# Without any progress for so long, the round is given up and the next one begins.
_STUCK_S: Final = 30.0
_STALLED_AFTER_S: Final = 40.0
_READY_BEHIND_S: Final = 20.0
_CHECK_PARTITIONS_S: Final = 30.0
# A round that lasted longer was none of a row of failures, each of which reads everything again.
_LASTING_S: Final = 60.0
# The wall clock against the monotonic one: more than that is a jump, and moments no longer mean what they did.
_JUMP_S: Final = 30.0


class Round(Protocol):
    """What one round works on. Used from the event loop alone."""

    progress: Progress

    @property
    def done_ms(self) -> int:
        """The moment up to which everything is dealt with."""
        ...

    def take(self, record: TopicRecord, now_ms: int) -> Awaitable[None] | None:
        """Take in a record, unless it was seen before."""
        ...

    def advance(self) -> None:
        """Deal with all that is known by now. May raise OutageError."""
        ...


class Rounds(ABC):
    """One consumer group of Faust agents, as `streams.process.Process` runs it."""

    def __init__(
        self,
        group: str,
        kafka: KafkaSettings,
        queues: Mapping[str, int],
        alarm: Alarm,
        clock: Clock,
        *,
        required: Sequence[str] = (),
        tick_s: float = 1.0,
    ) -> None:
        """`queues`: the topics that are read, and how many records of each may wait. `required`: others that must be.

        Raises ConfigurationError when Kafka's properties ask for what Faust's client cannot do.
        """
        credentials(kafka.properties)
        self.group: Final = group
        self.kafka: Final = kafka
        self.clock: Final = clock
        self.alarm: Final = alarm
        self._queues = queues
        self._required = required
        self.log_ends: LogEnds  # of the round
        self._tick_s = tick_s
        self._stop = threading.Event()
        self._problem: str | None = "not started yet"
        self._outage: OutageError | None = None
        self._last_turn = self._last_progress = clock.monotonic()
        self._clocks_apart_s = 0.0

    @abstractmethod
    def prepare(self) -> Round:
        """Read what there is, and set where the group begins; blocks, and calls `turn`. Raises OutageError."""

    @abstractmethod
    def count_start(self, after: str) -> None:
        """Count that a round begins, and what ended the one before."""

    @abstractmethod
    def show_behind(self, behind_s: float) -> None:
        """Show how old the moment is up to which all is dealt with."""

    def run(self) -> None:
        """Work until `stop`; blocks. Raises what is no outage, such as ConfigurationError."""
        backoff = Backoff()
        after = "start"
        while not self._stop.is_set():
            self.count_start(after)
            self._turned()
            began = self.clock.monotonic()
            try:
                self._clocks_apart_s = self.clock.now().timestamp() - began
                self.log_ends = self._ask_anew()
                round_ = self.prepare()
                run_in_loop(self._work_until_stopped(round_))
            except OutageError as outage:
                after = outage.service
                self._note(outage)
                if self.clock.monotonic() - began > _LASTING_S:
                    backoff.reset()
                self._turned()
                self.clock.wait(self._stop, backoff.next_delay_s())

    def stop(self) -> None:
        """End `run`. From any thread."""
        self._stop.set()

    def stalled(self) -> str | None:
        """Say that nothing has turned lately, or None: the liveness of the process."""
        silent_s = self.clock.monotonic() - self._last_turn
        return f"{self.group}: has not turned for {silent_s:.0f} s" if silent_s > _STALLED_AFTER_S else None

    def unready(self) -> str | None:
        """Say why nothing is dealt with at present, or None: what counts is progress, not who is connected."""
        if self._problem is not None:
            return f"{self.group}: {self._problem}"
        behind_s = self.clock.monotonic() - self._last_progress
        if behind_s > max(_READY_BEHIND_S, 4 * self._tick_s):
            return f"{self.group}: no progress for {behind_s:.0f} s"
        return None

    def _ask_anew(self) -> LogEnds:
        """Return a client without a past: over an outage one may lose its group's coordinator, and wait for ever.

        Seen with librdkafka 2.16 (https://github.com/confluentinc/librdkafka/issues/5511).
        """
        return LogEnds(make_admin(self.kafka), list(self._queues), self._required)

    # -- for `prepare` ------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Note that the loop is alive. Raises OutageError once it shall end: so the round does."""
        self._turned()
        if self._stop.is_set():
            raise OutageError("agents", "stopping")

    def say(self, problem: str) -> None:
        """Set what `unready` says until all is well."""
        self._problem = problem

    def now_ms(self) -> int:
        """Return the wall clock's time in milliseconds since 1970."""
        return round(self.clock.now().timestamp() * 1000)

    # -- while Faust is at work ---------------------------------------------------------------------------

    async def _work_until_stopped(self, round_: Round) -> None:
        agents = Agents(self.kafka, self.group, self._queues, lambda record: round_.take(record, self.now_ms()))
        working = asyncio.ensure_future(self._work(round_, agents))
        try:
            while not working.done() and not self._stop.is_set():
                await asyncio.wait([working], timeout=_LOOK_AT_STOP_S)
            if working.done():
                working.result()
        finally:
            working.cancel()
            await agents.stop()

    async def _work(self, round_: Round, agents: Agents) -> None:
        """Look again and again; ends by an error only."""
        self._last_progress = self.clock.monotonic()
        next_check = self._last_progress + _CHECK_PARTITIONS_S
        seen: dict[Place, int] = {}
        await agents.start()
        while True:
            self._turned()
            self._insist_on_progress()
            agents.check()
            if self.clock.monotonic() >= next_check:
                next_check = self.clock.monotonic() + _CHECK_PARTITIONS_S
                await self._check_partitions(round_)
            seen = await self._look(round_, agents, seen)
            await asyncio.sleep(min(1.0, self._tick_s))

    async def _look(self, round_: Round, agents: Agents, seen: dict[Place, int]) -> dict[Place, int]:
        """Find out how far everything is read, and deal with it; return what was behind, for the next look."""
        asked_ms = self.now_ms()
        progress = round_.progress
        try:
            ends = await self.log_ends.ask_soon(list(progress.positions))
        except OutageError as outage:
            self._note(outage)  # short ones pass, and long ones are no progress
            return {}
        if not agents.assigned() >= progress.positions.keys():
            self._problem = "waits for its partitions; another one may be at work"
            return {}
        progress.ask(asked_ms, ends)
        behind = {place: progress.positions[place] for place in progress.behind()}
        # What was behind at the last look as well, at the same record, and is fetched further: markers only.
        same = [place for place, position in behind.items() if seen.get(place) == position]
        for place, position in (await agents.positions(same)).items():
            if progress.positions[place] == behind[place]:
                progress.read_on(place, position)
        self._advance(round_)
        return behind

    def _advance(self, round_: Round) -> None:
        before = round_.done_ms
        round_.advance()
        behind_s = self.clock.now().timestamp() - round_.done_ms / 1000
        self.show_behind(max(behind_s, 0.0))
        if round_.done_ms > before:
            self._last_progress = self.clock.monotonic()
            if behind_s < max(_READY_BEHIND_S, 4 * self._tick_s):
                self._well()
            else:
                self._problem = f"catching up, {behind_s:.0f} s behind"

    def _turned(self) -> None:
        self._last_turn = self.clock.monotonic()

    def _insist_on_progress(self) -> None:
        now_s = self.clock.monotonic()
        if now_s - self._last_progress > max(_STUCK_S, 4 * self._tick_s):
            raise OutageError("faust", f"no progress for {now_s - self._last_progress:.0f} s")
        if abs(self.clock.now().timestamp() - now_s - self._clocks_apart_s) > _JUMP_S:
            raise OutageError("clock", "the wall clock jumped")

    async def _check_partitions(self, round_: Round) -> None:
        try:
            places = await asyncio.to_thread(self.log_ends.places)
        except OutageError as outage:
            self._note(outage)
            return
        if set(places) != round_.progress.positions.keys():
            raise OutageError("kafka", "the number of partitions changed")

    # -- telling ------------------------------------------------------------------------------------------

    def _note(self, outage: OutageError) -> None:
        metrics.OUTAGES.labels(self.group, outage.service).inc()
        before, self._outage, self._problem = self._outage, outage, str(outage)
        if self._stop.is_set() or (
            before is not None and (type(before), before.service) == (type(outage), outage.service)
        ):
            return
        if before is not None:
            metrics.WAITING.labels(self.group, before.service).set(0)
        metrics.WAITING.labels(self.group, outage.service).set(1)
        _log.warning("waiting", group=self.group, service=outage.service, reason=outage.reason)
        self.alarm.blocked(outage)

    def _well(self) -> None:
        self._problem = None
        if self._outage is not None:
            metrics.WAITING.labels(self.group, self._outage.service).set(0)
            _log.info("no longer waiting", group=self.group, service=self._outage.service)
            self._outage = None
