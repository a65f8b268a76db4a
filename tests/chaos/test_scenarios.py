"""The short form of every scenario that no other test plays; `make chaos` runs the full form of all."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.outcome import table
from tests.chaos.scenarios import SCENARIOS, Scenario, run
from tests.chaos.stage import Services
from tests.services import S3, Kafka, Postgres
from tests.world import ROOT

pytestmark = [pytest.mark.services, pytest.mark.chaos]
SEED = 20_260_301


@pytest.mark.parametrize(
    "scenario", [one for one in SCENARIOS if one.tested_in is None], ids=lambda scenario: scenario.name
)
def test_nothing_is_lost_doubled_or_blamed(
    scenario: Scenario, kafka: Kafka, postgres: Postgres, s3: S3, tmp_path: Path
) -> None:
    if (reason := scenario.cannot_be_played) is not None:
        pytest.skip(reason)
    outcome = run(scenario, SEED, scenario.short, Services(kafka, postgres, s3), tmp_path)
    assert not outcome.findings, table([outcome])


def test_it_ends_when_its_time_is_over(tmp_path: Path) -> None:
    said = tmp_path / "chaos.json"
    command = [
        sys.executable,
        "-m",
        "tests.chaos",
        "--only",
        "kills",
        "cluster",
        "--minutes",
        "0.2",
        "--json",
        str(said),
    ]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert ended.returncode == 1
    facts = json.loads(said.read_text(encoding="utf-8"))
    assert facts["total"]["findings"] == ["not played to the end: kills, cluster"]
    assert "ended early" in ended.stdout
