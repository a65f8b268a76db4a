"""What `sightline deadletters redrive`, `park` and `purge` print."""

from collections import Counter
from collections.abc import Iterable

import typer

from sightline.cli.exits import WORK_FAILED
from sightline.cli.output import print_json, print_line, print_note, print_table
from sinks.postgres.deadletter_actions import Action
from streams.redrive_plan import Handled, Step

_DONE = {Action.REDRIVE: "redriven", Action.PARK: "parked", Action.PURGE: "purged"}


def print_plan(steps: Iterable[Step], *, as_json: bool) -> None:
    """Print what would be done."""
    rows = [(step.action, step.dl_id, step.topic, step.attempt, step.reason) for step in steps]
    names = ("action", "dl_id", "topic", "attempt", "reason")
    if not as_json:
        print_table([name.removeprefix("dl_").upper() for name in names], rows)
        return
    for row in rows:
        print_json({name: value for name, value in zip(names, row, strict=True) if value is not None})


def report(handled: Iterable[Handled], *, as_json: bool) -> None:
    """Print what is done while it is being done. Raises Exit(1) when something could not be."""
    counts: Counter[Action | None] = Counter()
    for one in handled:
        counts[one.step.action] += 1
        if as_json:
            print_json(_facts(one))
        elif one.step.action is None:
            print_note(f"{one.step.dl_id}: {one.step.reason}")
    if not as_json:
        parts = [f"{counts[action]} {word}" for action, word in _DONE.items() if counts[action]]
        print_line(", ".join([*parts, *([f"{counts[None]} left as they are"] if counts[None] else [])]) or "none")
    if counts[None]:
        raise typer.Exit(WORK_FAILED)


def _facts(one: Handled) -> dict[str, object]:
    step, place = one.step, one.place
    facts = {
        "dl_id": step.dl_id,
        "action": step.action,
        "topic": step.topic if place is None else place.topic,
        "partition": None if place is None else place.partition,
        "offset": None if place is None else place.offset,
        "attempt": step.attempt,
        "reason": step.reason,
    }
    return {name: value for name, value in facts.items() if value is not None}
