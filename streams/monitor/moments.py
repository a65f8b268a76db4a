"""Milliseconds since 1970, as Kafka dates records, and times."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def moment(ms: int) -> datetime:
    """Return the time in UTC, exact to the millisecond."""
    return _EPOCH + timedelta(milliseconds=ms)


def milliseconds(time: datetime) -> int:
    """Return milliseconds since 1970, rounded down."""
    return (time - _EPOCH) // timedelta(milliseconds=1)
