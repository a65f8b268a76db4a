"""The scenarios, in the order in which they run."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.namespace import is_inside, run_inside, what_is_missing
from tests.chaos.outcome import Outcome, outcome_of
from tests.chaos.scenarios import (
    clocks,
    clusters,
    disks,
    floods,
    kills,
    models,
    monitors,
    network,
    once,
    outages,
    packets,
    redrives,
    replays,
)
from tests.chaos.stage import Services, Size, Stage


@dataclass(frozen=True)
class Scenario:
    """One story of faults, and how much of it the short form and the full form ask for.

    The short form is part of the tests, but where `tested_in` names a test that does as much already. One that is
    `isolated` has a network and services of its own.
    """

    name: str
    play: Callable[[Stage], None]
    short: Size
    full: Size
    tested_in: str | None = None
    isolated: bool = False

    @property
    def about(self) -> str:
        """The first line of its story."""
        return (self.play.__doc__ or "").strip().splitlines()[0]

    @property
    def cannot_be_played(self) -> str | None:
        """Why this machine cannot play it, or None."""
        return what_is_missing() if self.isolated and not is_inside() else None


SCENARIOS = (
    Scenario("kills", kills.at_random, Size(2_000, 8), Size(50_000, 40)),
    Scenario("windows", kills.at_named_points, Size(600, 5), Size(3_600, 28)),
    Scenario("models", models.killed, Size(8 * 75, 8), Size(8 * 2_000, 8 * 4)),
    Scenario("replay", replays.killed, Size(300, 4), Size(3_000, 12), "integration/test_replay.py"),
    Scenario("redrive", redrives.killed, Size(100, 3), Size(1_000, 12), "integration/test_redrive.py"),
    Scenario("monitor", monitors.killed, Size(300, 2), Size(4_000, 6), "integration/test_monitor.py"),
    Scenario("broker", outages.broker_restarts, Size(1_000, 2, outage_s=3), Size(10_000, 6, outage_s=5)),
    Scenario("once", once.each_answer_stands_once, Size(800, 4, outage_s=5), Size(10_000, 24, outage_s=6)),
    Scenario("timeouts", outages.longer_than_timeouts, Size(600, 4, outage_s=12), Size(6_000, 4, outage_s=60)),
    Scenario("stores", outages.stores, Size(500, 5, outage_s=1), Size(10_000, 10, outage_s=5)),
    Scenario("loaded", outages.stores_and_models, Size(150, 2, outage_s=1), Size(1_500, 2, outage_s=10)),
    Scenario("network", network.disturbed, Size(800, 8, outage_s=1), Size(12_000, 24, outage_s=3)),
    Scenario("packets", packets.lost, Size(400, 4, outage_s=1.5), Size(6_000, 12, outage_s=5), isolated=True),
    Scenario("cluster", clusters.one_of_three, Size(400, 1), Size(6_000, 3)),
    Scenario("rebalances", clusters.coming_and_going, Size(800, 5), Size(15_000, 24)),
    Scenario("floods", floods.of_poison, Size(400, 2), Size(1_200, 2), "integration/test_flood_halt.py"),
    Scenario("disks", disks.full, Size(600, 2, outage_s=1), Size(4_000, 4, outage_s=10)),
    Scenario("clock", clocks.jumping, Size(400, 3, outage_s=1), Size(5_000, 10, outage_s=4)),
)


def run(scenario: Scenario, seed: int, size: Size, services: Services, folder: Path) -> Outcome:
    """Play a scenario to its end. What goes wrong stands in the outcome, whatever it was."""
    if scenario.isolated and not is_inside():
        how_much = "--short" if size == scenario.short else "--full"
        facts = run_inside(["--only", scenario.name, "--seed", str(seed), how_much], folder)
        return outcome_of(facts["scenarios"][0])
    outcome = Outcome(scenario.name, seed)
    with Stage(outcome, size, services, folder) as stage:
        try:
            scenario.play(stage)
        except Exception as failure:  # noqa: BLE001 -- a scenario that breaks off must not hide the others
            traceback.print_exc()
            outcome.find(f"broken off: {type(failure).__name__}: {failure}")
    if outcome.faults < size.faults:
        outcome.find(f"too little: {outcome.faults} faults of {size.faults}")
    if outcome.frames < size.frames:
        outcome.find(f"too little: {outcome.frames} frames of {size.frames}")
    return outcome
