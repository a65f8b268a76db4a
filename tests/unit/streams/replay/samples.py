"""Frames of a replay, and what stands around them."""

from datetime import UTC, datetime

from schemas.frame import Origin
from schemas.headers import Headers
from schemas.replay import OverridesReference, Replayed, replay_headers
from streams.read import TopicRecord
from streams.tracker import Record, Tracker
from tests.pictures import headers

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
APPENDED_MS = round(NOW.timestamp() * 1000)


def topic_record(
    offset: int = 0, source: str = "/cameras/1", captured_at: datetime | None = None, extra: Headers | None = None
) -> TopicRecord:
    """Return a record of the live topic."""
    fields = [*headers(f"e{offset}", source, captured_at=captured_at), *(extra or [])]
    return TopicRecord("frames.civic", 0, offset, APPENDED_MS, source.encode(), b"picture", fields)


class Records:
    """Makes records of one partition of a replay's topic; `finished` says which of them are."""

    def __init__(self, topic: str = "frames.civic.replay") -> None:
        self._tracker = Tracker(lambda _: None)
        self._tracker.assign(topic, 0)
        self._topic = topic
        self._next = 100

    def take(
        self,
        value: bytes | None,
        fields: Headers,
        *,
        replay_id: str | None = "r-1",
        overrides: OverridesReference | None = None,
        frame_id: str | None = None,
        metadata: dict[str, str | int | float] | None = None,
        offset: int = 7,
        original: bool = False,
    ) -> Record:
        """Take a frame of a replay; without `replay_id` it has no block."""
        block: Headers = []
        if replay_id is not None:
            origin = Origin("frames.civic", 0, offset)
            block = replay_headers(
                Replayed(replay_id, origin, APPENDED_MS, overrides, frame_id, metadata=metadata, original=original)
            )
        partition = self._tracker.get(self._topic, 0)
        assert partition is not None
        self._next += 1
        return partition.take(self._next, APPENDED_MS + 86_400_000, b"key", value, [*fields, *block], 1)

    @property
    def unfinished(self) -> int:
        """How many are not finished."""
        return self._tracker.records
