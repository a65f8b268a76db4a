"""`sightline deadletters redrive`, `park` and `purge`: what operators do to dead letters."""

from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import chain
from typing import Annotated

import typer
from sqlalchemy import Engine

from sightline.cli.deadletter_options import Actor, Chosen, DryRun, Yes, actor_name, confirm
from sightline.cli.deadletter_report import print_plan, report
from sightline.cli.options import AsJson, Timeout
from sightline.cli.output import print_note
from sightline.cli.start import start
from sightline.runtime.clock import SystemClock
from sightline.runtime.database import database_engine
from sightline.runtime.faults import Faults
from sightline.runtime.objectstore import open_store
from sightline.runtime.settings import Settings
from sinks.postgres.deadletter_actions import Action
from sinks.postgres.deadletter_stats import choose_dead_letters
from sinks.postgres.reader import Row, read_dead_letters
from streams.redrive import Limits, Redrive, Services
from streams.redrive_plan import Handled, Step, plan_park, plan_redrive
from streams.redrive_purge import purge as purge_letters
from streams.redrive_settle import Settled

_TIMEOUT_S = 15.0
# Shorter than a Kafka transaction, inside which the database is asked.
_STATEMENT_S = 8
_PAGE = 500
_SENDABLE = ("open",)
_PURGEABLE = ("open", "redriven", "resolved", "parked")

Rate = Annotated[
    float | None,
    typer.Option("--rate", min=0.01, help="Records a second, at most; SIGHTLINE_REDRIVE_RATE unless told."),
]


def redrive(
    *,
    chosen: Chosen,
    rate: Rate = None,
    max_attempts: Annotated[
        int | None,
        typer.Option(
            "--max-attempts",
            min=1,
            help="Park what has failed this often; SIGHTLINE_REDRIVE_MAX_ATTEMPTS unless told.",
        ),
    ] = None,
    actor: Actor = None,
    dry_run: DryRun = False,
    timeout_s: Timeout = _TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """Send dead letters to the topics that they came from, once each; those that are open, unless told.

    What has failed too often is parked instead. Killed at any moment and run again, it sends nothing twice. The
    exit code is 1 if any could not be sent.

    Example: [bold]sightline deadletters redrive --pipeline civic --code claim_unreadable --rate 20[/bold]
    """
    settings = start()
    most = max_attempts or settings.redrive.max_attempts
    _send(
        settings,
        chosen,
        _limits(settings, chosen, _SENDABLE, actor, rate, timeout_s),
        lambda row: plan_redrive(row, most),
        dry_run=dry_run,
        as_json=as_json,
    )


def park(
    *,
    chosen: Chosen,
    rate: Rate = None,
    actor: Actor = None,
    dry_run: DryRun = False,
    timeout_s: Timeout = _TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """Put dead letters aside on [bold]deadletters.PIPELINE.parked[/bold], as they are; the open ones, unless told.

    Example: [bold]sightline deadletters park --source /farms/7/cameras/north --until 2026-03-01[/bold]
    """
    settings = start()
    limits = _limits(settings, chosen, _SENDABLE, actor, rate, timeout_s)
    _send(settings, chosen, limits, plan_park, dry_run=dry_run, as_json=as_json)


def purge(
    *,
    chosen: Chosen,
    yes: Yes = False,
    no_object_sink: Annotated[
        bool, typer.Option("--no-object-sink", help="None runs, nor ever will: wait for none to have stored the bytes.")
    ] = False,
    actor: Actor = None,
    dry_run: DryRun = False,
    timeout_s: Timeout = _TIMEOUT_S,
    as_json: AsJson = False,
) -> None:
    """Delete the bytes of dead letters from the object store, and headers and key from their rows. For good.

    The rows stay, with who, when, where and why. The copy on the dead-letter topic goes by its retention.

    Example: [bold]sightline deadletters purge --pipeline civic --until 2026-01-01 --yes[/bold]
    """
    settings = start()
    limits = _limits(settings, chosen, _PURGEABLE, actor, None, timeout_s)
    services, wanted, missing = _choose(settings, chosen, limits)
    if dry_run:
        steps = (Step(row["dl_id"], Action.PURGE) for row in _rows(services.engine, wanted))
        print_plan(chain(missing, steps), as_json=as_json)
        return
    count = sum(map(len, wanted.values()))
    if count:
        confirm(f"Purge {count} dead letters for good?", yes=yes)
    handled = (
        one
        for name, ids in wanted.items()
        for one in purge_letters(services, limits, name, ids, object_sink=not no_object_sink)
    )
    report(chain(map(Handled, missing), handled), as_json=as_json)


def _limits(
    settings: Settings, chosen: Chosen, states: tuple[str, ...], actor: str | None, rate: float | None, timeout_s: float
) -> Limits:
    return Limits(
        actor=actor_name(actor),
        states=states if chosen.state is None else (chosen.state,),
        rate=rate or settings.redrive.rate,
        timeout_s=timeout_s,
    )


def _choose(settings: Settings, chosen: Chosen, limits: Limits) -> tuple[Services, Mapping[str, list[str]], list[Step]]:
    """Open what is needed, and return the ids by pipeline, and those named that there are none of.

    A pipeline that was named is always among them: what was broken off there is settled.
    """
    chosen.insist()
    engine = database_engine(
        settings.database_url(), application_name="sightline-cli", pool_size=3, statement_timeout_s=_STATEMENT_S
    )
    store = None if settings.objects.url is None else open_store(settings.objects.url, settings.s3)
    services = Services(engine, settings.kafka, store, SystemClock(), Faults(settings.fault.point))
    found = choose_dead_letters(engine, chosen.filter(), limits.states, chosen.limit)
    named = {} if chosen.pipeline is None else {chosen.pipeline: list[str]()}
    return services, named | found, _missing(engine, limits, set(chosen.ids or ()).difference(*found.values()))


def _missing(engine: Engine, limits: Limits, dl_ids: Collection[str]) -> list[Step]:
    """Return steps for what does not exist. What was named and exists, but is not chosen, gets a note alone.

    So a command that is run again with the same ids, some of which it has sent already, succeeds.
    """
    states = {row["dl_id"]: row["state"] for row in read_dead_letters(engine, sorted(dl_ids))}
    for dl_id, state in states.items():
        print_note(f"{dl_id}: {'not what the options choose' if state in limits.states else f'it is {state}'}")
    return [Step(dl_id, None, reason="there is no such dead letter") for dl_id in sorted(set(dl_ids) - states.keys())]


def _send(
    settings: Settings, chosen: Chosen, limits: Limits, plan: Callable[[Row], Step], *, dry_run: bool, as_json: bool
) -> None:
    services, wanted, missing = _choose(settings, chosen, limits)
    if dry_run:
        print_plan(chain(missing, map(plan, _rows(services.engine, wanted))), as_json=as_json)
        return
    runs = ((Redrive(services, limits, name, plan, _note), ids) for name, ids in wanted.items())
    handled = (one for run, ids in runs for one in run.run(ids))
    report(chain(map(Handled, missing), handled), as_json=as_json)


def _rows(engine: Engine, wanted: Mapping[str, list[str]]) -> Iterator[Row]:
    for ids in wanted.values():
        for start_at in range(0, len(ids), _PAGE):
            yield from read_dead_letters(engine, ids[start_at : start_at + _PAGE])


def _note(settled: Settled) -> None:
    print_note(f"a {settled.action.value} of {settled.letters} that was broken off is settled: {settled.outcome.value}")
