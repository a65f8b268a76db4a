"""What `make chaos` runs: `python -m tests.chaos`; `--help` tells its options.

Real services, processes killed and services disturbed while frames flow, and after each scenario the auditor
(`tests/audit.py`) over every acknowledged publish. One table at the end; exit code 1 when anything is wrong in it,
2 when a tool is missing.
"""

import argparse
import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from schemas.errors import ConfigurationError
from tests.chaos.outcome import Outcome, table, total_of
from tests.chaos.scenarios import SCENARIOS, Scenario, run
from tests.chaos.stage import Services
from tests.services import make_kafka, make_postgres, make_s3, running


def main(argv: Sequence[str] | None = None) -> int:
    """Run the scenarios that are asked for; return the exit code."""
    options = _options(argv)
    if options.list:
        for scenario in SCENARIOS:
            print(f"{scenario.name:12} {scenario.about}")
        return 0
    seed = random.SystemRandom().randrange(1_000_000) if options.seed is None else options.seed
    chosen = [scenario for scenario in SCENARIOS if not options.only or scenario.name in options.only]
    left_out = {scenario.name: reason for scenario in chosen if (reason := scenario.cannot_be_played) is not None}
    chosen = [scenario for scenario in chosen if scenario.name not in left_out]
    began = time.monotonic()
    # Who is asked to end, or has taken all its time, still says what it has seen.
    for end in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(end, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, options.minutes * 60)
    outcomes: list[Outcome] = []
    try:
        _run_all(chosen, seed, outcomes, short=options.short)
    except KeyboardInterrupt:
        left = [scenario.name for scenario in chosen[len(outcomes) :]]
        outcomes.append(Outcome("ended early", seed, findings=[f"not played to the end: {', '.join(left)}"]))
    except ConfigurationError as missing:
        print(f"chaos: {missing}", file=sys.stderr)
        return 2
    signal.setitimer(signal.ITIMER_REAL, 0)
    total = total_of(outcomes, seed)
    total.seconds = time.monotonic() - began
    print(
        f"\n{table([*outcomes, total])}",
        *(f"{name}: not played: {reason}" for name, reason in left_out.items()),
        sep="\n",
    )
    if options.json is not None:
        facts = {"seed": seed, "scenarios": [outcome.facts() for outcome in outcomes], "total": total.facts()}
        options.json.write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return 1 if total.findings else 0


def _options(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="chaos", description="Kills and outages, and whether anything was lost.")
    parser.add_argument("--seed", type=int, help="of all that is left to chance; a new one by default, and printed")
    names = [scenario.name for scenario in SCENARIOS]
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help="only these scenarios; see --list")
    how_much = parser.add_mutually_exclusive_group()
    how_much.add_argument("--short", action="store_true", help="as much as the tests do, minutes")
    how_much.add_argument("--full", action="store_true", help="all of it, about half an hour (default)")
    parser.add_argument("--minutes", type=float, default=90, help="end after so many, as wrong (default: %(default)s)")
    parser.add_argument("--json", type=Path, help="write the table there, too")
    parser.add_argument("--list", action="store_true", help="say what there is")
    options = parser.parse_args(argv)
    if options.minutes <= 0:
        parser.error("--minutes must be more than 0")
    return options


def _run_all(chosen: Sequence[Scenario], seed: int, outcomes: list[Outcome], *, short: bool) -> None:
    with ExitStack() as stack:
        services = Services(
            stack.enter_context(running(make_kafka)),
            stack.enter_context(running(make_postgres)),
            stack.enter_context(running(make_s3)),
        )
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="sightline-chaos-")))
        for scenario in chosen:
            print(f"{scenario.name}, seed {seed}: {scenario.about}", flush=True)
            size = scenario.short if short else scenario.full
            outcome = run(scenario, seed, size, services, folder / scenario.name)
            # At once: who is killed cannot say anything at the end.
            print(f"  {outcome.seconds:6.1f} s  {outcome.verdict}\n{table([outcome])}", flush=True)
            outcomes.append(outcome)


if __name__ == "__main__":
    sys.exit(main())
