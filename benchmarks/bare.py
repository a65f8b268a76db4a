"""The bare loop: the same `process` on files in memory, with the worker's batch and threads, and nothing else.

`python -m benchmarks.bare PIPELINE SECONDS THREADS KEEP FILE…` prints frames, seconds and CPU seconds as JSON.
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import cv2

from processors.budget import PixelBudget
from processors.outcome import Context, Failure
from processors.pipeline import process
from processors.pipelines import load_builtin
from schemas.frame import Origin, frame_headers, parse_frame
from sightline.runtime.settings import WorkerSettings


def run(pipeline: str, seconds: float, threads: int, keep: str, files: list[Path]) -> dict[str, float]:
    """Process batches of 16 for `seconds` after a warm-up of one batch a thread."""
    cv2.setNumThreads(1)
    pictures = [file.read_bytes() for file in files]
    definition = load_builtin(pipeline)
    pixels = PixelBudget(WorkerSettings().decoded_pixels)
    context = Context(definition, lambda: datetime.now(UTC), time.perf_counter, pixels)
    headers = frame_headers(event_id="1", source="/bench", media_type="image/jpeg", extensions={"keep": keep})
    size = definition.batch.max_frames

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
    name, duration, count, kept, *names = sys.argv[1:]
    print(json.dumps(run(name, float(duration), int(count), kept, [Path(path) for path in names])))
