"""The page and the JSON of a comparison."""

import json
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import cv2
import numpy as np
import pytest

from schemas.errors import InputError
from schemas.result import Result
from sightline.compare.comparison import Comparison
from sightline.compare.facts import About, comparison_facts
from sightline.compare.limits import judge
from sightline.compare.pictures import draw_sides, headline
from sightline.compare.report import Shown, comparison_page
from sightline.compare.section import per_cent
from tests.pictures import encode, jpeg
from tests.unit.compare.samples import change, compared, detection, pair, result

ABOUT = About("r-2", "live", ("banana",), "banana")
_VOID = {"meta", "img", "line", "rect", "br"}


class Page(HTMLParser):
    """Text and addresses of a page, whose elements must be closed in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.addresses: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href"}]
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in _VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def sides() -> tuple[Result, Result]:
    old = result(verdict="Ripe", score=80.0, detections=[detection("ripe", 0), detection("ripe", 40)])
    new = result(verdict="Mature", score=70.5, detections=[detection("ripe", 1, 0.7), detection("mature", 70)])
    return old, new


def comparison() -> Comparison:
    old, new = sides()
    same = result(1, verdict="Ripe", score=80.0)
    copied = pair(result(2, verdict="Ripe"), result(2, verdict="<b>"), copied=True)
    return compared([pair(old, new), pair(same, same), copied, pair(result(3), None)])


def page(made: Comparison, shown: list[Shown]) -> Page:
    verdicts = judge(made, {"changed": 0.1, "gained": 1.0}, count_copies=False)
    return Page(comparison_page(made, ABOUT, verdicts, Counter({"picture_corrupt": 2}), shown))


def test_the_page_says_everything_and_needs_nothing() -> None:
    old, new = sides()
    jpegs = draw_sides(jpeg(1), change(old, new), old, new)
    shown = [Shown(change(old, new), (headline(old), headline(new)), jpegs)]
    made = page(comparison(), shown)
    text = " ".join(made.texts)
    for wanted in (
        "Replay r-2 against live", "Ripe → Mature", "failed in the replay: picture_corrupt", "Detections by class",
        "Shift of score", "1 of 3 frames were analysed from a copy", "passed", "failed", "old: Ripe  80.0", "<b>",
        "lost ripe 0.90; gained mature 0.90; score -9.5",
    ):  # fmt: skip
        assert wanted in text, wanted
    assert len(made.addresses) == 2
    assert all(address.startswith("data:image/jpeg;base64,") for address in made.addresses)


def test_a_picture_that_is_gone_is_said_to_be() -> None:
    old, new = sides()
    made = page(comparison(), [Shown(change(old, new), ("a", "b"), None, "Kafka has it no longer")])
    assert "No picture: Kafka has it no longer" in made.texts
    assert not made.addresses


def test_nothing_compared_makes_a_page_too() -> None:
    text = " ".join(page(compared([]), []).texts)
    assert "Nothing changed." in text


def test_many_cameras_are_cut_and_said_to_be() -> None:
    pairs = [pair(result(n, source=f"/camera/{n}", verdict="a"), result(n, verdict="b")) for n in range(55)]
    text = " ".join(page(compared(pairs), []).texts)
    assert "and 15 more, which the JSON has" in text


def test_json_holds_it_all() -> None:
    made = comparison()
    facts: dict[str, Any] = json.loads(
        json.dumps(comparison_facts(made, ABOUT, judge(made, {"lost": 0.1}, count_copies=False)))
    )
    assert facts["frames"] == {
        "compared": 3, "copies": 1, "only_old": 1, "only_new": 0, "skipped_old": 0, "skipped_new": 0,
        "missing_share": 0.25,
    }  # fmt: skip
    assert facts["originals"]["verdicts"] == [
        {"old": "Ripe", "new": "Mature", "frames": 1},
        {"old": "Ripe", "new": "Ripe", "frames": 1},
    ]
    assert facts["copies"]["answers_changed"] == 1
    assert facts["limits"] == [{"name": "lost", "at_most": 0.1, "seen": 0.5, "held": False}]
    first = facts["most_changed"][0]
    assert [one["class"] for one in first["lost"] + first["gained"]] == ["ripe", "mature"]


def test_overlays_differ_where_the_answers_do() -> None:
    old, new = sides()
    first, second = (
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        for data in draw_sides(encode(".png", np.full((400, 600, 3), 128, np.uint8)), change(old, new), old, new)
    )
    assert first is not None
    assert second is not None
    # The results speak of a picture of 1920 x 1080 pixels; a page shows 640.
    assert first.shape == second.shape == (360, 640, 3)
    assert np.abs(first.astype(int) - second).max() > 100


def test_what_is_no_picture_is_refused() -> None:
    old, new = sides()
    with pytest.raises(InputError):
        draw_sides(b"no picture", change(old, new), old, new)


@pytest.mark.parametrize(("share", "text"), [(0, "0.00 %"), (0.00001, "< 0.01 %"), (0.0213, "2.13 %"), (1, "100.00 %")])
def test_shares_for_people(share: float, text: str) -> None:
    assert per_cent(share) == text
