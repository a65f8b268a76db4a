"""The auditor is proven: each planted fault is reported, and a sound system is not."""

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from schemas.frame import Origin, parse_frame
from tests.audit import Evidence, LetterCopy, audit
from tests.pictures import headers
from tests.world import Published


def sound_evidence() -> Evidence:
    """Three frames with results, one dead letter, an artifact and the dead letter's object."""
    published = [
        Published("frames.x", 0, n, 1_700_000_000_000, b"/c", b"picture %d" % n, headers(f"e{n}", "/c"))
        for n in range(4)
    ]
    frames = [
        parse_frame(p.value, p.headers, Origin(*p.origin), p.timestamp_ms).frame_id for p in published[:3]
    ]  # fmt: skip
    bad = published[3]
    letter = LetterCopy("dl", bad.origin, bad.key, bad.value, bad.headers, "picture_corrupt", "decode")
    return Evidence(
        published=published,
        topic_results=[
            {
                "result_id": f"r{n}",
                "frame_id": frame,
                "origin": {"topic": "frames.x", "partition": 0, "offset": n},
            }
            for n, frame in enumerate(frames)
        ],
        topic_letters=[letter],
        result_rows=[(f"r{n}", frame, published[n].origin) for n, frame in enumerate(frames)],
        letter_rows=[("dl", bad.origin, "deadletters/x/dl")],
        artifact_rows=[("pictures/a", "aa")],
        objects={"pictures/a": "aa", "deadletters/x/dl": hashlib.sha256(bad.value or b"").hexdigest()},
    )


def _lose_row(evidence: Evidence) -> None:
    del evidence.result_rows[1]


def _lose_result(evidence: Evidence) -> None:
    del evidence.topic_results[0]


def _lose_letter(evidence: Evidence) -> None:
    evidence.letter_rows.clear()


def _lose_object(evidence: Evidence) -> None:
    del evidence.objects["pictures/a"]


def _lose_original(evidence: Evidence) -> None:
    del evidence.objects["deadletters/x/dl"]


def _double_row(evidence: Evidence) -> None:
    evidence.result_rows.append(evidence.result_rows[0])


def _double_frame(evidence: Evidence) -> None:
    evidence.result_rows.append(("other", *evidence.result_rows[0][1:]))


def _double_letter(evidence: Evidence) -> None:
    evidence.letter_rows.append(("other", *evidence.letter_rows[0][1:]))


def _both(evidence: Evidence) -> None:
    evidence.letter_rows.append(("other", evidence.published[0].origin, None))


def _make_up(evidence: Evidence) -> None:
    evidence.result_rows.append(("other", "a frame that nobody sent", ("frames.x", 0, 99)))


def _make_up_letter(evidence: Evidence) -> None:
    evidence.letter_rows.append(("other", ("frames.x", 0, 99), None))


def _change_value(evidence: Evidence) -> None:
    evidence.topic_letters[0] = replace(evidence.topic_letters[0], value=b"picture 4")


def _change_headers(evidence: Evidence) -> None:
    letter = evidence.topic_letters[0]
    evidence.topic_letters[0] = replace(letter, headers=letter.headers[:-1])


def _change_key(evidence: Evidence) -> None:
    evidence.topic_letters[0] = replace(evidence.topic_letters[0], key=b"")


def _change_object(evidence: Evidence) -> None:
    evidence.objects["pictures/a"] = "ab"


def _change_original(evidence: Evidence) -> None:
    evidence.objects["deadletters/x/dl"] = "ab"


def _double_shadow(evidence: Evidence) -> None:
    evidence.shadow_rows += [("s0", evidence.result_rows[0][1]), ("s1", evidence.result_rows[0][1])]


def _shadow_alone(evidence: Evidence) -> None:
    evidence.shadow_rows.append(("s9", "a frame without a live row"))


def _shadow_instead(evidence: Evidence) -> None:
    evidence.topic_results[0]["variant"] = "shadow"


def test_a_sound_system_has_no_findings() -> None:
    assert audit(sound_evidence()) == []


def test_a_shadow_beside_a_live_result_is_sound() -> None:
    evidence = sound_evidence()
    evidence.shadow_rows.append(("s0", evidence.result_rows[0][1]))
    evidence.topic_results.append({**evidence.topic_results[0], "result_id": "s0", "variant": "shadow"})
    assert audit(evidence) == []


@pytest.mark.parametrize(
    ("plant", "finding"),
    [
        (_lose_row, "lost"),
        (_lose_result, "lost"),
        (_lose_letter, "lost"),
        (_lose_object, "missing"),
        (_lose_original, "missing"),
        (_double_row, "double"),
        (_double_frame, "double"),
        (_double_letter, "double"),
        (_both, "double"),
        (_make_up, "made up"),
        (_make_up_letter, "made up"),
        (_change_value, "changed"),
        (_change_headers, "changed"),
        (_change_key, "changed"),
        (_change_object, "changed"),
        (_change_original, "changed"),
        (_double_shadow, "double"),
        (_shadow_alone, "alone"),
        (_shadow_instead, "lost"),
    ],
)
def test_a_planted_fault_is_reported(plant: Callable[[Evidence], None], finding: str) -> None:
    evidence = sound_evidence()
    plant(evidence)
    assert any(problem.startswith(finding) for problem in audit(evidence))
