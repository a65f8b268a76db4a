"""The bare loop: the same `process` on files in memory, with the worker's batch and threads, and nothing else.

`python -m benchmarks.bare --pipeline NAME --seconds S --threads N [--keep] [--model ROLE=FOLDER] FILE…` prints
frames, seconds and CPU seconds as JSON.
"""

import argparse
import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import cv2

from processors.budget import PixelBudget
from processors.outcome import Context, Failure
from processors.pipeline import process
from schemas.frame import Origin, frame_headers, parse_frame
from sightline.cli.loading import max_frames, pinned_models
from sightline.cli.pipelines import load_definition
from sightline.runtime.log import configure_logging
from sightline.runtime.settings import load_settings


def run(
    pipeline: str, seconds: float, threads: int, models: Sequence[str], files: Sequence[Path], *, keep: bool
) -> dict[str, float]:
    """Process batches for `seconds` after a warm-up of one batch a thread."""
    cv2.setNumThreads(1)
    settings = load_settings()
    configure_logging(settings.log)  # to standard error: standard output carries the figures
    pictures = [file.read_bytes() for file in files]
    definition = load_definition(pipeline, settings)
    pixels = PixelBudget(settings.worker.decoded_pixels)
    lineup = pinned_models(definition, models, settings).lineup()
    context = Context(definition, lambda: datetime.now(UTC), time.perf_counter, pixels, lambda: lineup)
    headers = frame_headers(
        event_id="1", source="/bench", media_type="image/jpeg", extensions={"keep": str(keep).lower()}
    )
    size = max_frames(definition, settings)

    def batch(number: int) -> int:
        chosen = [pictures[(number * size + n) % len(pictures)] for n in range(size)]
        frames = [parse_frame(data, headers, Origin("bench", 0, n), 0) for n, data in enumerate(chosen)]
        outcomes = process(frames, context)
        if any(isinstance(outcome, Failure) for outcome in outcomes):
            raise RuntimeError("a photo of the benchmark failed")
        return len(outcomes)

    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(batch, range(threads)))
        began, cpu_began = time.perf_counter(), time.process_time()

        def until_over(first: int) -> int:
            done, number = 0, first
            while time.perf_counter() - began < seconds:
                done += batch(number)
                number += threads
            return done

        frames = sum(executor.map(until_over, range(threads)))
    return {
        "frames": frames,
        "seconds": time.perf_counter() - began,
        "cpu_seconds": time.process_time() - cpu_began,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--pipeline", required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("files", nargs="+", type=Path)
    asked = parser.parse_args()
    answer = run(asked.pipeline, asked.seconds, asked.threads, asked.model, asked.files, keep=asked.keep)
    print(json.dumps(answer))
