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
from schemas.result import Check, Quality, Result
from sightline.demo.sample import Sample, Verdict
from sightline.demo.samples import Samples
from sightline.demo.summary import summary_lines
from sightline.demo.tally import Answer, SentFrame, Tally
from sightline.demo.verify import Evidence, LetterRow, ResultRow, verify

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
            kept = [[f"pictures/{sha256}", sha256]]
            answers.append(_result_answer(frame, wanted))
            results.append(
                ResultRow(
                    f"r {frame.frame_id}", frame.frame_id or "", frame.origin, wanted.verdict, wanted.failed, kept
                )
            )
        else:
            objects[f"deadletters/{frame.frame_id}"] = sha256_hex(value)
            answers.append(_letter_answer(frame, wanted))
            letters.append(
                LetterRow(f"d {frame.frame_id}", frame.origin, wanted.value, f"deadletters/{frame.frame_id}")
            )
    return replace(found, answers=answers, result_rows=results, letter_rows=letters, objects=objects)


def test_what_is_in_order_gives_no_finding(evidence: Evidence) -> None:
    assert verify(evidence) == []


def _picture(evidence: Evidence) -> str:
    return evidence.result_rows[0].kept[0][0]


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
    text = "\n".join(summary_lines(planted, verify(planted), Tally().books(), None))
    assert "sent         8 frames" in text
    assert "5 results (5 accepted, 0 rejected) + 2 dead letters (1 different codes) = 7" in text
    assert "WRONG        1 findings" in text
    assert "lost: pothole.jpg" in text


def test_the_summary_of_what_is_in_order_says_so(evidence: Evidence) -> None:
    text = "\n".join(summary_lines(evidence, verify(evidence), Tally().books(), 4.2))
    assert "= 8" in text
    assert "6 pictures" in text
    assert "2 originals" in text
    assert "first answer after 4.2 s" in text
    assert "nothing lost, doubled or wrong" in text
