"""Reading a frame that is sent once more as what it was: same id, same capture time, same place of origin."""

from dataclasses import replace

from schemas.errors import Code, InputError, Stage
from schemas.frame import Frame, parse_frame
from schemas.replay import Replayed, split_replay
from streams.tracker import Record


def read_block(record: Record) -> Replayed:
    """Return where a record comes from. Raises InputError (`replay_invalid`, `header_name_invalid`)."""
    if record.headers is None:
        raise InputError(Code.HEADER_NAME_INVALID, Stage.FRAME, "a header's name is not UTF-8")
    _, replayed = split_replay(record.headers)
    if replayed.headers_lost:
        raise InputError(Code.HEADER_NAME_INVALID, Stage.FRAME, "a header's name of the original is not UTF-8")
    return replayed


def parse_replayed(record: Record) -> Frame:
    """Read a record of a replay topic as the frame that it was. Raises InputError as `read_block` and `parse_frame`.

    Its deadline is left out: who replays wants the answer, however late it is.
    """
    replayed = read_block(record)
    original, _ = split_replay(record.headers or [])
    frame = parse_frame(record.value, original, replayed.origin, replayed.timestamp_ms)
    settings = replace(frame.settings, deadline=None)
    frame_id = replayed.frame_id or frame.frame_id
    return replace(frame, frame_id=frame_id, settings=settings, metadata=replayed.metadata)
