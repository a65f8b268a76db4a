"""`sightline replay pause` and `cancel`."""

from schemas.errors import InputError, ReplayCode, ReplayError, SetupError
from schemas.frame import Origin
from schemas.replay import ReplayState, replay_state_message
from sightline.cli.options import Timeout
from sightline.cli.output import print_line
from sightline.cli.replay_plan import who
from sightline.cli.replay_start import Id
from sightline.cli.replay_store import find_replay, open_book
from sightline.cli.start import start
from sightline.runtime.clock import SystemClock
from sightline.runtime.kafka import SERVICE
from sightline.runtime.settings import KafkaSettings, Settings
from sinks.postgres.replays import CANCELLED, PAUSED, ReplayBook
from streams.publish import FramePublisher


def pause(*, replay_id: Id) -> None:
    """Stop sending the frames of a replay until [bold]resume[/bold]. Those that are sent already are answered.

    Example: [bold]sightline replay pause r-20260301-080000-1a2b[/bold]
    """
    pause_replay(open_book(start()), replay_id)
    print_line(f"replay {replay_id}: paused")


def cancel(*, replay_id: Id, timeout_s: Timeout = 15.0) -> None:
    """End a replay. Frames that are sent and not answered yet become results of kind `skipped`, and are counted.

    Example: [bold]sightline replay cancel r-20260301-080000-1a2b[/bold]
    """
    settings = start()
    cancel_replay(settings, open_book(settings), replay_id, who(), timeout_s)
    print_line(f"replay {replay_id}: cancelled")


def pause_replay(book: ReplayBook, replay_id: str) -> None:
    """Pause a replay; one that is paused stays so. Blocks. Raises ReplayError, OutageError."""
    row = find_replay(book, replay_id)
    if row.state != PAUSED and not book.turn(replay_id, PAUSED, SystemClock().now()):
        raise ReplayError(ReplayCode.STATE_WRONG, replay_id, f"is {row.state}: only a running replay can be paused")


def cancel_replay(settings: Settings, book: ReplayBook, replay_id: str, by: str, timeout_s: float) -> None:
    """Cancel a replay; one that is cancelled stays so. Blocks. Raises ReplayError, OutageError."""
    row, now = find_replay(book, replay_id), SystemClock().now()
    # Workers hear of it first: should this process end in between, the same command once more finishes it.
    state = ReplayState(replay_id=replay_id, pipeline=row.pipeline, state="cancelled", changed_at=now, changed_by=by)
    _publish(settings.kafka, state, timeout_s)
    if row.state != CANCELLED:
        book.turn(replay_id, CANCELLED, now)


def _publish(kafka: KafkaSettings, state: ReplayState, timeout_s: float) -> None:
    delivered: list[Origin | InputError] = []
    publisher = FramePublisher(kafka, timeout_s=timeout_s)
    try:
        publisher.publish(replay_state_message(state), delivered.append)
        publisher.flush()
    finally:
        publisher.close()
    if isinstance(delivered[0], InputError):
        raise SetupError(SERVICE, delivered[0].reason)
