"""Where replays are kept: their state in PostgreSQL, what they want otherwise in the object store or there too."""

from functools import cache
from typing import Final

from schemas.errors import ReplayCode, ReplayError
from sightline.runtime.database import database_engine
from sightline.runtime.objectstore import ObjectStore, open_store
from sightline.runtime.settings import Settings
from sinks.postgres.replay_commands import CommandBox
from sinks.postgres.replay_frames import FrameRows
from sinks.postgres.replays import ReplayBook, ReplayRow
from streams.replay.documents import Documents

_QUERY_S: Final = 3600


def open_book(settings: Settings) -> ReplayBook:
    """Return the book of replays; connects on first use. Raises ConfigurationError without a database."""
    return ReplayBook(database_engine(settings.database_url(), application_name="sightline-replay", pool_size=3))


def open_documents(settings: Settings) -> Documents:
    """Return the store of overrides; nothing is contacted yet, and no database is asked for before it is needed."""
    return Documents(open_objects(settings), cache(lambda: open_book(settings)))


def open_objects(settings: Settings) -> ObjectStore | None:
    """Return the object store, or None where there is none."""
    return None if settings.objects.url is None else open_store(settings.objects.url, settings.s3)


def open_rows(settings: Settings) -> FrameRows:
    """Return what rows know of frames; patient with large ones. Raises ConfigurationError without a database."""
    url = settings.database_url()
    return FrameRows(database_engine(url, application_name="sightline-replay", statement_timeout_s=_QUERY_S))


def open_commands(settings: Settings) -> CommandBox:
    """Return the inbox of commands; connects on first use. Raises ConfigurationError without a database."""
    return CommandBox(database_engine(settings.database_url(), application_name="sightline-replay", pool_size=2))


def find_replay(book: ReplayBook, replay_id: str) -> ReplayRow:
    """Return a replay. Raises ReplayError where there is none of this id."""
    row = book.find(replay_id)
    if row is None:
        reason = "there is no such replay; `sightline replay status` lists them"
        raise ReplayError(ReplayCode.UNKNOWN, ascii(replay_id), reason)
    return row
