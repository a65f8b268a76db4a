"""Options that several commands share, and the values that they take."""

from datetime import UTC, datetime
from typing import Annotated

import typer

AsJson = Annotated[bool, typer.Option("--json", help="Write JSON lines on standard output, for machines.")]
Timeout = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for a service to answer.")]


def parse_moment(text: str) -> datetime:
    """Read an ISO 8601 date or time; without a zone it is UTC. Raises typer.BadParameter."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not an ISO 8601 time such as 2026-03-01T14:00Z") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
