from typing import Any

import cv2
import numpy as np
import pytest

from processors.measures import Measures, measure
from processors.pipelines import load_builtin
from processors.quality import Evidence, judge
from schemas.pipeline import CheckName, QualityRules
from schemas.result import Check
from tests.unit.processors import samples

CIVIC = load_builtin("civic").quality
LEGACY = load_builtin("civic-legacy").quality


def histogram(levels: dict[int, int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    counts = np.zeros(256, np.int64)
    for level, count in levels.items():
        counts[level] = count
    return counts


def evidence(
    variance: float = 500.0,
    levels: dict[int, int] | None = None,
    upright: tuple[int, int] = (1600, 1200),
    stored: tuple[int, int] | None = None,
    fields: int = 6,
) -> Evidence:
    measures = Measures(variance, histogram(levels or {64: 500, 192: 500}))
    metadata = {f"field-{number}": number for number in range(fields)}
    return Evidence(measures, metadata, stored or upright, upright)


def check(name: CheckName, found: Evidence, rules: QualityRules = CIVIC) -> Check:
    return next(check for check in judge(found, rules).checks if check.name == name.value)


def test_a_picture_that_passes_everything_has_100() -> None:
    quality = judge(evidence(), CIVIC)
    assert quality.score == 100
    assert quality.level == "excellent"
    assert [check.name for check in quality.checks] == ["blur", "resolution", "brightness", "exposure", "metadata"]
    assert [check.weight for check in quality.checks] == [25, 25, 20, 15, 15]
    assert all(check.passed and check.score == 100 and check.recommendation is None for check in quality.checks)


@pytest.mark.parametrize(
    ("variance", "passed", "score"),
    [(100.0, True, 100), (1e9, True, 100), (99.999, False, 80), (50.0, False, 40), (12.5, False, 10), (0.0, False, 0)],
)
def test_blur(variance: float, passed: bool, score: float) -> None:  # noqa: FBT001
    found = check(CheckName.BLUR, evidence(variance))
    assert (found.passed, found.score, found.value) == (passed, score, variance)
    assert passed or found.recommendation


@pytest.mark.parametrize(
    ("size", "passed", "score"),
    [
        ((800, 625), True, 100),  # exactly 0.5 MP
        ((625, 800), True, 100),
        ((800, 624), False, 79.9),  # 0.4992 MP / 0.5 * 80 = 79.872
        ((799, 4000), True, 100),  # fits when turned
        ((4000, 599), False, 80),
        ((640, 480), False, 49.2),  # 0.3072 / 0.5 * 80 = 49.152
        ((600, 500), False, 48),  # exactly 0.3 MP
        ((599, 500), False, 20),
        ((1, 1), False, 20),
    ],
)
def test_resolution(size: tuple[int, int], passed: bool, score: float) -> None:  # noqa: FBT001
    found = check(CheckName.RESOLUTION, evidence(upright=size))
    assert (found.passed, found.score) == (passed, score)
    assert found.value == size[0] * size[1] / 1e6


@pytest.mark.parametrize(
    ("levels", "passed", "score"),
    [
        # m = 128, sigma = 64: quality (1 + 1) / 2 = 1, no dark, no bright
        ({64: 500, 192: 500}, True, 100),
        # m = 50, sigma = 30: ((1 - 78/128) + 30/64) / 2 = 0.4297, dark share 0.5: too poor, mean just within
        ({20: 500, 80: 500}, False, 70),
        # m = 49.5: partial 80 - 0.5
        ({20: 500, 79: 500}, False, 79.5),
        # m = 0: 80 - 50 = 30
        ({0: 1000}, False, 30),
        # m = 10: 80 - 40 = 40
        ({10: 1000}, False, 40),
        # m = 220, all bright: quality 0, mean just within
        ({220: 1000}, False, 70),
        # m = 255: 80 - 35 = 45
        ({255: 1000}, False, 45),
        # m = 128, sigma = 12.8: (1 + 0.2) / 2 = 0.6 exactly: passes at its edge
        # m = 128, sigma = 12: (1 + 0.1875) / 2 = 0.59375: fails below it
        ({116: 500, 140: 500}, False, 70),
        ({115: 500, 141: 500}, True, 100),  # sigma 13: 0.6016
        # dark share 0.2 costs 0.1, bright share 0.2 costs 0.15: m = 128, sigma = 64.1 gives 1 - 0.25
        ({30: 200, 126: 300, 130: 300, 226: 200}, True, 100),
        # dark and bright shares of a half each: 1 - 0.4 - 0.45 = 0.15
        ({28: 500, 228: 500}, False, 70),
    ],
)
def test_brightness(levels: dict[int, int], passed: bool, score: float) -> None:  # noqa: FBT001
    found = check(CheckName.BRIGHTNESS, evidence(levels=levels))
    assert (found.passed, found.score) == (passed, score)
    assert found.value == sum(level * count for level, count in levels.items()) / 1000
    assert passed or found.recommendation


@pytest.mark.parametrize(
    ("levels", "passed", "score", "value"),
    [
        ({50: 500, 150: 500}, True, 100, 100),
        ({50: 500, 149: 500}, False, 69.3, 99),  # 99 / 100 * 70
        ({50: 500, 60: 500}, False, 7, 10),
        ({77: 1000}, False, 30, 0),
        ({0: 20, 50: 480, 200: 500}, True, 100, 200),  # exactly 2 % clipped
        ({0: 21, 50: 479, 200: 500}, False, 70, 200),
        ({50: 479, 200: 500, 255: 21}, False, 70, 205),
        ({0: 20, 50: 460, 200: 500, 255: 20}, True, 100, 255),  # the larger counts, not the sum
        ({0: 4, 100: 992, 255: 4}, False, 30, 0),  # 0.4 % at each end lie beyond both points
        ({0: 5, 100: 990, 255: 5}, True, 100, 100),  # the 0.5 % point is at 0, the 99.5 % point at 100
    ],
)
def test_exposure(levels: dict[int, int], passed: bool, score: float, value: float) -> None:  # noqa: FBT001
    found = check(CheckName.EXPOSURE, evidence(levels=levels))
    assert (found.passed, found.score, found.value) == (passed, score, value)
    assert passed or found.recommendation


@pytest.mark.parametrize(("fields", "passed", "score"), [(6, True, 100), (1, True, 100), (0, False, 0)])
def test_metadata(fields: int, passed: bool, score: float) -> None:  # noqa: FBT001
    found = check(CheckName.METADATA, evidence(fields=fields))
    assert (found.passed, found.score, found.value) == (passed, score, fields / 6)


@pytest.mark.parametrize(("fields", "score"), [(1, 33.3), (2, 60.0)])
def test_metadata_partial_credit_under_a_stricter_rule(fields: int, score: float) -> None:
    strict = QualityRules.model_validate({"metadata": {"min_share": 0.5}})
    assert check(CheckName.METADATA, evidence(fields=fields), strict).score == score


def test_the_score_is_the_weighted_mean_rounded_to_a_tenth() -> None:
    found = evidence(variance=33.3, levels={50: 500, 149: 500}, upright=(640, 480), fields=0)
    quality = judge(found, CIVIC)
    # m = 99.5, sigma = 49.5: quality (1 - 28.5/128 + 49.5/64) / 2 = 0.776, dark 0: brightness passes
    expected = (25 * 33.3 / 100 * 80 + 25 * 0.3072 / 0.5 * 80 + 20 * 100 + 15 * 69.3 + 15 * 0) / 100
    assert quality.score == round(expected, 1) == 49.3
    assert quality.level == "fair"


@pytest.mark.parametrize(
    ("score", "level"), [(39.9, "poor"), (40, "fair"), (64.9, "fair"), (65, "good"), (84.9, "good"), (85, "excellent")]
)
def test_levels_begin_at_their_number(score: float, level: str) -> None:
    only_blur = QualityRules(checks=(CheckName.BLUR,), blur=CIVIC.blur.model_copy(update={"partial_max": 100}))
    quality = judge(evidence(variance=score), only_blur)
    assert (quality.score, quality.level) == (score, level)


def test_weights_are_renormalised_over_the_checks_that_count() -> None:
    rules = QualityRules(checks=(CheckName.EXPOSURE, CheckName.BLUR, CheckName.BRIGHTNESS))
    quality = judge(evidence(variance=50.0), rules)
    assert [check.name for check in quality.checks] == ["blur", "brightness", "exposure"]
    assert [check.weight for check in quality.checks] == [41.6667, 33.3333, 25]
    assert quality.score == round((25 * 40 + 20 * 100 + 15 * 100) / 60, 1)


@pytest.mark.parametrize(
    ("size", "passed", "score"),
    [((1250, 800), True, 100), ((1249, 800), False, 79.9), ((800, 625), False, 40), ((500, 500), False, 20)],
)
def test_legacy_resolution_wants_a_megapixel(size: tuple[int, int], passed: bool, score: float) -> None:  # noqa: FBT001
    found = check(CheckName.RESOLUTION, evidence(upright=size), LEGACY)
    assert (found.passed, found.score) == (passed, score)


def test_legacy_takes_width_and_height_as_stored() -> None:
    turned = evidence(upright=(1200, 1600), stored=(1600, 1200))
    assert "1600 x 1200" in check(CheckName.RESOLUTION, turned, LEGACY).reason
    assert "1200 x 1600" in check(CheckName.RESOLUTION, turned, CIVIC).reason


def test_orientation_matters_where_only_one_way_round_passes() -> None:
    rules = QualityRules.model_validate({"resolution": {"either_orientation": False}})
    found = evidence(upright=(700, 1600), stored=(1600, 700))
    assert not check(CheckName.RESOLUTION, found, rules).passed
    as_stored = QualityRules.model_validate({"resolution": {"either_orientation": False, "apply_orientation": False}})
    assert check(CheckName.RESOLUTION, found, as_stored).passed


@pytest.mark.parametrize(
    ("levels", "passed", "score"),
    [
        ({50: 500, 170: 500}, True, 100),
        ({50: 500, 169: 500}, False, 69.4),  # 119 / 120 * 70
        ({0: 500, 255: 500}, True, 100),  # clipping never fails
        ({77: 1000}, False, 30),
    ],
)
def test_legacy_exposure(levels: dict[int, int], passed: bool, score: float) -> None:  # noqa: FBT001
    found = check(CheckName.EXPOSURE, evidence(levels=levels), LEGACY)
    assert (found.passed, found.score) == (passed, score)


def test_legacy_differs_from_civic_in_nothing_else() -> None:
    legacy, civic = LEGACY.model_dump(), CIVIC.model_dump()
    legacy["resolution"] |= {"min_megapixels": 0.5, "apply_orientation": True}
    legacy["exposure"] |= {"min_range": 100, "max_clipped_share": 0.02}
    assert legacy == civic


@pytest.mark.parametrize("seed", range(40))
def test_all_checks_agree_with_a_naive_reference_on_random_pictures(seed: int) -> None:
    random = np.random.default_rng(seed)
    height, width = int(random.integers(20, 1100)), int(random.integers(20, 1100))
    bgr = samples.photo(width, height, seed, noise=float(random.uniform(0, 12)))
    bgr = np.clip(bgr * random.uniform(0.2, 2.0) + random.uniform(-120, 120), 0, 255).astype(np.uint8)
    fields = int(random.integers(0, 7))
    found = Evidence(measure(bgr), dict.fromkeys("abcdef"[:fields], 1), (width, height), (width, height))
    quality = judge(found, CIVIC)
    expected = naive(bgr, fields)
    assert {check.name: check.passed for check in quality.checks} == {
        name: passed for name, (passed, _) in expected.items()
    }
    for check in quality.checks:
        assert check.score == pytest.approx(expected[check.name][1], abs=0.051)
    weights = {"blur": 25, "resolution": 25, "brightness": 20, "exposure": 15, "metadata": 15}
    mean = sum(weights[name] * score for name, (_, score) in expected.items()) / 100
    assert quality.score == pytest.approx(mean, abs=0.0501)


def naive(bgr: np.ndarray[Any, np.dtype[np.uint8]], fields: int) -> dict[str, tuple[bool, float]]:
    """The published rules, written down once more with nothing but numpy."""
    grey = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY))
    padded = np.pad(grey.astype(float), 1, mode="reflect")
    laplacian = padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] - 4 * padded[1:-1, 1:-1]
    variance = laplacian.var()
    height, width = grey.shape
    megapixels = width * height / 1e6
    big = max(width, height) >= 800 and min(width, height) >= 600 and megapixels >= 0.5
    mean, dark, bright = grey.mean(), (grey < 50).mean(), (grey >= 200).mean()
    even = ((1 - abs(mean - 128) / 128) + min(grey.std() / 64, 1)) / 2 - max(dark - 0.1, 0) - max(bright - 0.05, 0)
    bright_enough = 50 <= mean <= 220 and even >= 0.60
    dim = max(30, 80 - (50 - mean)) if mean < 50 else max(30, 80 - (mean - 220)) if mean > 220 else 70
    shares = np.cumsum(np.histogram(grey, 256, (0, 256))[0]) / grey.size
    spread = int(np.argmax(shares >= 0.995)) - int(np.argmax(shares >= 0.005))
    clipped = max((grey == 0).mean(), (grey == 255).mean())
    exposed = spread >= 100 and clipped <= 0.02
    return {
        "blur": (variance >= 100, 100 if variance >= 100 else min(80, variance / 100 * 80)),
        "resolution": (big, 100 if big else min(80, megapixels / 0.5 * 80) if megapixels >= 0.3 else 20),
        "brightness": (bright_enough, 100 if bright_enough else dim),
        "exposure": (exposed, 100 if exposed else 30 if spread == 0 else min(70, spread / 100 * 70)),
        "metadata": (fields >= 1, 100 if fields else 0),
    }


def test_reasons_name_what_was_measured_and_what_is_wanted() -> None:
    quality = judge(evidence(variance=12.34, upright=(640, 480), fields=0, levels={10: 1000}), CIVIC)
    reasons = {check.name: check.reason for check in quality.checks}
    for name, words in {
        "blur": ("12.3", "100"),
        "resolution": ("640 x 480", "0.31", "800 x 600", "0.5"),
        "brightness": ("10.0", "50 to 220", "0.6"),
        "exposure": ("span 0", "100", "2.0%"),
        "metadata": ("0 of 6", "15%"),
    }.items():
        assert all(word in reasons[name] for word in words), reasons[name]
