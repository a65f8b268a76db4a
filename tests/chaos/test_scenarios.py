"""The short form of every scenario that no other test plays; `make chaos` runs the full form of all."""

from pathlib import Path

import pytest

from tests.chaos.outcome import table
from tests.chaos.scenarios import SCENARIOS, Scenario, run
from tests.chaos.stage import Services
from tests.services import S3, Kafka, Postgres

pytestmark = [pytest.mark.services, pytest.mark.chaos]
SEED = 20_260_301


@pytest.mark.parametrize(
    "scenario", [one for one in SCENARIOS if one.tested_in is None], ids=lambda scenario: scenario.name
)
def test_nothing_is_lost_doubled_or_blamed(
    scenario: Scenario, kafka: Kafka, postgres: Postgres, s3: S3, tmp_path: Path
) -> None:
    outcome = run(scenario, SEED, scenario.short, Services(kafka, postgres, s3), tmp_path)
    assert not outcome.findings, table([outcome])
