"""What doctor says of one thing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sightline.cli.exits import UNREACHABLE, WORK_FAILED

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `advice` says what to do about it; a service that is `away` has its own exit code."""

    status: Status
    check: str
    says: str
    advice: str = ""
    away: bool = False


def ok(check: str, says: str) -> Finding:
    """Make a finding that all is well."""
    return Finding("ok", check, says)


def warn(check: str, says: str, advice: str) -> Finding:
    """Make a finding of what may hurt later."""
    return Finding("warn", check, says, advice)


def fail(check: str, says: str, advice: str) -> Finding:
    """Make a finding of what does not work."""
    return Finding("fail", check, says, advice)


def away(check: str, says: str, advice: str) -> Finding:
    """Make a finding of a service that cannot be reached."""
    return Finding("fail", check, says, advice, away=True)


def exit_code(findings: Sequence[Finding]) -> int:
    """Return the exit code that findings add up to."""
    if any(finding.away for finding in findings):
        return UNREACHABLE
    return WORK_FAILED if any(finding.status == "fail" for finding in findings) else 0
