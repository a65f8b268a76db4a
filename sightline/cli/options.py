"""Options that several commands share, and the values that they take."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from schemas.errors import ConfigurationError

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON lines on standard output, for machines.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for a service to answer.")]


def parse_moment(option: str, text: str) -> datetime:
    """Read an option's ISO 8601 date or time; without a zone it is UTC. Raises ConfigurationError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigurationError(option, f"{text!r} is not an ISO 8601 time such as 2026-03-01T14:00Z") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
