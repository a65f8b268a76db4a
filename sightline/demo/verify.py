"""Compares what was sent with all that came of it. Nothing here knows how the system works, only what it promised."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from processors.strip import strip_metadata
from schemas.errors import InputError
from schemas.frame import Origin
from schemas.identity import sha256_hex
from schemas.pipeline import MediaType
from schemas.result import Result
from sightline.demo.sample import Sample, Verdict
from sightline.demo.tally import Answer, SentFrame


@dataclass(frozen=True, slots=True)
class ResultRow:
    """A row of `results` with its children: the checks that failed, and (key, SHA-256) of each picture kept."""

    result_id: str
    frame_id: str
    origin: Origin
    verdict: str | None
    failed: frozenset[str]
    kept: Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class LetterRow:
    """A row of `dead_letters`; `object_key` is None where the original had no bytes to keep."""

    dl_id: str
    origin: Origin
    code: str
    object_key: str | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was sent, and what was found on the topics, in the database and among the objects (key to SHA-256)."""

    sent: Sequence[SentFrame]
    refused: Sequence[tuple[Sample, InputError]]
    answers: Sequence[Answer]
    result_rows: Sequence[ResultRow]
    letter_rows: Sequence[LetterRow]
    objects: Mapping[str, str]
    lost_ranges: int = 0
    guests: int = 0  # answers to frames of other cameras than ours, which are not judged

    def answered_rows(self) -> list[Origin]:
        """Return the origin of each row, of whatever table."""
        return [row.origin for row in self.result_rows] + [row.origin for row in self.letter_rows]


def verify(evidence: Evidence) -> list[str]:
    """Return every finding: lost, doubled, made up, wrong or changed; none when all is in order."""
    return [
        *(f"not sent: {sample.name}: {error}" for sample, error in evidence.refused),
        *([f"lost: {evidence.lost_ranges} ranges of offsets"] if evidence.lost_ranges else []),
        *_answered_once("on the topics", evidence.sent, [answer.origin for answer in evidence.answers]),
        *_answered_once("in the database", evidence.sent, evidence.answered_rows()),
        *_right(evidence),
        *_kept(evidence),
    ]


def _answered_once(where: str, sent: Sequence[SentFrame], answers: Sequence[Origin]) -> Iterator[str]:
    counts = Counter(answers)
    for frame in sent:
        count = counts.pop(frame.origin, 0)
        if count == 0:
            yield f"lost: {_name(frame)} has no answer {where}"
        elif count > 1:
            yield f"doubled: {_name(frame)} has {count} answers {where}"
    for origin in counts:
        yield f"made up: an answer {where} to {origin}, where nothing was sent"


def _right(evidence: Evidence) -> Iterator[str]:
    frames = {frame.origin: frame for frame in evidence.sent}
    for answer in evidence.answers:
        if answer.origin in frames:
            yield from _right_answer("on the topics", frames[answer.origin], _said(answer))
    for row in evidence.result_rows:
        if row.origin in frames:
            frame = frames[row.origin]
            yield from _right_answer("in the database", frame, Verdict(row.verdict or "", row.failed))
            if row.frame_id != frame.frame_id:
                yield f"wrong: the row of {_name(frame)} has another frame's id"
    for letter in evidence.letter_rows:
        if letter.origin in frames:
            yield from _right_answer("in the database", frames[letter.origin], letter.code)


def _said(answer: Answer) -> Verdict | str:
    body = answer.body
    if not isinstance(body, Result):
        return body.code
    checks = body.quality.checks if body.quality is not None else []
    return Verdict(body.verdict or "", frozenset(check.name for check in checks if not check.passed))


def _right_answer(where: str, frame: SentFrame, found: Verdict | str) -> Iterator[str]:
    wanted = frame.sample.expected
    if found != wanted:
        yield f"wrong: {_name(frame)} is {_words(found)} {where}, and should be {_words(wanted)}"


def _kept(evidence: Evidence) -> Iterator[str]:
    frames = {frame.origin: frame for frame in evidence.sent}
    for row in evidence.result_rows:
        if row.origin in frames:
            yield from _picture_kept(frames[row.origin], row, evidence.objects)
    for letter in evidence.letter_rows:
        if letter.origin in frames:
            yield from _original_kept(frames[letter.origin], letter, evidence.objects)


def _picture_kept(frame: SentFrame, row: ResultRow, objects: Mapping[str, str]) -> Iterator[str]:
    if len(row.kept) != 1:
        yield f"wrong: {len(row.kept)} pictures of {_name(frame)} are kept, and it should be 1"
    for key, sha256 in row.kept:
        if key not in objects:
            yield f"lost: the picture of {_name(frame)} is not among the objects"
        elif not objects[key] == sha256 == _stripped_sha256(frame.sample):
            yield f"changed: the picture of {_name(frame)} among the objects"


def _original_kept(frame: SentFrame, letter: LetterRow, objects: Mapping[str, str]) -> Iterator[str]:
    value = frame.sample.value
    if value is None:
        return  # null is told apart from empty: there is nothing to keep
    if letter.object_key is None or letter.object_key not in objects:
        yield f"lost: the bytes of {_name(frame)} are not among the objects"
    elif objects[letter.object_key] != sha256_hex(value):
        yield f"changed: the bytes of {_name(frame)} among the objects"


@cache
def _stripped_sha256(sample: Sample) -> str:
    """Return the SHA-256 of a photo without its metadata, which is what is kept."""
    return sha256_hex(strip_metadata(sample.value or b"", MediaType(sample.media_type)))


def _name(frame: SentFrame) -> str:
    return f"{frame.sample.name} ({frame.origin.topic} [{frame.origin.partition}] {frame.origin.offset})"


def _words(answer: Verdict | str) -> str:
    if isinstance(answer, str):
        return answer
    return f"{answer.verdict} ({', '.join(sorted(answer.failed)) or 'no check failed'})"
