"""The verification finds what is planted, and nothing else."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from processors.strip import strip_metadata
from schemas.deadletter import DeadLetter
from schemas.errors import Code, InputError, Stage
from schemas.frame import Origin
from schemas.identity import sha256_hex
from schemas.pipeline import MediaType
from schemas.result import ArtifactReference, Check, ModelReference, Quality, Result
from sightline.demo.books import PipelineBooks
from sightline.demo.facts import Evidence, Kept, LetterRow, ResultRow
from sightline.demo.sample import Sample, Seen, Verdict
from sightline.demo.samples import Samples
from sightline.demo.summary import summary_lines
from sightline.demo.tally import Answer, SentFrame, Tally
from sightline.demo.verify import verify
from tests.pictures import jpeg

NOW = datetime(2026, 3, 1, tzinfo=UTC)
FRAMES = 8


def _origin(number: int) -> Origin:
    return Origin("frames.civic", number % 4, number // 4)


def _result_answer(frame: SentFrame, wanted: Verdict) -> Answer:
    checks = [
        Check(name=name, passed=name not in wanted.failed, value=1.0, score=1.0, reason="so")
        for name in ("blur", "resolution", "brightness", "exposure", "metadata")
    ]
    result = Result(
        result_id=f"result of {frame.frame_id}", frame_id=frame.frame_id or "", pipeline="civic", source=frame.source,
        captured_at=NOW, processed_at=NOW, verdict=wanted.verdict,
        quality=Quality(score=1.0, level="poor", checks=checks),
    )  # fmt: skip
    return Answer(frame.origin, result, NOW)


def _letter_answer(frame: SentFrame, code: Code) -> Answer:
    return Answer(frame.origin, DeadLetter("dl", Stage.FRAME, code, "so", 1, frame.origin, NOW, "me"), NOW)


@pytest.fixture
def evidence(samples: Samples) -> Evidence:
    """Six frames answered with results, two with dead letters, all in order."""
    chosen: list[Sample] = [*samples.photos[: FRAMES - 2], *samples.broken[:2]]
    sent = [SentFrame(_origin(n), sample, "/camera", NOW, f"frame {n}") for n, sample in enumerate(chosen)]
    found = Evidence(sent, [], [], [], [], {})
    answers, results, letters, objects = [], [], [], {}
    for frame in sent:
        value, wanted = frame.sample.value or b"", frame.sample.expected
        if isinstance(wanted, Verdict):
            sha256 = sha256_hex(strip_metadata(value, MediaType(frame.sample.media_type)))
            objects[f"pictures/{sha256}"] = sha256
            kept = [Kept("picture", f"pictures/{sha256}", sha256)]
            answers.append(_result_answer(frame, wanted))
            results.append(
                ResultRow(
                    f"r {frame.frame_id}", frame.frame_id or "", frame.origin, wanted.verdict, wanted.failed, kept
                )
            )
        elif isinstance(wanted, Code):
            objects[f"deadletters/{frame.frame_id}"] = sha256_hex(value)
            answers.append(_letter_answer(frame, wanted))
            letters.append(
                LetterRow(f"d {frame.frame_id}", frame.origin, wanted.value, f"deadletters/{frame.frame_id}")
            )
    return replace(found, answers=answers, result_rows=results, letter_rows=letters, objects=objects)


def test_what_is_in_order_gives_no_finding(evidence: Evidence) -> None:
    assert verify(evidence) == []


def _picture(evidence: Evidence) -> str:
    return evidence.result_rows[0].kept[0].key


Plant = Callable[[Evidence], Evidence]
PLANTS: dict[str, tuple[str, Plant]] = {
    "a result row is gone": (
        "lost: pothole.jpg", lambda e: replace(e, result_rows=e.result_rows[1:]),
    ),
    "a dead-letter row is gone": ("lost: truncated.jpg", lambda e: replace(e, letter_rows=e.letter_rows[1:])),
    "a result is not on its topic": ("lost: pothole.jpg", lambda e: replace(e, answers=e.answers[1:])),
    "a row stands twice": (
        "doubled: pothole.jpg", lambda e: replace(e, result_rows=[*e.result_rows, e.result_rows[0]]),
    ),
    "an answer is on its topic twice": (
        "doubled: pothole.jpg", lambda e: replace(e, answers=[*e.answers, e.answers[0]]),
    ),
    "a row answers what nobody sent": (
        "made up:",
        lambda e: replace(e, result_rows=[*e.result_rows, replace(e.result_rows[0], origin=_origin(99))]),
    ),
    "the verdict is wrong": (
        r"wrong: pothole.jpg .* is rejected",
        lambda e: replace(e, result_rows=[replace(e.result_rows[0], verdict="rejected"), *e.result_rows[1:]]),
    ),
    "another check failed": (
        r"wrong: pothole.jpg .* is accepted \(blur\)",
        lambda e: replace(e, result_rows=[replace(e.result_rows[0], failed=frozenset({"blur"})), *e.result_rows[1:]]),
    ),
    "the code is wrong": (
        r"wrong: truncated.jpg .* is picture_corrupt in the database",
        lambda e: replace(e, letter_rows=[replace(e.letter_rows[0], code="picture_corrupt"), *e.letter_rows[1:]]),
    ),
    "the code on the topic is wrong": (
        r"wrong: truncated.jpg .* is value_null on the topics",
        lambda e: replace(e, answers=[*e.answers[:6], _letter_answer(e.sent[6], Code.VALUE_NULL), e.answers[7]]),
    ),
    "the row is of another frame": (
        "wrong: the row of pothole.jpg",
        lambda e: replace(e, result_rows=[replace(e.result_rows[0], frame_id="other"), *e.result_rows[1:]]),
    ),
    "a picture is gone": (
        "lost: the picture of pothole.jpg",
        lambda e: replace(e, objects={key: sha for key, sha in e.objects.items() if key != _picture(e)}),
    ),
    "a picture is changed": (
        "changed: the picture of pothole.jpg", lambda e: replace(e, objects={**e.objects, _picture(e): "0"}),
    ),
    "a picture is not kept": (
        "wrong: 0 pictures of pothole.jpg",
        lambda e: replace(e, result_rows=[replace(e.result_rows[0], kept=()), *e.result_rows[1:]]),
    ),
    "an original is gone": (
        "lost: the bytes of truncated.jpg",
        lambda e: replace(e, objects={key: sha for key, sha in e.objects.items() if "frame 6" not in key}),
    ),
    "an original is changed": (
        "changed: the bytes of truncated.jpg", lambda e: replace(e, objects={**e.objects, "deadletters/frame 6": "0"}),
    ),
    "an original is not kept": (
        "lost: the bytes of truncated.jpg",
        lambda e: replace(e, letter_rows=[replace(e.letter_rows[0], object_key=None), *e.letter_rows[1:]]),
    ),
    "offsets were lost": ("lost: 1 ranges of offsets", lambda e: replace(e, lost_ranges=1)),
    "the broker refused a frame": (
        "not sent: pothole.jpg",
        lambda e: replace(
            e, refused=[(e.sent[0].sample, InputError(Code.RECORD_INVALID, Stage.FRAME, "too large"))]
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLANTS)
def test_a_planted_fault_is_the_one_finding(name: str, evidence: Evidence) -> None:
    wanted, plant = PLANTS[name]
    findings = verify(plant(evidence))
    assert len(findings) == 1, findings
    assert re.match(wanted, findings[0])


def test_a_frame_with_a_result_and_a_dead_letter_is_doubled_and_wrong(evidence: Evidence) -> None:
    second = replace(evidence.letter_rows[0], origin=evidence.sent[0].origin)
    findings = verify(replace(evidence, letter_rows=[*evidence.letter_rows, second]))
    assert [finding.split(" ", 2)[:2] for finding in findings] == [
        ["doubled:", "pothole.jpg"],
        ["wrong:", "pothole.jpg"],
        ["changed:", "the"],
    ]


def test_the_summary_counts_what_was_found_and_says_what_is_wrong(evidence: Evidence) -> None:
    planted = replace(evidence, result_rows=evidence.result_rows[1:])
    text = "\n".join(summary_lines(planted, verify(planted), Tally().books(), 0.0))
    assert "sent         8 frames" in text
    assert "5 results + 2 dead letters (1 different codes) = 7" in text
    assert re.search(r"civic +5 results \(5 accepted\) \+ 2 dead letters", text)
    assert "WRONG        1 findings" in text
    assert "lost: pothole.jpg" in text


def test_the_summary_of_what_is_in_order_says_so(evidence: Evidence) -> None:
    books = replace(Tally().books(), first_answer_at=14.2, pipelines={"polyp": PipelineBooks(first_answer_at=19.0)})
    text = "\n".join(summary_lines(evidence, verify(evidence), books, 10.0))
    assert "= 8" in text
    assert "6 pictures" in text
    assert "2 originals" in text
    assert "first answer after 4.2 s, of all pipelines after 9.0 s" in text
    assert "nothing lost, doubled or wrong" in text


MODELS = {"banana": {"detector": "d1"}}
OVERLAY = Kept("overlay", "overlays/1.jpg", "11")


@pytest.fixture
def sighting() -> Evidence:
    """A frame that a model saw: its picture is kept, and an overlay."""
    value = jpeg(1, 64, 48)
    sample = Sample(
        "ripe.jpg", value, "image/jpeg", Seen("frame", frozenset({"picture", "overlay"})), pipeline="banana"
    )
    origin = Origin("frames.banana", 0, 0)
    sha256 = sha256_hex(strip_metadata(value, MediaType.JPEG))
    kept = [Kept("picture", "pictures/1.jpg", sha256), OVERLAY]
    artifacts = [
        ArtifactReference(kind=one.kind, key=one.key, sha256=one.sha256, media_type="image/jpeg", size_bytes=1)
        for one in kept
    ]
    result = Result(
        result_id="r", frame_id="f", pipeline="banana", source="/belt", captured_at=NOW, processed_at=NOW,
        verdict="Ripe", artifacts=artifacts,
        models=[ModelReference(role="detector", name="demo-banana", version="1", digest="d1")],
    )  # fmt: skip
    return Evidence(
        sent=[SentFrame(origin, sample, "/belt", NOW, "f")], refused=[], answers=[Answer(origin, result, NOW)],
        result_rows=[ResultRow("r", "f", origin, "Ripe", frozenset(), kept)], letter_rows=[],
        objects={one.key: one.sha256 for one in kept}, overlays_wh={OVERLAY.key: (64, 48)}, models=MODELS,
    )  # fmt: skip


def test_what_a_model_saw_is_not_judged(sighting: Evidence) -> None:
    assert verify(sighting) == []


def _other_result(evidence: Evidence, **changes: object) -> Evidence:
    [answer] = evidence.answers
    assert isinstance(answer.body, Result)
    return replace(evidence, answers=[replace(answer, body=answer.body.model_copy(update=changes))])


SIGHTING_PLANTS: dict[str, tuple[str, Plant]] = {
    "it is skipped": (
        "wrong: ripe.jpg .* is a skipped with overlay and picture", lambda e: _other_result(e, kind="skipped")
    ),
    "no overlay is promised": (
        "wrong: ripe.jpg .* is a frame with no picture", lambda e: _other_result(e, artifacts=None)
    ),
    "another model answers": ("wrong: ripe.jpg .* other models", lambda e: _other_result(e, models=None)),
    "the row has another verdict": (
        "wrong: ripe.jpg .* is Mature in the database, and Ripe on the topics",
        lambda e: replace(e, result_rows=[replace(e.result_rows[0], verdict="Mature")]),
    ),
    "the overlay is gone": (
        "lost: the overlay of ripe.jpg", lambda e: replace(e, objects={"pictures/1.jpg": e.objects["pictures/1.jpg"]})
    ),
    "the overlay is no picture": ("changed: the overlay of ripe.jpg", lambda e: replace(e, overlays_wh={})),
    "the overlay has another size": (
        "changed: the overlay of ripe.jpg", lambda e: replace(e, overlays_wh={OVERLAY.key: (48, 64)})
    ),
    "the overlay has other bytes": (
        "changed: the overlay of ripe.jpg", lambda e: replace(e, objects={**e.objects, OVERLAY.key: "12"})
    ),
    "the row has no overlay": (
        "wrong: 1 pictures of ripe.jpg",
        lambda e: replace(e, result_rows=[replace(e.result_rows[0], kept=e.result_rows[0].kept[:1])]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", SIGHTING_PLANTS)
def test_a_fault_planted_in_a_sighting_is_the_one_finding(name: str, sighting: Evidence) -> None:
    wanted, plant = SIGHTING_PLANTS[name]
    findings = verify(plant(sighting))
    assert len(findings) == 1, findings
    assert re.match(wanted, findings[0])
