"""Commands for replays come in: each is written down in PostgreSQL, together with how far the topic is read.

Faust acknowledges a record also where writing it down failed. So its offsets do not count: each round begins where the
database says, and the first outage ends the round before a later command could be written down.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from schemas import topics
from schemas.alert import RULE_COMMAND_UNREADABLE, make_alert
from schemas.encoding import from_timestamp_ms
from schemas.errors import InputError, OutageError, ReplayError, UnclearError
from schemas.replaycommand import SENDING, CommandName, name_of, parse_command
from sightline.runtime import metrics
from sightline.runtime.clock import Clock
from sightline.runtime.log import get_logger
from sightline.runtime.settings import KafkaSettings
from sinks.postgres.replay_commands import CommandBox, CommandRow, Receipt
from streams.agents.progress import Place, Progress
from streams.agents.rounds import ANSWER_S, Rounds
from streams.alerts import Alarm
from streams.offsets import LostRange
from streams.publisher import Publisher
from streams.read import PartitionEnd, TopicRecord, read_all_to_end
from streams.replay.refusals import refuse

_log = get_logger(__name__)
GROUP: Final = "sightline.replay-serve"
_BUFFERED: Final = 16


class Intake(Rounds):
    """The Faust agent of `replay-commands`, as `streams.process.Process` runs it."""

    def __init__(
        self, kafka: KafkaSettings, box: CommandBox, publisher: Publisher, clock: Clock, received: Callable[[], None]
    ) -> None:
        """`received` hears, from any thread, that there is something new.

        Raises ConfigurationError when Kafka's properties ask for what Faust's client cannot do.
        """
        queues = {topics.REPLAY_COMMANDS: _BUFFERED}
        super().__init__(GROUP, kafka, queues, Alarm(publisher, clock, GROUP, None), clock,
                         required=[topics.REPLAY_ANSWERS])  # fmt: skip
        self._box = box
        self._received = received

    def count_start(self, after: str) -> None:
        """See the base class."""
        metrics.REPLAY_AGENT_STARTS.labels(after).inc()

    def show_behind(self, behind_s: float) -> None:
        """See the base class."""
        metrics.REPLAY_AGENT_BEHIND_SECONDS.set(behind_s)

    def prepare(self) -> "_Reading":
        """Write down all that has come meanwhile, and let the group begin behind it."""
        places = self.log_ends.places()
        self.say("reading the commands that came meanwhile")
        positions = self._positions(places)
        self.log_ends.begin_at(self.group, positions)  # a first look whether we are alone
        reading = _Reading(positions, self._write_down)
        reading.progress.ask(self.now_ms(), self.log_ends.ask(places))
        for read in read_all_to_end(self.kafka, [topics.REPLAY_COMMANDS], positions, timeout_s=ANSWER_S):
            self.turn()
            if isinstance(read, PartitionEnd):
                reading.progress.read_on((read.topic, read.partition), read.offset)
            else:
                reading.take_now(read, self.now_ms())
        reading.advance()
        self.log_ends.begin_at(self.group, reading.progress.positions)
        return reading

    def _positions(self, places: list[Place]) -> dict[Place, int]:
        """Return where to read on; says so where retention took commands, or the topic was made anew."""
        begins, ends = self.log_ends.begins(places), self.log_ends.ask(places)
        known = self._box.positions(topics.REPLAY_COMMANDS)
        found = {}
        for place in places:
            topic, number = place
            position = known.get(number, begins[place])
            if not begins[place] <= position <= ends[place]:
                made_anew = position > ends[place]
                lost = LostRange(self.group, topic, number, begins[place] if made_anew else position, begins[place])
                metrics.OFFSETS_LOST.labels(*place_labels(lost)).inc(lost.to_offset - lost.from_offset)
                self.alarm.lost(lost, lambda: None)
                self._box.reset(topic, number, begins[place])
                position = begins[place]
            found[place] = position
        return found

    def _write_down(self, record: TopicRecord) -> None:
        """Write one record down. Raises OutageError."""
        name, place = name_of(record.headers), (record.topic, record.partition)
        row = None if name is None else _row(name, record, self)
        try:
            receipt = self._box.receive(row, place, record.offset + 1)
        except (InputError, UnclearError) as error:
            raise OutageError("postgres", f"a command cannot be written down: {type(error).__name__}") from error
        if row is None:
            self._unreadable(record)
            return
        if receipt is not Receipt.NEW:
            outcome = "repeated" if receipt is Receipt.REPEATED else "reused"
            metrics.REPLAY_COMMANDS.labels(row.action or "unknown", outcome).inc()
            _log.warning("command came before", outcome=outcome, partition=record.partition, offset=record.offset)
        self._received()

    def _unreadable(self, record: TopicRecord) -> None:
        metrics.REPLAY_COMMANDS.labels("unknown", "unreadable").inc()
        _log.error("command without a name", partition=record.partition, offset=record.offset)
        now = self.clock.now()
        alert = make_alert(
            rule=RULE_COMMAND_UNREADABLE,
            source=f"{self.group}|{record.topic}",
            window=f"{now:%Y-%m-%dT%H}",
            raised_at=now,
            summary=f"a command of {record.topic} has no ce_id and ce_source: nobody can be answered",
            facts={"topic": record.topic, "partition": record.partition, "offset": record.offset},
        )
        self.alarm.raise_alerts([alert])


def place_labels(lost: LostRange) -> tuple[str, str, str]:
    """Return the labels of a partition's metrics."""
    return lost.group, lost.topic, str(lost.partition)


def _row(name: CommandName, record: TopicRecord, intake: Intake) -> CommandRow:
    """Make the row of a command; one that cannot be read is answered already."""
    received_at = from_timestamp_ms(record.timestamp_ms)
    plain = CommandRow(name.key, name.command_id, name.source, record.value, None, None, None, None, None, received_at)
    try:
        command = parse_command(record.headers or [], record.value)
    except ReplayError as error:
        return refuse(plain, error, intake.clock.now())
    return CommandRow(
        name.key,
        name.command_id,
        name.source,
        record.value,
        command.action,
        command.replay_id or name.replay_id(),
        command.rate if command.action in SENDING else None,
        command.max_live_lag,
        command.max_backlog,
        received_at,
    )


class _Reading:
    """One round: commands are written down, in order, until something stands in the way."""

    def __init__(self, positions: dict[Place, int], write_down: Callable[[TopicRecord], None]) -> None:
        self.progress = Progress(dict(positions))
        self._write_down = write_down
        self._trouble: OutageError | None = None
        self._done_ms = 0

    @property
    def done_ms(self) -> int:
        """See `Round`."""
        return self._done_ms

    def take(self, record: TopicRecord, now_ms: int) -> Awaitable[None]:
        """See `Round`; waits until the command is written down."""
        return self._take(record, now_ms)

    def take_now(self, record: TopicRecord, now_ms: int) -> None:
        """Write down a command, unless it is. Blocks. Raises OutageError."""
        place = (record.topic, record.partition)
        if self.progress.wants(place, record.offset):
            self._write_down(record)
            self.progress.take(place, record.offset, min(record.timestamp_ms, now_ms))

    def advance(self) -> None:
        """See `Round`."""
        if self._trouble is not None:
            raise self._trouble
        self._done_ms = max(self._done_ms, self.progress.known_to_ms() or 0)

    async def _take(self, record: TopicRecord, now_ms: int) -> None:
        if self._trouble is not None:
            return  # the next round reads it again
        try:
            await asyncio.to_thread(self.take_now, record, now_ms)
        except OutageError as outage:
            self._trouble = outage
        except Exception as error:
            self._trouble = OutageError("agents", f"unexpected: {type(error).__name__}")
            raise
