import pytest

from processors.gate import Decision, decide
from schemas.result import Quality


@pytest.mark.parametrize(
    ("mode", "score", "decision"),
    [
        ("off", 0.0, Decision.PASS),
        ("flag", 65.0, Decision.PASS),
        ("flag", 64.9, Decision.FLAG),
        ("reject", 65.0, Decision.PASS),
        ("reject", 64.9, Decision.REJECT),
    ],
)
def test_the_gate_acts_below_the_pass_score_only(mode: str, score: float, decision: Decision) -> None:
    quality = Quality(score=score, level="fair", checks=[])
    assert decide(mode, quality, 65.0) is decision  # type: ignore[arg-type]
