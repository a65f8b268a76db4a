import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.infer.interface import Answer
from processors.pipelines.banana.options import Grades
from processors.pipelines.banana.summary import CLASSES, grade_of
from processors.pipelines.summary import Summary
from schemas.result import Detection
from tests.unit.processors.pipelines.materials import detection, material, rectangle, summarise, summarise_detections

GOOD = rectangle(100, 100, 200, 160)  # 6,000 of 307,200 square pixels
BOW_TIE = [[100.0, 100.0], [200.0, 160.0], [200.0, 100.0], [100.0, 160.0]]


def banana(name: str = "Ripe", confidence: float = 0.9, *rings: list[list[float]]) -> Detection:
    return detection(name, confidence, parts=list(rings) or [GOOD])


def test_bananas_are_counted_by_ripeness_also_where_there_are_none() -> None:
    summary = summarise_detections("banana", [banana("Ripe"), banana("Over Ripe"), banana("Ripe")])
    assert summary.facts["counts"] == {"Not Mature": 0, "Mature": 0, "Ripe": 2, "Over Ripe": 1}
    assert list(summary.facts["counts"]) == list(CLASSES)
    assert (summary.facts["count"], summary.verdict) == (3, "Ripe")


@pytest.mark.parametrize(
    ("found", "verdict"),
    [
        ([("Mature", 0.8), ("Ripe", 0.9)], "Ripe"),  # as many of each: the surer one
        ([("Mature", 0.9), ("Ripe", 0.8)], "Mature"),
        ([("Mature", 0.9), ("Ripe", 0.9)], "Ripe"),  # as sure: the riper one
        ([("Mature", 0.76), ("Mature", 0.76), ("Over Ripe", 0.99)], "Mature"),
    ],
)
def test_the_commonest_ripeness_is_the_verdict(found: list[tuple[str, float]], verdict: str) -> None:
    assert summarise_detections("banana", [banana(*one) for one in found]).verdict == verdict


def test_without_bananas_there_is_no_grade() -> None:
    summary = summarise_detections("banana", [])
    assert (summary.verdict, summary.score, summary.facts["bananas"]) == ("none", None, [])
    assert "grade" not in summary.facts


def test_the_overall_score_weighs_confidence_geometry_and_picture() -> None:
    cut = rectangle(0, 100, 100, 160)
    answer = Answer(detections=(banana("Ripe", 0.9), banana("Ripe", 0.8, cut)))
    summary = summarise("banana", material(answer, score=60.0))
    # confidence 85, geometry (100 + 70) / 2 = 85, picture 60: 0.4 * 85 + 0.4 * 85 + 0.2 * 60
    assert summary.facts["score_parts"] == {"confidence": 85.0, "geometry": 85.0, "picture": 60.0}
    assert (summary.score, summary.facts["grade"]) == (80.0, "B")
    weighed = summarise(
        "banana", material(answer, score=60.0), {"weights": {"confidence": 1, "geometry": 0, "picture": 3}}
    )
    assert weighed.score == 66.2  # (85 + 3 * 60) / 4 = 66.25, rounded to even


def problems(summary: Summary) -> list[str]:
    found: list[str] = summary.facts["bananas"][0]["problems"]
    return found


@pytest.mark.parametrize(
    ("ring", "names", "score"),
    [
        (GOOD, [], 100),
        (BOW_TIE, ["self_intersection", "too_small"], 0),  # its halves have opposite signs: an area of 0
        (rectangle(10, 10, 27, 27), ["too_small"], 50),  # 289 of 307.2 wanted
        (rectangle(10, 10, 28, 28), [], 100),  # 324
        (rectangle(1, 1, 638, 478), ["too_large"], 50),
        (rectangle(0, 100, 100, 160), ["out_of_frame"], 70),
        (rectangle(0, 0, 5, 5), ["too_small", "out_of_frame"], 20),
    ],
)
def test_an_outline_is_checked(ring: list[list[float]], names: list[str], score: float) -> None:
    summary = summarise_detections("banana", [banana("Ripe", 0.9, ring)])
    assert problems(summary) == names
    assert summary.facts["bananas"][0]["geometry_score"] == score


def test_all_parts_of_an_outline_count() -> None:
    summary = summarise_detections("banana", [banana("Ripe", 0.9, GOOD, rectangle(300, 300, 310, 310))])
    assert summary.facts["bananas"] == [{"area": 6100.0, "area_share": 0.0199, "geometry_score": 100, "problems": []}]
    twisted = summarise_detections("banana", [banana("Ripe", 0.9, GOOD, BOW_TIE)])
    assert problems(twisted) == ["self_intersection"]


def test_a_banana_without_an_outline_is_too_small() -> None:
    assert problems(summarise_detections("banana", [detection("Ripe")])) == ["too_small"]


def test_thresholds_and_costs_are_options() -> None:
    geometry = {"min_area_share": 0.5, "area_costs": 12.5}
    summary = summarise_detections("banana", [banana()], {"geometry": geometry})
    assert summary.facts["bananas"][0]["geometry_score"] == 87.5


@pytest.mark.parametrize(
    ("score", "grade"),
    [
        (100, "A+"),
        (95, "A+"),
        (94.9, "A"),
        (85, "A"),
        (84.9, "B"),
        (70, "B"),
        (69.9, "C"),
        (50, "C"),
        (49.9, "D"),
        (0, "D"),
    ],
)
def test_grades_begin_at_their_number(score: float, grade: str) -> None:
    assert grade_of(score, Grades()) == grade


@given(
    st.lists(
        st.tuples(st.sampled_from(CLASSES), st.floats(0.1, 1), st.integers(0, 400), st.integers(0, 300)), max_size=8
    )
)
@settings(max_examples=50, deadline=None)
def test_the_score_stays_between_0_and_100(found: list[tuple[str, float, int, int]]) -> None:
    bananas = [banana(name, round(sure, 4), rectangle(x, y, x + 239, y + 150)) for name, sure, x, y in found]
    summary = summarise_detections("banana", bananas)
    assert summary.score is None or 0 <= summary.score <= 100
    assert sum(summary.facts["counts"].values()) == len(found)
    assert (summary.score is None) == (not found)
