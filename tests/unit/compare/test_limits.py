"""How much may change before a comparison fails."""

import pytest

from schemas.errors import ConfigurationError
from sightline.compare.limits import NAMES, judge, judged_frames, parse_share
from tests.unit.compare.samples import compared, detection, pair, result


@pytest.mark.parametrize(("text", "wanted"), [("2%", 0.02), ("0.5%", 0.005), ("0.02", 0.02), ("0", 0), ("100%", 1)])
def test_shares_are_read(text: str, wanted: float) -> None:
    assert parse_share("--at-most-lost", text) == pytest.approx(wanted)


@pytest.mark.parametrize("text", ["", "2", "-1%", "101%", "two", "1e-2", "nan", "2 %%", "\u0661%"])
def test_what_is_no_share_names_the_option(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_share("--at-most-lost", text)
    assert caught.value.where == "--at-most-lost"


def test_each_limit_is_held_against_its_own_share() -> None:
    comparison = compared([
        pair(result(1, verdict="a", detections=[detection("ripe", 0)] * 1), result(1, verdict="b", detections=[])),
        *(
            pair(result(n, detections=[detection("ripe", 0)]), result(n, detections=[detection("ripe", 0)]))
            for n in (2, 3)
        ),
        pair(result(4), result(4, detections=[detection("ripe", 0), detection("ripe", 90)])),
        pair(result(5), None),
    ])  # fmt: skip
    seen = {one.name: one.seen for one in judge(comparison, dict.fromkeys(NAMES, 0.0), count_copies=False)}
    assert seen == {"changed": 0.25, "worse": 0.25, "lost": pytest.approx(1 / 3), "gained": 0.5, "missing": 0.2}


def test_a_limit_is_kept_up_to_and_including_it() -> None:
    comparison = compared([pair(result(n, verdict="a"), result(n, verdict="b" if n else "a")) for n in range(2)])
    held = {most: judge(comparison, {"changed": most}, count_copies=False)[0].held for most in (0.49, 0.5)}
    assert held == {0.49: False, 0.5: True}


def test_copies_count_where_asked_for_and_cannot_hide_among_originals() -> None:
    pairs = [pair(result(n), result(n)) for n in range(9)]
    pairs.append(pair(result(10, verdict="a"), result(10, verdict="b"), copied=True))
    comparison = compared(pairs)
    assert judge(comparison, {"changed": 0.0}, count_copies=False)[0].held
    with_copies = judge(comparison, {"changed": 0.5}, count_copies=True)[0]
    assert (with_copies.seen, with_copies.held) == (1.0, False)
    assert (judged_frames(comparison, count_copies=False), judged_frames(comparison, count_copies=True)) == (9, 10)
