"""A frame whose answer is in the cache against one that must be worked out."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import cv2

from benchmarks.figures import Figure
from demo_models.making import faces
from processors.budget import PixelBudget
from processors.outcome import Context, Success
from processors.pipeline import process
from processors.pipelines import load_builtin
from schemas.frame import Frame, FrameSettings, Origin, frame_headers, parse_frame
from sightline.cli.loading import pinned_models
from sightline.runtime.clock import SystemClock
from sightline.runtime.resultcache import MemoryCache
from sightline.runtime.settings import MIB, Settings
from tests.world import DEMO_MODELS

PICTURES = 32


def measure(_: Path) -> list[Figure]:
    """Answer each picture once, and once more."""
    cv2.setNumThreads(1)
    definition = load_builtin("deepfake")
    lineup = pinned_models(definition, [str(DEMO_MODELS / "demo-deepfake")], Settings()).lineup()
    cache = MemoryCache(64 * MIB, SystemClock())
    context = Context(
        definition, lambda: datetime.now(UTC), time.perf_counter, PixelBudget(32_000_000), lambda: lineup, cache
    )
    frames = [_frame(number) for number in range(PICTURES)]
    process(frames[:1], replace(context, cache=None))  # the warm-up
    missed_s, hit_s = _time(frames, context, lambda one: one.result.cached_from is None), 0.0
    hit_s = _time(frames, context, lambda one: one.result.cached_from is not None)
    note = "deepfake's demo model at 380, pictures of 1280 x 960, memory cache, one frame at a time"
    return [
        Figure("a cached answer, time ÷ a worked-out one", hit_s / missed_s, "", "", "worked out", note),
        Figure("a cached answer", hit_s / PICTURES * 1000, "ms", "", None, note),
        Figure("a worked-out answer", missed_s / PICTURES * 1000, "ms", "", None, note),
    ]


def _time(frames: list[Frame], context: Context, expected: Callable[[Success], bool]) -> float:
    began = time.perf_counter()
    outcomes = [outcome for frame in frames for outcome in process([frame], context)]
    seconds = time.perf_counter() - began
    if not all(isinstance(one, Success) and expected(one) for one in outcomes):
        raise RuntimeError("the cache did not do what is measured")
    return seconds


def _frame(number: int) -> Frame:
    scene = faces.draw(800_000 + number, unseen=True)
    picture = cv2.resize(scene.picture_bgr, (1280, 960))
    done, data = cv2.imencode(".jpg", picture)
    if not done:
        raise RuntimeError("the picture could not be encoded")
    headers = frame_headers(event_id=str(number), source="/bench", media_type="image/jpeg")
    frame = parse_frame(data.tobytes(), headers, Origin("bench", 0, number), 0)
    return replace(frame, settings=FrameSettings(keep=False, overlay=False))
