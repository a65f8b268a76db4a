import asyncio

import pytest

from schemas.errors import OutageError
from streams.read import TopicRecord
from streams.replay.intake import _Reading

PLACE = ("replay-commands", 0)


def _record(offset: int) -> TopicRecord:
    return TopicRecord(*PLACE, offset, 1000 + offset, None, b"{}", [])


def test_after_an_outage_no_later_command_is_written_down_in_this_round() -> None:
    written: list[int] = []

    def write_down(record: TopicRecord) -> None:
        if record.offset == 7:
            raise OutageError("postgres", "made for a test")
        written.append(record.offset)

    async def read() -> _Reading:
        reading = _Reading({PLACE: 5}, write_down)
        for offset in (4, 5, 5, 6, 7, 8):  # before where it begins, and twice: seen already
            await reading.take(_record(offset), 2000)
        return reading

    reading = asyncio.run(read())
    assert written == [5, 6]
    assert reading.progress.positions == {PLACE: 7}
    with pytest.raises(OutageError):
        reading.advance()


def test_what_nobody_expected_ends_the_round_too() -> None:
    def write_down(_: TopicRecord) -> None:
        raise ValueError("made for a test")

    async def read() -> _Reading:
        reading = _Reading({PLACE: 0}, write_down)
        with pytest.raises(ValueError, match="made for a test"):
            await reading.take(_record(0), 2000)
        return reading

    with pytest.raises(OutageError):
        asyncio.run(read()).advance()
