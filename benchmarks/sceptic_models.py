"""The loop that a sceptic would write around ultralytics in an afternoon; runs in an environment that has it.

`python benchmarks/sceptic_models.py TOPIC FRAMES MODEL.onnx SIZE` reads its addresses from the environment and prints
frames, seconds, and the seconds spent in the model itself as JSON; the first 64 frames are a warm-up.
"""

import json
import os
import sys
import time
import uuid
from typing import Any

WARM_UP = 64
BATCH = 16
TABLE = "CREATE TABLE IF NOT EXISTS sceptic_detections (id uuid PRIMARY KEY, source text, body jsonb)"


class ModelClock:
    """Adds up the time inside ONNX Runtime's `run`."""

    def __init__(self, session: type[Any]) -> None:
        self.seconds = 0.0
        original = session.run

        def run(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return original(*arguments, **named)
            finally:
                self.seconds += time.perf_counter() - began

        session.run = run


def run(topic: str, frames: int, weights: str, size: int) -> dict[str, float]:
    """Consume `frames` frames; the clocks start after the warm-up."""
    import cv2  # noqa: PLC0415 -- here and below: another environment's packages, of which a linter knows nothing
    import numpy as np  # noqa: PLC0415
    import onnxruntime  # noqa: PLC0415
    import psycopg2  # noqa: PLC0415
    from confluent_kafka import Consumer  # noqa: PLC0415
    from ultralytics import YOLO  # noqa: PLC0415

    clock = ModelClock(onnxruntime.InferenceSession)
    model = YOLO(weights, task="detect")
    consumer = Consumer({
        "bootstrap.servers": os.environ["SIGHTLINE_KAFKA_BOOTSTRAP_SERVERS"],
        "group.id": f"sceptic-{uuid.uuid4()}",
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
    })  # fmt: skip
    consumer.subscribe([topic])
    with psycopg2.connect(os.environ["SIGHTLINE_DATABASE_URL"]) as database, database.cursor() as cursor:
        cursor.execute(TABLE)
        database.commit()
        done, began = 0, 0.0
        while done < frames:
            messages = [message for message in consumer.consume(BATCH, 1.0) if message.error() is None]
            if not messages:
                continue
            pictures = [cv2.imdecode(np.frombuffer(one.value() or b"", np.uint8), cv2.IMREAD_COLOR) for one in messages]
            found = model.predict(pictures, imgsz=size, conf=0.25, iou=0.7, rect=False, verbose=False)
            for message, one in zip(messages, found, strict=True):
                body = json.dumps([[*box.xyxy[0].tolist(), float(box.conf)] for box in one.boxes])
                row = (str(uuid.uuid4()), (message.key() or b"").decode(), body)
                cursor.execute("INSERT INTO sceptic_detections VALUES (%s, %s, %s)", row)
            database.commit()
            consumer.commit(asynchronous=False)
            done += len(messages)
            if not began and done >= WARM_UP:
                began, done, frames, clock.seconds = time.perf_counter(), 0, frames - done, 0.0
        seconds = time.perf_counter() - began
        consumer.close()
    return {"frames": done, "seconds": seconds, "model_seconds": clock.seconds}


if __name__ == "__main__":
    name, count, file, side = sys.argv[1:]
    print(json.dumps(run(name, int(count), file, int(side))))
