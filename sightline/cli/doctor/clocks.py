"""Clocks that differ: capture times, lag and latency are compared across machines."""

from datetime import UTC, datetime

from schemas.encoding import from_timestamp_ms
from sightline.cli.doctor.finding import Finding, ok, warn
from streams.read import TopicRecord

# Latencies are measured in tenths of a second; frames are refused from 300 s on.
_TOLERATED_S = 1.0


def check_clock(check: str, theirs: datetime, before: datetime, after: datetime) -> Finding:
    """Compare a service's clock with ours, read before and after it was asked."""
    ahead_s = max((theirs - after).total_seconds(), 0.0) - max((before - theirs).total_seconds(), 0.0)
    if abs(ahead_s) <= _TOLERATED_S:
        return ok(check, f"its clock and ours differ by no more than {_TOLERATED_S:.0f} s")
    says = f"its clock is {abs(ahead_s):.0f} s {'ahead of' if ahead_s > 0 else 'behind'} ours"
    return warn(check, says, "set both clocks by NTP")


def ahead_s(record: TopicRecord) -> float:
    """Return how far ahead of our clock the broker's was when it dated a record; less than 0: the record is old."""
    return (from_timestamp_ms(record.timestamp_ms) - datetime.now(UTC)).total_seconds()


def age_s(record: TopicRecord) -> float:
    """Return how old a record is, by the broker's date and our clock."""
    return max(-ahead_s(record), 0.0)
