"""The inbox of commands for replays: each is written down once, carried out, and answered.

How far the topic is read is written down together with the commands: a reader that begins there misses none and,
since the same command is the same row, does none twice.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any, Final

from sqlalchemy import Engine, func, select, text, update
from sqlalchemy.dialects.postgresql import insert

from sightline.runtime.database import transaction
from sinks.postgres.tables import replay_command_positions, replay_commands

# Replays that a command lets run; the newest such command says how fast.
_DUE: Final = text(
    "SELECT r.replay_id, c.rate, c.max_live_lag, c.max_backlog FROM replays r"
    " JOIN LATERAL (SELECT rate, max_live_lag, max_backlog FROM replay_commands"
    "  WHERE replay_id = r.replay_id AND action IN ('start', 'resume') AND answer ->> 'outcome' = 'done'"
    "  ORDER BY number DESC LIMIT 1) c ON true"
    " WHERE r.state = 'running' ORDER BY r.created_at, r.replay_id"
)


class Receipt(Enum):
    """What became of a command that was written down."""

    NEW = auto()
    REPEATED = auto()
    REUSED = auto()  # its id stands for another command already


@dataclass(frozen=True, slots=True)
class CommandRow:
    """One command. `body` is its value; `answer` JSON values of whoever carried it out, once somebody has."""

    key: str
    command_id: str
    source: str
    body: bytes | None
    action: str | None
    replay_id: str | None
    rate: float | None
    max_live_lag: int | None
    max_backlog: int | None
    received_at: datetime
    answer: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class DueReplay:
    """A replay that shall run, and how."""

    replay_id: str
    rate: float | None
    max_live_lag: int | None
    max_backlog: int | None


class CommandBox:
    """Every call is one transaction, blocks, and raises OutageError or SetupError."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def positions(self, topic: str) -> dict[int, int]:
        """Return how far each partition is read: the next offset."""
        table = replay_command_positions
        query = select(table.c.partition, table.c.next_offset).where(table.c.topic == topic)
        with transaction(self._engine) as connection:
            return {row.partition: row.next_offset for row in connection.execute(query)}

    def receive(self, row: CommandRow | None, place: tuple[str, int], next_offset: int) -> Receipt | None:
        """Write down a command, or None for what is no command, and that everything before `next_offset` is read."""
        table = replay_command_positions
        values = {"topic": place[0], "partition": place[1], "next_offset": next_offset}
        advance = insert(table).values(values)
        advance = advance.on_conflict_do_update(
            index_elements=["topic", "partition"],
            set_={"next_offset": func.greatest(table.c.next_offset, next_offset)},
        )
        with transaction(self._engine) as connection:
            connection.execute(advance)
            if row is None:
                return None
            made = insert(replay_commands).values({name: getattr(row, name) for name in CommandRow.__slots__})
            if connection.execute(made.on_conflict_do_nothing()).rowcount == 1:
                return Receipt.NEW
            before = select(replay_commands.c.body).where(replay_commands.c.key == row.key)
            same = connection.execute(before).scalar_one()
        return Receipt.REPEATED if (None if same is None else bytes(same)) == row.body else Receipt.REUSED

    def reset(self, topic: str, partition: int, next_offset: int) -> None:
        """Let a partition be read from an offset, also an earlier one: its topic was made anew, or has lost some."""
        table = replay_command_positions
        here = (table.c.topic == topic) & (table.c.partition == partition)
        with transaction(self._engine) as connection:
            connection.execute(update(table).where(here).values(next_offset=next_offset))

    def waiting(self, limit: int) -> list[CommandRow]:
        """Return commands whose answer is not sent yet, in the order in which they came."""
        columns = [replay_commands.c[name] for name in CommandRow.__slots__]
        query = select(*columns).where(replay_commands.c.sent_at.is_(None))
        with transaction(self._engine) as connection:
            rows = connection.execute(query.order_by(replay_commands.c.number).limit(limit)).mappings().all()
        return [_row(row) for row in rows]

    def find(self, key: str) -> CommandRow | None:
        """Return one command, or None where its answer is sent."""
        columns = [replay_commands.c[name] for name in CommandRow.__slots__]
        here = (replay_commands.c.key == key) & replay_commands.c.sent_at.is_(None)
        with transaction(self._engine) as connection:
            found = connection.execute(select(*columns).where(here)).mappings().one_or_none()
        return None if found is None else _row(found)

    def answer(self, key: str, answer: dict[str, Any]) -> None:
        """Write down what became of a command; the first answer stays."""
        here = (replay_commands.c.key == key) & replay_commands.c.answer.is_(None)
        with transaction(self._engine) as connection:
            connection.execute(update(replay_commands).where(here).values(answer=answer))

    def sent(self, key: str, now: datetime) -> None:
        """Note that the broker has the answer."""
        with transaction(self._engine) as connection:
            connection.execute(update(replay_commands).where(replay_commands.c.key == key).values(sent_at=now))

    def due(self) -> list[DueReplay]:
        """Return the replays that a command lets run and that are not through, the oldest first."""
        with transaction(self._engine) as connection:
            return [DueReplay(*row) for row in connection.execute(_DUE)]


def _row(values: Any) -> CommandRow:
    body = values["body"]
    return CommandRow(**{**values, "body": None if body is None else bytes(body)})
