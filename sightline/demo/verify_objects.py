"""Compares the objects with what the rows say of them, and with the bytes that were sent."""

from collections.abc import Iterator
from functools import cache

import cv2
import numpy as np

from processors.strip import strip_metadata
from schemas.identity import sha256_hex
from schemas.pipeline import MediaType
from sightline.demo.facts import Evidence, Kept, LetterRow, ResultRow
from sightline.demo.sample import Sample, Seen
from sightline.demo.tally import SentFrame
from sightline.demo.verify_answers import name_of


def objects_kept(evidence: Evidence) -> Iterator[str]:
    """Yield the pictures and originals that are not there, or not what they should be."""
    frames = evidence.frames()
    for row in evidence.result_rows:
        if row.origin in frames:
            yield from _pictures_kept(frames[row.origin], row, evidence)
    for letter in evidence.letter_rows:
        if letter.origin in frames:
            yield from _original_kept(frames[letter.origin], letter, evidence)


def _pictures_kept(frame: SentFrame, row: ResultRow, evidence: Evidence) -> Iterator[str]:
    expected = frame.sample.expected
    wanted = sorted(expected.kept) if isinstance(expected, Seen) else ["picture"]
    if sorted(kept.kind for kept in row.kept) != wanted:
        yield f"wrong: {len(row.kept)} pictures of {name_of(frame)} are kept, and it should be {len(wanted)}"
    for kept in row.kept:
        if kept.key not in evidence.objects:
            yield f"lost: the {kept.kind} of {name_of(frame)} is not among the objects"
        elif evidence.objects[kept.key] != kept.sha256 or not _is_right(frame.sample, kept, evidence):
            yield f"changed: the {kept.kind} of {name_of(frame)} among the objects"


def _is_right(sample: Sample, kept: Kept, evidence: Evidence) -> bool:
    """Tell whether a picture is the one that was sent; an overlay is at least a picture of its size."""
    if kept.kind == "overlay":
        return evidence.overlays_wh.get(kept.key) == _size_wh(sample)
    return kept.sha256 == _stripped_sha256(sample)


def _original_kept(frame: SentFrame, letter: LetterRow, evidence: Evidence) -> Iterator[str]:
    value = frame.sample.value
    if value is None:
        return  # null is told apart from empty: there is nothing to keep
    if letter.object_key is None or letter.object_key not in evidence.objects:
        yield f"lost: the bytes of {name_of(frame)} are not among the objects"
    elif evidence.objects[letter.object_key] != sha256_hex(value):
        yield f"changed: the bytes of {name_of(frame)} among the objects"


@cache
def _stripped_sha256(sample: Sample) -> str:
    """Return the SHA-256 of a photo without its metadata, which is what is kept."""
    return sha256_hex(strip_metadata(sample.value or b"", MediaType(sample.media_type)))


@cache
def _size_wh(sample: Sample) -> tuple[int, int] | None:
    picture = cv2.imdecode(np.frombuffer(sample.value or b"", np.uint8), cv2.IMREAD_COLOR)
    return None if picture is None else (picture.shape[1], picture.shape[0])
