"""`sightline replay`: the commands about replays, each in a file of its own kind."""

import typer

from sightline.cli.replay_compare import compare
from sightline.cli.replay_control import cancel, pause
from sightline.cli.replay_plan import plan
from sightline.cli.replay_promote import promote
from sightline.cli.replay_serve import serve
from sightline.cli.replay_start import resume, start
from sightline.cli.replay_status import status

replay = typer.Typer(help="Send frames once more, compare, and promote what is better.", no_args_is_help=True)
replay.command()(plan)
replay.command()(start)
replay.command()(status)
replay.command()(pause)
replay.command()(resume)
replay.command()(cancel)
replay.command()(promote)
replay.command()(compare)
replay.command()(serve)
