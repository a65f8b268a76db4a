"""Stops frames of poor quality before they cost more."""

from enum import StrEnum
from typing import Literal

from schemas.result import Quality


class Decision(StrEnum):
    """What becomes of a frame after its quality is known."""

    PASS = "pass"  # noqa: S105 - no password
    FLAG = "flag"
    REJECT = "reject"


def decide(mode: Literal["off", "flag", "reject"], quality: Quality, pass_score: float) -> Decision:
    """Let a frame pass, unless its score is below `pass_score` and the pipeline's gate is not off."""
    return Decision.PASS if mode == "off" or quality.score >= pass_score else Decision(mode)
