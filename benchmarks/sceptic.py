"""The loop that a sceptic would write in an afternoon, to see what ours is worth.

A confluent-kafka consumer, the straightforward NumPy and OpenCV forms of the five checks, one insert statement a
row, one commit of database and offsets a batch of 16. `python -m benchmarks.sceptic TOPIC FRAMES` reads its
addresses from the environment and prints frames and seconds as JSON; the first 64 frames are a warm-up.
"""

import io
import json
import os
import sys
import time
import uuid
from typing import Any

import cv2
import numpy as np
import psycopg2
from confluent_kafka import Consumer
from PIL import Image

BATCH = 16
WARM_UP = 64
FIELDS = (36867, 271, 274, 34855, 33434, 33437)
TABLES = """
CREATE TABLE IF NOT EXISTS sceptic_results (id uuid PRIMARY KEY, source text, verdict text, score real, body jsonb);
CREATE TABLE IF NOT EXISTS sceptic_checks (id uuid, name text, passed boolean, value real, score real);
"""


def score(data: bytes) -> list[tuple[str, bool, float, float, float]]:
    """Return name, passed, value, score and weight of each check."""
    picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if picture is None:
        raise ValueError("not a picture")
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    height, width = grey.shape
    return [_blur(grey), _resolution(width, height), _brightness(grey), _exposure(grey), _metadata(data)]


def _blur(grey: Any) -> tuple[str, bool, float, float, float]:
    value = float(cv2.Laplacian(grey, cv2.CV_64F).var())
    return "blur", value >= 100, value, 100 if value >= 100 else min(80, value / 100 * 80), 25


def _resolution(width: int, height: int) -> tuple[str, bool, float, float, float]:
    megapixels = width * height / 1e6
    passed = max(width, height) >= 800 and min(width, height) >= 600 and megapixels >= 0.5
    partial = min(80, megapixels / 0.5 * 80) if megapixels >= 0.3 else 20
    return "resolution", passed, megapixels, 100 if passed else partial, 25


def _brightness(grey: Any) -> tuple[str, bool, float, float, float]:
    mean, deviation = float(np.mean(grey)), float(np.std(grey))
    dark, bright = float(np.mean(grey < 50)), float(np.mean(grey >= 200))
    evenness = ((1 - abs(mean - 128) / 128) + min(deviation / 64, 1)) / 2
    quality = min(max(evenness - max(dark - 0.1, 0) - max(bright - 0.05, 0), 0), 1)
    passed = 50 <= mean <= 220 and quality >= 0.6
    partial = max(30, 80 - (50 - mean)) if mean < 50 else max(30, 80 - (mean - 220)) if mean > 220 else 70
    return "brightness", passed, mean, 100 if passed else partial, 20


def _exposure(grey: Any) -> tuple[str, bool, float, float, float]:
    histogram = cv2.calcHist([grey], [0], None, [256], [0, 256]).ravel()
    points = np.cumsum(histogram) / grey.size
    span = float(np.searchsorted(points, 0.995) - np.searchsorted(points, 0.005))
    clipped = max(float(np.mean(grey == 0)), float(np.mean(grey == 255)))
    passed = span >= 100 and clipped <= 0.02
    return "exposure", passed, span, 100 if passed else min(70, span) if span else 30, 15


def _metadata(data: bytes) -> tuple[str, bool, float, float, float]:
    exif = Image.open(io.BytesIO(data)).getexif()
    inner = exif.get_ifd(0x8769)
    share = sum(1 for field in FIELDS if exif.get(field) or inner.get(field)) / len(FIELDS)
    return "metadata", share >= 0.15, share, 100 if share >= 0.15 else min(60, share * 200), 15


def run(topic: str, frames: int) -> dict[str, float]:
    """Consume `frames` frames; the clock starts after the warm-up."""
    cv2.setNumThreads(1)
    url = os.environ["SIGHTLINE_DATABASE_URL"]
    with psycopg2.connect(url) as database, database.cursor() as cursor:
        cursor.execute(TABLES)
        database.commit()
        consumer = Consumer({
            "bootstrap.servers": os.environ["SIGHTLINE_KAFKA_BOOTSTRAP_SERVERS"],
            "group.id": f"sceptic-{uuid.uuid4()}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        })  # fmt: skip
        consumer.subscribe([topic])
        done, began = 0, 0.0
        while done < frames:
            messages = [message for message in consumer.consume(BATCH, 1.0) if message.error() is None]
            for message in messages:
                _store(cursor, message.key() or b"", score(message.value() or b""))
            database.commit()
            if messages:
                consumer.commit(asynchronous=False)
            done += len(messages)
            if not began and done >= WARM_UP:
                began, done, frames = time.perf_counter(), 0, frames - done
        seconds = time.perf_counter() - began
        consumer.close()
    return {"frames": done, "seconds": seconds}


def _store(cursor: Any, source: bytes, checks: list[tuple[str, bool, float, float, float]]) -> None:
    total = round(sum(check[3] * check[4] for check in checks) / sum(check[4] for check in checks), 1)
    verdict = "accepted" if total >= 65 else "rejected"
    key = str(uuid.uuid4())
    body = json.dumps({"score": total, "checks": checks})
    cursor.execute(
        "INSERT INTO sceptic_results VALUES (%s, %s, %s, %s, %s)", (key, source.decode(), verdict, total, body)
    )
    for name, passed, value, credit, _ in checks:
        cursor.execute("INSERT INTO sceptic_checks VALUES (%s, %s, %s, %s, %s)", (key, name, passed, value, credit))


if __name__ == "__main__":
    print(json.dumps(run(sys.argv[1], int(sys.argv[2]))))
