"""Good frames of each pipeline's source pass its quality checks; what shows nothing does not."""

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from processors.gate import Decision, decide
from processors.measures import measure
from processors.pipelines import load_builtin
from processors.quality import Evidence, judge
from tests.unit.processors import samples

Pixels = NDArray[np.uint8]
CAMERA_WH = (640, 480)
CAMERAS = ("banana", "classify", "deepfake", "detect", "gesture", "pose", "segment")
SEEDS = range(20)


def camera_frame(seed: int) -> Pixels:
    """Draw a frame of a plain camera: a soft lens, light from dim to bright, a JPEG."""
    random = np.random.default_rng(seed)
    picture = samples.photo(*CAMERA_WH, seed, noise=float(random.uniform(0, 4)))
    for _ in range(12):
        centre, axes = random.integers(0, CAMERA_WH), random.integers(15, 90, 2)
        colour = tuple(map(float, random.integers(30, 220, 3)))
        cv2.ellipse(picture, centre.tolist(), axes.tolist(), float(random.uniform(0, 180)), 0, 360, colour, -1)
    soft = cv2.GaussianBlur(picture, (0, 0), float(random.uniform(0.5, 1.2)))
    lit = (soft.astype(np.float32) - 128) * random.uniform(0.7, 1.2) + 128 + random.uniform(-45, 45)
    return through_jpeg(np.clip(lit, 0, 255).astype(np.uint8), int(random.integers(60, 95)))


def endoscopy_frame(seed: int) -> Pixels:
    """Draw a frame of an endoscope: a lit wall with folds, vessels and glints in a disc, and black round it."""
    random = np.random.default_rng(seed)
    width, height = CAMERA_WH
    wall = cv2.resize(random.random((5, 6)).astype(np.float32), CAMERA_WH, interpolation=cv2.INTER_CUBIC)
    picture = (60 + 70 * wall)[:, :, None] * np.array([0.55, 0.65, 1.4], np.float32)
    for _ in range(14):
        start, end = (tuple(map(int, random.integers(0, CAMERA_WH))) for _ in range(2))
        cv2.line(picture, start, end, (40, 45, 110), int(random.integers(1, 3)), cv2.LINE_AA)
        cv2.circle(
            picture, tuple(map(int, random.integers(0, CAMERA_WH))), int(random.integers(2, 6)), (230, 230, 235), -1
        )
    soft = cv2.GaussianBlur(picture, (0, 0), float(random.uniform(0.6, 1.4)))
    mask = cv2.circle(
        np.zeros((height, width, 1), np.uint8), (width // 2, height // 2), int(random.integers(200, 260)), 1.0, -1
    )
    return through_jpeg(np.clip(soft * mask, 0, 255).astype(np.uint8), 85)


def through_jpeg(picture: Pixels, quality: int) -> Pixels:
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def flat(level: float, noise: float) -> Callable[[int], Pixels]:
    def draw(seed: int) -> Pixels:
        noisy = np.random.default_rng(seed).normal(level, noise, (*CAMERA_WH[::-1], 3))
        return np.clip(noisy, 0, 255).astype(np.uint8)

    return draw


def mush(draw: Callable[[int], Pixels]) -> Callable[[int], Pixels]:
    return lambda seed: through_jpeg(np.asarray(cv2.GaussianBlur(draw(seed), (0, 0), 10), np.uint8), 85)


JUNK = {
    "black": flat(0, 0),
    "a covered lens": flat(4, 2),
    "white": flat(255, 0),
    "blinded": flat(252, 3),
    "grey": flat(128, 0),
    "a wall out of focus": mush(camera_frame),
    "a mucosa out of focus": mush(endoscopy_frame),
}


@cache
def evidence(draw: Callable[[int], Pixels], seed: int) -> Evidence:
    """Measure a picture as a worker does; without metadata, as a camera sends it."""
    return Evidence(measure(draw(seed)), {}, CAMERA_WH, CAMERA_WH)


@pytest.mark.parametrize("pipeline", [*CAMERAS, "polyp"])
def test_no_good_frame_is_rejected(pipeline: str) -> None:
    rules = load_builtin(pipeline).quality
    for seed in SEEDS:
        quality = judge(evidence(endoscopy_frame if pipeline == "polyp" else camera_frame, seed), rules)
        assert decide("reject", quality, rules.pass_score) is Decision.PASS
        assert quality.score >= rules.pass_score + 2.5


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("pipeline", [*CAMERAS, "polyp"])
def test_junk_is_stopped_where_the_gate_rejects(pipeline: str, junk: str) -> None:
    rules = load_builtin(pipeline).quality
    for seed in range(4):
        quality = judge(evidence(JUNK[junk], seed), rules)
        assert decide("reject", quality, rules.pass_score) is Decision.REJECT
        assert decide("flag", quality, rules.pass_score) is Decision.FLAG
        assert decide("off", quality, rules.pass_score) is Decision.PASS
