"""`sightline publish`: files onto a frames topic."""

import socket
from typing import Annotated

import typer

from sightline.cli.exits import WORK_FAILED
from sightline.cli.options import AsJson, Timeout
from sightline.cli.output import print_line
from sightline.cli.pipelines import check_name
from sightline.cli.publishing import Plan, Publishing
from sightline.cli.start import start


def publish(  # noqa: PLR0913 -- each is one option of the command line
    *,
    pipeline: Annotated[str, typer.Argument(help="The pipeline whose topic the pictures go to.")],
    paths: Annotated[list[str], typer.Argument(help="Files, folders, patterns; - is standard input.")],
    camera: Annotated[
        str | None, typer.Option("--camera", help="Source of the frames, and their order. [default: /files/HOST]")
    ] = None,
    rate: Annotated[float | None, typer.Option("--rate", min=0.001, help="Frames a second, at most.")] = None,
    repeat: Annotated[int, typer.Option("--repeat", min=1, help="Publish all this often, as frames of their own.")] = 1,
    keep: Annotated[bool | None, typer.Option("--keep/--no-keep", help="Whether the pictures are kept.")] = None,
    id_prefix: Annotated[str, typer.Option("--id-prefix", help="Put before each frame's event id.")] = "",
    timeout_s: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Publish pictures as frames. Every delivery is checked; the exit code is 1 if any picture was not delivered.

    Publishing an unchanged file twice is the same frame twice, and gives one result. Large pictures go to
    the object store, and the frame points there.

    Examples: [bold]sightline publish civic photos/ --camera /city/5/phone[/bold],
    [bold]cat a.jpg | sightline publish civic -[/bold]
    """
    settings = start()
    plan = Plan(
        pipeline=check_name(pipeline),
        source=camera or f"/files/{socket.gethostname()}",
        id_prefix=id_prefix,
        extensions={} if keep is None else {"keep": str(keep).lower()},
        rate=rate,
        repeat=repeat,
    )
    publishing = Publishing(plan, settings, timeout_s=timeout_s, as_json=as_json)
    publishing.run(paths)
    if not as_json:
        print_line(f"{publishing.delivered} frames published to {plan.topic}, {publishing.failed} failed")
    if publishing.failed:
        raise typer.Exit(WORK_FAILED)
