"""The chaos runner counts what the auditor finds, and its scenarios pass every point where a process can be killed."""

from pathlib import Path

import pytest

from sightline.runtime.faults import POINTS
from tests.audit import Evidence
from tests.chaos import scenarios
from tests.chaos.__main__ import main
from tests.chaos.outcome import Outcome, table, total_of
from tests.chaos.scenarios import SCENARIOS
from tests.chaos.stage import blamed
from tests.unit.test_audit import sound_evidence


def _evidence() -> Evidence:
    evidence = sound_evidence()
    evidence.topic_results.append(evidence.topic_results[0])
    return evidence


def test_a_second_copy_on_a_topic_is_a_repeat_and_no_fault() -> None:
    outcome = Outcome("x", 1)
    outcome.add(_evidence(), [])
    assert (outcome.frames, outcome.results, outcome.dead_letters, outcome.repeats) == (4, 3, 1, 1)
    assert outcome.verdict == "sound"


@pytest.mark.parametrize(
    ("finding", "counter"),
    [
        ("lost: a frame", "lost"),
        ("double: a row", "doubled"),
        ("missing: an object", "missing_objects"),
        ("blamed: a frame", "blamed"),
        ("late: rows", "others"),
    ],
)
def test_each_kind_of_finding_has_its_column_and_makes_the_verdict(finding: str, counter: str) -> None:
    outcome = Outcome("x", 1)
    outcome.add(_evidence(), [finding])
    counts = {name: getattr(outcome, name) for name in ("lost", "doubled", "missing_objects", "blamed", "others")}
    assert counts == dict.fromkeys(counts, 0) | {counter: 1}
    assert outcome.verdict == "WRONG"
    assert finding in table([outcome])


def test_a_dead_letter_of_a_frame_that_is_not_broken_is_blame() -> None:
    evidence = _evidence()
    [finding] = blamed(evidence)
    assert "picture_corrupt" in finding
    evidence.topic_letters.clear()
    assert blamed(evidence) == []


def test_the_last_line_sums_up() -> None:
    one, other = Outcome("x", 1, frames=3, faults=2), Outcome("y", 1, frames=4, faults=5)
    other.find("lost: a frame")
    total = total_of([one, other], 1)
    assert (total.frames, total.faults, total.lost, total.verdict) == (7, 7, 1, "WRONG")


def test_every_fault_point_is_met_by_a_scenario() -> None:
    told = "".join(path.read_text() for path in Path(scenarios.__file__).parent.glob("*.py"))
    assert [point for point in POINTS if f'"{point}' not in told] == []


def test_the_full_form_is_as_large_as_promised() -> None:
    civic = [scenario for scenario in SCENARIOS if scenario.name not in {"models", "loaded"}]
    assert sum(scenario.full.frames for scenario in civic) >= 100_000
    assert sum(scenario.full.faults for scenario in SCENARIOS) >= 100
    [models] = [scenario for scenario in SCENARIOS if scenario.name == "models"]
    assert models.full.frames >= 8 * 2_000


def test_what_is_said_to_be_tested_elsewhere_is_there() -> None:
    named = [scenario.tested_in for scenario in SCENARIOS if scenario.tested_in is not None]
    assert [name for name in named if not (Path(__file__).parents[1] / name).is_file()] == []


def test_the_list_names_every_scenario(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [scenario.name for scenario in SCENARIOS]
    assert all(len(line.split()) > 4 for line in lines)
