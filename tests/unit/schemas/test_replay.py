from dataclasses import replace

import pytest

from schemas.deadletter import Failed, dead_letter_message, parse_dead_letter
from schemas.errors import Code, InputError, Stage
from schemas.frame import Origin
from schemas.headers import Headers
from schemas.pipeline import load_pipeline
from schemas.replay import (
    Overrides,
    OverridesReference,
    Replayed,
    overrides_digest,
    replay_headers,
    replay_id_of,
    split_replay,
)
from tests.unit.streams.replay.samples import NOW

BLOCK = Replayed(
    "r-1", Origin("frames.civic", 3, 12), 1_700_000_000_000, OverridesReference("a" * 64, "file:///x"), None, False
)
ORIGINAL: Headers = [("ce_id", b"1"), ("x", None), ("x", b""), ("ce_source", b"\xff")]


def test_a_block_is_read_as_it_was_written_and_the_original_is_left() -> None:
    assert split_replay([*ORIGINAL, *replay_headers(BLOCK)]) == (ORIGINAL, BLOCK)


@pytest.mark.parametrize("original", [True, False])
def test_a_forced_id_is_that_of_a_copy_unless_the_block_says_otherwise(*, original: bool) -> None:
    block = replace(BLOCK, frame_id="01234567-89ab-8def-8123-456789abcdef", original=original)
    assert split_replay(replay_headers(block)) == ([], block)
    assert block.archived is not original
    assert not BLOCK.archived


def test_the_last_block_counts_and_headers_added_later_are_the_originals() -> None:
    spoofed = replay_headers(Replayed("other", Origin("t", 0, 0), 0))
    original, block = split_replay([*spoofed, *ORIGINAL, *replay_headers(BLOCK), ("sightline_attempt", b"2")])
    assert block == BLOCK
    assert original == [*spoofed, *ORIGINAL, ("sightline_attempt", b"2")]


@pytest.mark.parametrize("name", ["id", "topic", "partition", "offset", "timestamp"])
def test_a_block_that_lacks_something_is_none(name: str) -> None:
    headers = [pair for pair in replay_headers(BLOCK) if pair[0] != f"sightline_replay_{name}"]
    with pytest.raises(InputError) as raised:
        split_replay(headers)
    assert raised.value.code is Code.REPLAY_INVALID
    assert replay_id_of(headers) is None


@pytest.mark.parametrize(("name", "value"), [
    ("id", b"NO ID"), ("partition", b"x"), ("offset", b""), ("timestamp", b"\xff"), ("overrides", b"a"),
])  # fmt: skip
def test_a_block_with_nonsense_is_none(name: str, value: bytes) -> None:
    headers = [(n, value if n == f"sightline_replay_{name}" else v) for n, v in replay_headers(BLOCK)]
    with pytest.raises(InputError):
        split_replay(headers)


def test_equal_overrides_have_one_digest() -> None:
    text = "name: a\nsummary: civic\ninput: {media_types: [image/jpeg]}\n"
    one = Overrides(definition=load_pipeline(text, "a"))
    other = Overrides(definition=load_pipeline(text + "gate: 'off'\n", "b"))
    assert overrides_digest(one.document()) == overrides_digest(other.document())
    assert Overrides.model_validate_json(one.document()) == one


def _letter(offset: int, replay_id: str) -> str:
    """Return the id of a dead letter of a frame that stands at `offset` of the replay's topic."""
    block = Replayed(replay_id, BLOCK.origin, BLOCK.timestamp_ms)
    failed = Failed(None, b"v", [*ORIGINAL, *replay_headers(block)], Origin("frames.civic.replay", 0, offset), 1)
    error = InputError(Code.PICTURE_CORRUPT, Stage.DECODE, "x")
    return parse_dead_letter(dead_letter_message("civic", failed, error, now=NOW, worker="w").headers).dl_id


def test_a_frame_that_is_sent_twice_by_one_replay_fails_once() -> None:
    assert _letter(5, "r-1") == _letter(9, "r-1") != _letter(5, "r-2")


def test_what_the_original_said_of_itself_survives() -> None:
    said: dict[str, str | int | float] = {"camera": "a b", "iso": 100, "aperture_f": 2.0}
    block = Replayed("r-1", BLOCK.origin, 0, metadata=said)
    _, read = split_replay(replay_headers(block))
    assert read == block
    assert [type(value) for value in (read.metadata or {}).values()] == [float, str, int]  # by name
