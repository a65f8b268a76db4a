"""Commands that cannot be carried out: why, by a stable code, for whoever sent them."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from schemas.errors import ConfigurationError, InputError, ModelError, ReplayCode, ReplayError
from schemas.replaycommand import ReplayAnswer
from sinks.postgres.replay_commands import CommandRow

_MAX_REASON: Final = 1000


def refusal(row: CommandRow, error: ConfigurationError | InputError, now: datetime) -> ReplayAnswer:
    """Return the answer to a command that is refused."""
    reason = error.problem if isinstance(error, ReplayError) else str(error)
    return ReplayAnswer(
        command_id=row.command_id,
        command_source=row.source,
        action=row.action,
        outcome="refused",
        replay_id=row.replay_id,
        code=_code(error),
        reason=" ".join(reason.split())[:_MAX_REASON],
        answered_at=now,
    )


def refuse(row: CommandRow, error: ReplayError, now: datetime) -> CommandRow:
    """Return the row of a command that is refused as it is written down."""
    return replace(row, answer=refusal(row, error, now).model_dump(mode="json", exclude_none=True))


def _code(error: ConfigurationError | InputError) -> str:
    if isinstance(error, ReplayError | ModelError | InputError):
        return error.code.value
    return ReplayCode.REQUEST_INVALID.value
