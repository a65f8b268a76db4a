"""Frames at a steady pace for a soak, of which no two have the same bytes, and what became of each."""

import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from confluent_kafka import Consumer, KafkaError, Message, Producer, TopicPartition

from schemas import topics
from schemas.deadletter import parse_dead_letter
from schemas.errors import InputError
from schemas.frame import Origin, parse_frame
from schemas.headers import Headers
from schemas.result import Result
from tests.background import in_background
from tests.pictures import TEN_WAYS, headers, jpeg
from tests.world import World

Place = tuple[str, int, int]
Frame = tuple[bytes | None, Headers]
CAMERAS = 8
# At once, at first: the largest batches come before the warm-up is over, whatever else the machine has to do later.
BACKLOG = 500
_BROKEN_EVERY = 40
_OVERLAY_EVERY, _KEEP_EVERY = 5, 8
_JPEG_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 85]


@dataclass
class Answers:
    """What was acknowledged of one pipeline, and what its topics and tables say of it.

    `asked` gives each frame's id, None where it can have none.
    """

    asked: dict[Place, str | None] = field(default_factory=dict)
    results: Counter[str] = field(default_factory=Counter)
    letters: Counter[Place] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)

    def findings(self) -> list[str]:
        """Return what does not fit: a frame without exactly one answer, and answers to what nobody asked."""
        found = list(self.failures)
        for place, frame_id in self.asked.items():
            count = self.letters[place] + (0 if frame_id is None else self.results[frame_id])
            if count != 1:
                found.append(f"{place} has {count} answers")
        found += [f"made up: result of {one}" for one in self.results.keys() - set(self.asked.values())]
        return found + [f"made up: dead letter of {one}" for one in self.letters.keys() - self.asked.keys()]


def civic_frames() -> Iterator[Frame]:
    """Yield small pictures, one of 40 broken in one of ten ways."""
    for number in itertools.count():
        source = f"/cameras/{number % CAMERAS}"
        if number % _BROKEN_EVERY == _BROKEN_EVERY - 1:
            yield TEN_WAYS[number // _BROKEN_EVERY % len(TEN_WAYS)].make(number, f"soak{number}", source)
        else:
            yield jpeg(number, 320, 240), headers(f"soak{number}", source)


def polyp_frames(folder: Path) -> Iterator[Frame]:
    """Yield the pictures of `folder`, each time with other noise; some ask for an overlay, or to be kept."""
    pictures = [np.asarray(cv2.imread(str(path)), np.uint8) for path in sorted(folder.glob("*.jpg"))]
    for number in itertools.count():
        event_id, source = f"soak{number}", f"/rooms/{number % CAMERAS}"
        if number % _BROKEN_EVERY == _BROKEN_EVERY - 1:
            yield TEN_WAYS[number // _BROKEN_EVERY % len(TEN_WAYS)].make(number, event_id, source)
            continue
        picture = pictures[number % len(pictures)]
        noise = np.random.default_rng(number).integers(0, 6, picture.shape).astype(np.uint8)
        data = cv2.imencode(".jpg", cv2.add(picture, noise), _JPEG_QUALITY)[1].tobytes()
        asked: Headers = [] if number % _OVERLAY_EVERY else [("ce_overlay", b"true")]
        asked += [] if number % _KEEP_EVERY else [("ce_keep", b"true")]
        yield data, [*headers(event_id, source), *asked]


@contextmanager
def publishing(world: World, frames: Iterator[Frame], per_s: float, answers: Answers) -> Iterator[None]:
    """Publish in a thread of its own as long as the block lasts: a backlog, then steadily.

    At the end all is acknowledged, or a finding says so.
    """
    producer = Producer({"bootstrap.servers": world.bootstrap, "partitioner": "murmur2_random",
                         "enable.idempotence": True, "message.max.bytes": 20_000_000})  # fmt: skip

    def acknowledged(value: bytes | None, head: Headers, error: KafkaError | None, message: Message) -> None:
        if error is not None:
            answers.failures.append(f"not published: {error}")
            return
        place = (message.topic() or "", message.partition() or 0, message.offset() or 0)
        answers.asked[place] = _frame_id(value, head, Origin(*place), message.timestamp()[1])

    def send() -> None:
        value, head = next(frames)
        key = next((content for name, content in head if name == "ce_source"), None)
        producer.produce(topics.frames(world.pipeline), value, key, headers=list(head),
                         on_delivery=partial(acknowledged, value, head))  # fmt: skip
        producer.poll(0)

    with in_background(partial(_paced, send, per_s)):
        yield
    if producer.flush(120):
        answers.failures.append("not all was acknowledged")


@contextmanager
def following(world: World, answers: Answers) -> Iterator[None]:
    """Count results and dead letters as they come onto their topics, whose beginning retention takes meanwhile."""
    consumer = Consumer({"bootstrap.servers": world.bootstrap, "group.id": "soak", "enable.auto.commit": False,
                         "auto.offset.reset": "earliest", "isolation.level": "read_committed"})  # fmt: skip
    names = topics.results(world.pipeline), topics.dead_letters(world.pipeline)
    consumer.assign([TopicPartition(name, number, 0) for name in names for number in world.partitions(name)])

    def run(ended: threading.Event) -> None:
        while not ended.is_set():
            for message in consumer.consume(500, 0.2):
                if message.error() is None:
                    _count(message, names[0], answers)

    with closing(consumer), in_background(run):
        yield


def rows_of(world: World, asked: Answers) -> Answers:
    """Return the same frames with the answers that stand in the database."""
    results = world.sql("SELECT frame_id::text FROM results WHERE pipeline = :pipeline")
    letters = world.sql(
        "SELECT origin_topic, origin_partition, origin_offset FROM dead_letters WHERE pipeline = :pipeline"
    )
    return Answers(asked.asked, Counter(row[0] for row in results), Counter(tuple(row) for row in letters))


def _count(message: Message, results: str, answers: Answers) -> None:
    if message.topic() == results:
        answers.results[Result.model_validate_json(message.value() or b"").frame_id] += 1
        return
    origin = parse_dead_letter(cast("Headers", list(message.headers() or []))).origin
    answers.letters[origin.topic, origin.partition, origin.offset] += 1


def _frame_id(value: bytes | None, head: Headers, origin: Origin, timestamp_ms: int) -> str | None:
    try:
        return parse_frame(value, head, origin, timestamp_ms).frame_id
    except InputError:
        return None


def _paced(act: Callable[[], None], per_s: float, ended: threading.Event) -> None:
    for _ in range(BACKLOG):
        act()
    began = time.monotonic()
    for number in itertools.count():
        if ended.wait(max(began + number / per_s - time.monotonic(), 0)):
            return
        act()
