"""Compares what was sent with the answers to it, on the topics and in the database."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from schemas.frame import Origin
from schemas.result import Result
from sightline.demo.facts import Evidence, ResultRow
from sightline.demo.sample import Seen, Verdict
from sightline.demo.tally import SentFrame


def answered_once(evidence: Evidence) -> Iterator[str]:
    """Yield what was not sent, what is lost, doubled or made up."""
    yield from (f"not sent: {sample.name}: {error}" for sample, error in evidence.refused)
    if evidence.lost_ranges:
        yield f"lost: {evidence.lost_ranges} ranges of offsets"
    yield from _once("on the topics", evidence.sent, [answer.origin for answer in evidence.answers])
    yield from _once("in the database", evidence.sent, evidence.answered_rows())


def answered_right(evidence: Evidence) -> Iterator[str]:
    """Yield the answers that are not those that the frames had to get."""
    frames = evidence.frames()
    for answer in evidence.answers:
        if answer.origin in frames:
            yield from _right_answer(frames[answer.origin], answer.body, evidence.models.get(answer.pipeline, {}))
    verdicts = {answer.origin: answer.body.verdict for answer in evidence.answers if isinstance(answer.body, Result)}
    for row in evidence.result_rows:
        if row.origin in frames:
            yield from _right_row(frames[row.origin], row, verdicts.get(row.origin, row.verdict))
    for letter in evidence.letter_rows:
        if letter.origin in frames and letter.code != frames[letter.origin].sample.expected:
            yield _wrong(frames[letter.origin], letter.code, "in the database")


def name_of(frame: SentFrame) -> str:
    """Return a frame's name and place, for findings."""
    return f"{frame.sample.name} ({frame.origin.topic} [{frame.origin.partition}] {frame.origin.offset})"


def _once(where: str, sent: Sequence[SentFrame], answers: Sequence[Origin]) -> Iterator[str]:
    counts = Counter(answers)
    for frame in sent:
        count = counts.pop(frame.origin, 0)
        if count == 0:
            yield f"lost: {name_of(frame)} has no answer {where}"
        elif count > 1:
            yield f"doubled: {name_of(frame)} has {count} answers {where}"
    for origin in counts:
        yield f"made up: an answer {where} to {origin}, where nothing was sent"


def _right_answer(frame: SentFrame, body: object, models: Mapping[str, str]) -> Iterator[str]:
    """Judge an answer on the topics; `models` are the digests that must have made it, by role."""
    wanted = frame.sample.expected
    found = _said(body, wanted) if isinstance(body, Result) else str(getattr(body, "code", ""))
    if found != wanted:
        yield _wrong(frame, found, "on the topics")
    elif isinstance(body, Result) and isinstance(wanted, Seen) and wanted.kind == "frame":
        used = {model.role: model.digest for model in body.models or ()}
        if used != models:
            yield f"wrong: {name_of(frame)} is answered by other models than those that were activated"


def _said(result: Result, wanted: object) -> Verdict | Seen:
    """Return what a result says of what is wanted."""
    if isinstance(wanted, Seen):
        return Seen(result.kind, frozenset(artifact.kind for artifact in result.artifacts or ()))
    checks = result.quality.checks if result.quality is not None else []
    return Verdict(result.verdict or "", frozenset(check.name for check in checks if not check.passed))


def _right_row(frame: SentFrame, row: ResultRow, published: str | None) -> Iterator[str]:
    """Judge a row: by what the frame had to get, else by the verdict that was published."""
    wanted = frame.sample.expected
    if isinstance(wanted, Seen):
        if row.verdict != published:
            yield f"wrong: {name_of(frame)} is {row.verdict} in the database, and {published} on the topics"
    elif (found := Verdict(row.verdict or "", row.failed)) != wanted:
        yield _wrong(frame, found, "in the database")
    if row.frame_id != frame.frame_id:
        yield f"wrong: the row of {name_of(frame)} has another frame's id"


def _wrong(frame: SentFrame, found: Verdict | Seen | str, where: str) -> str:
    return f"wrong: {name_of(frame)} is {_words(found)} {where}, and should be {_words(frame.sample.expected)}"


def _words(answer: Verdict | Seen | str) -> str:
    if isinstance(answer, str):
        return answer
    if isinstance(answer, Seen):
        return f"a {answer.kind} with {' and '.join(sorted(answer.kept)) or 'no picture'}"
    return f"{answer.verdict} ({', '.join(sorted(answer.failed)) or 'no check failed'})"
