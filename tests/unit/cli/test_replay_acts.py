"""What a command for a comparison becomes, and what its answer tells."""

import pytest

from schemas.errors import ReplayCode, ReplayError
from schemas.replaycommand import LIMITS, ReplayCommand
from sightline.cli.replay_acts import told, wanted_by
from sightline.cli.replay_comparing import Compared, Wanted
from sightline.compare.change import Rules
from sightline.compare.facts import About
from sightline.compare.limits import NAMES, judge, judged_frames
from tests.unit.compare.samples import compared, pair, result

ABOUT = About("r-1", "live", ("civic",), "civic")


def _compared(cameras: int, **limits: float) -> Compared:
    answers = [
        (result(n, source=f"/c/{n}", score=80.0), result(n, source=f"/c/{n}", score=70.0)) for n in range(cameras)
    ]
    comparison = compared(pair(old, new) for old, new in answers)
    verdicts = judge(comparison, limits, count_copies=False)
    return Compared(comparison, ABOUT, verdicts, {}, judged_frames(comparison, count_copies=False))


def test_each_field_of_a_command_has_its_place() -> None:
    shares = {f"at_most_{name}": number / 10 for number, name in enumerate(NAMES)}
    command = ReplayCommand.model_validate(
        {"action": "compare", "replay_id": "r-1", "baseline": "r-0", "iou": 0.7, "score_drop": 3, "count_copies": True}
        | shares
    )
    limits = {name: number / 10 for number, name in enumerate(NAMES)}
    wanted = Wanted("r-1", "r-0", rules=Rules(iou=0.7, score_drop=3), limits=limits, count_copies=True)
    assert wanted_by("r-1", command) == wanted
    assert LIMITS == NAMES


def test_what_a_command_leaves_open_is_as_on_the_command_line() -> None:
    command = ReplayCommand(action="compare", replay_id="r-1")
    assert wanted_by("r-1", command) == Wanted("r-1", "live", rules=Rules(iou=0.5, score_drop=1.0))


def test_without_a_frame_that_counts_no_limit_is_kept() -> None:
    assert _compared(0).kept
    assert not _compared(0, worse=1.0).kept
    assert _compared(2, worse=1.0).kept
    assert not _compared(2, worse=0.9, changed=0.0).kept


def test_what_no_message_could_hold_is_refused() -> None:
    facts = told(_compared(100))
    assert len(facts["originals"]["sources"]) == 100
    assert "most_changed" not in facts
    with pytest.raises(ReplayError) as caught:
        told(_compared(10_000))
    assert caught.value.code is ReplayCode.ANSWER_TOO_LARGE
