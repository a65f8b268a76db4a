"""Bytes that somebody made to hurt: whatever they are, they give an outcome, and in time."""

import random
import time
from collections import Counter

import pytest

from processors.outcome import Failure
from processors.pipeline import process
from processors.pipelines import load_builtin
from processors.strip import strip_metadata
from schemas.errors import Code, Stage
from schemas.pipeline import MediaType
from tests.unit.processors import samples

MUTATIONS = 800
CONTEXT = samples.context(load_builtin("civic").model_copy(update={"input": samples.ANY_INPUT}))


def mutate(data: bytes, picker: random.Random) -> bytes:
    """Damage a picture in one of the ways in which files get damaged, mostly near their headers."""
    way = picker.randrange(6)
    mutant = bytearray(data)
    if way == 0:
        return data[: picker.randrange(len(data))]
    reach = len(data) if way == 1 else min(len(data), 1500)
    for _ in range(picker.choice((1, 1, 2, 5, 30))):
        at = picker.randrange(reach)
        if way in {1, 2}:
            mutant[at] ^= 1 << picker.randrange(8)
        elif way == 3:
            mutant[at : at + 4] = picker.choice((b"\xff" * 4, bytes(4), b"\x7f\xff\xff\xff", b"\0\0\0\1"))
        elif way == 4:
            del mutant[at : at + picker.randrange(1, 40)]
            reach = min(reach, len(mutant))
        else:
            start = picker.randrange(len(mutant))
            mutant[at:at] = mutant[start : start + picker.randrange(1, 60)]
    return bytes(mutant)


@pytest.mark.parametrize("media_type", samples.ALL_TYPES)
def test_mutated_pictures_give_an_outcome_each(media_type: MediaType) -> None:
    picker = random.Random(media_type.value)
    originals = [
        samples.with_secrets(samples.photo(64, 48), media_type, 6),
        samples.encode(samples.photo(40, 40, noise=0), media_type),
    ]
    frames = [samples.frame(mutate(picker.choice(originals), picker), number) for number in range(MUTATIONS)]
    begin = time.monotonic()
    outcomes = process(frames, CONTEXT)
    assert time.monotonic() - begin < 60
    assert len(outcomes) == MUTATIONS
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert MUTATIONS // 5 < len(failed) < MUTATIONS
    assert {failure.error.stage for failure in failed} <= {Stage.INSPECT, Stage.DECODE}
    assert len(Counter(failure.error.code for failure in failed)) >= 3
    for success in samples.successes(outcomes):
        for artifact in success.artifacts:
            strip_metadata(artifact.data, MediaType(artifact.media_type))


@pytest.mark.parametrize("media_type", samples.ALL_TYPES)
def test_every_cut_of_a_picture_gives_an_outcome(media_type: MediaType) -> None:
    data = samples.with_secrets(samples.photo(24, 16), media_type)
    step = max(len(data) // 300, 1)
    frames = [samples.frame(data[:length], length) for length in range(0, len(data), step)]
    assert len(process(frames, CONTEXT)) == len(frames)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xd8" + b"\xff" * 8_000_000,
        b"\xff\xd8\xff\xe0\0\2" + b"\xff\xe0\0\2" * 2_000_000,
        b"\x89PNG\r\n\x1a\n" + b"\0\0\0\0tEXt\0\0\0\0" * 600_000,
        b"RIFF\x04\x24\xf4\0WEBP" + b"EXIF\0\0\0\0" * 2_000_000,
        b"\0\0\0\x10ftypheic\0\0\0\0" + b"\0\0\0\x08free" * 1_000_000,
        b"II*\0\x08\0\0\0\xff\xff" + b"\x11\1\4\0\xff\xff\xff\xff\0\0\0\0" * 65_535,
    ],
    ids=["fill bytes", "segments", "png chunks", "webp chunks", "boxes", "tiff entries"],
)
def test_endless_structures_end_soon(data: bytes) -> None:
    begin = time.monotonic()
    (outcome,) = process([samples.frame(data)], CONTEXT)
    assert time.monotonic() - begin < 5
    assert isinstance(outcome, Failure)
    assert outcome.error.code in {Code.PICTURE_CORRUPT, Code.PICTURE_TRUNCATED}
