"""What is compared at the end: what was sent, and what was found of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.errors import InputError
from schemas.frame import Origin
from sightline.demo.sample import Sample
from sightline.demo.tally import Answer, SentFrame


class Kept(NamedTuple):
    """A picture that a result says is kept."""

    kind: str
    key: str
    sha256: str


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A row of `results` with its children: the checks that failed, and the pictures kept."""

    result_id: str
    frame_id: str
    origin: Origin
    verdict: str | None
    failed: frozenset[str]
    kept: Sequence[Kept]


@dataclass(frozen=True, slots=True)
class LetterRow:
    """A row of `dead_letters`; `object_key` is None where the original had no bytes to keep."""

    dl_id: str
    origin: Origin
    code: str
    object_key: str | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was sent, and what was found on the topics, in the database and among the objects (key to SHA-256).

    `overlays_wh` are the sizes of the overlays that are pictures; `models` the digests of the activated models, by
    pipeline and role.
    """

    sent: Sequence[SentFrame]
    refused: Sequence[tuple[Sample, InputError]]
    answers: Sequence[Answer]
    result_rows: Sequence[ResultRow]
    letter_rows: Sequence[LetterRow]
    objects: Mapping[str, str]
    overlays_wh: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    models: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    lost_ranges: int = 0
    guests: int = 0  # answers to frames of other cameras than ours, which are not judged

    def answered_rows(self) -> list[Origin]:
        """Return the origin of each row, of whatever table."""
        return [row.origin for row in self.result_rows] + [row.origin for row in self.letter_rows]

    def frames(self) -> dict[Origin, SentFrame]:
        """Return what was sent by its place."""
        return {frame.origin: frame for frame in self.sent}
