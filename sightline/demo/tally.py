"""Who was sent, who was answered: the demo's books, kept by several threads."""

import threading
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from schemas import topics
from schemas.deadletter import DeadLetter
from schemas.errors import InputError
from schemas.frame import Origin
from schemas.result import Result
from sightline.demo.books import Books, PipelineBooks
from sightline.demo.sample import Sample, is_guest
from sightline.demo.system import OBJECTS, ROWS

_RATE_OVER_S = 5.0
_LATENCIES = 500
_SHOWN = 60
_GUEST_PICTURE = "your own"

# A sink's process, and a pipeline that it stores for.
Place = tuple[str, str]


@dataclass(frozen=True, slots=True)
class SentFrame:
    """A frame that the broker acknowledged. `frame_id` is the one it must get; None when its envelope is broken."""

    origin: Origin
    sample: Sample
    source: str
    sent_at: datetime
    frame_id: str | None


@dataclass(frozen=True, slots=True)
class Answer:
    """A result, or a dead letter, as it was read from its topic, with the names of the objects that it promises.

    `row_bytes` is the size of its record; `object_bytes` has one size for each record that becomes an object.
    """

    origin: Origin
    body: Result | DeadLetter
    made_at: datetime
    object_keys: tuple[str, ...] = ()
    source: str | None = None  # None: the record has no key
    row_bytes: int = 0
    object_bytes: tuple[int, ...] = ()

    @property
    def pipeline(self) -> str:
        """The pipeline whose frame it answers."""
        return topics.pipeline_of(self.origin.topic) or ""


class _Ledger:
    """One pipeline's figures."""

    def __init__(self) -> None:
        self.sent = self.results = self.letters = self.detections = 0
        self.latencies_s: deque[float] = deque(maxlen=_LATENCIES)
        self.last: tuple[str, Result] | None = None
        self.first_answer_at: float | None = None

    def count(self, answer: Answer) -> None:
        if isinstance(answer.body, Result):
            self.results += 1
            self.detections += len(answer.body.detections or ())
        else:
            self.letters += 1

    def match(self, frame: SentFrame, answer: Answer, now: float) -> float:
        self.first_answer_at = self.first_answer_at or now
        if isinstance(answer.body, Result):
            self.last = (frame.sample.name, answer.body)
        latency_s = max((answer.made_at - frame.sent_at).total_seconds(), 0.0)
        self.latencies_s.append(latency_s)
        return latency_s

    def books(self) -> PipelineBooks:
        return PipelineBooks(
            self.sent,
            self.results,
            self.letters,
            self.detections,
            tuple(self.latencies_s),
            self.last,
            self.first_answer_at,
        )


class Tally:
    """Keeps every frame and every answer until the end, when they are compared. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ledgers: dict[str, _Ledger] = {}
        self._handed_over_bytes = 0
        self._answered_bytes = 0
        self._matched = 0
        self._records: dict[Place, list[int]] = {}  # sizes of what sinks have to store, in the order of the answers
        self._sent: dict[Origin, SentFrame] = {}
        self._answers: list[Answer] = []
        self._answered: dict[Origin, Answer] = {}
        self._refused: list[tuple[Sample, InputError]] = []
        self._object_keys: set[str] = set()
        self._drawn: dict[tuple[str, str], Result] = {}
        self._newest_results: deque[tuple[str, str, Result]] = deque(maxlen=_SHOWN)
        self._newest_letters: deque[tuple[str, str, DeadLetter]] = deque(maxlen=_SHOWN)
        self._latencies_s: deque[float] = deque(maxlen=_LATENCIES)
        self._moments: deque[float] = deque(maxlen=1000)
        self._first_answer_at: float | None = None

    def handed_over(self, sample: Sample) -> None:
        """Note that a frame goes to the broker."""
        with self._lock:
            self._handed_over_bytes += _size(sample)

    def sent(self, frame: SentFrame) -> None:
        """Note that the broker has a frame."""
        with self._lock:
            self._sent[frame.origin] = frame
            self._ledger(topics.pipeline_of(frame.origin.topic) or "").sent += 1
            answer = self._answered.get(frame.origin)
            if answer is not None:  # it was quicker than the acknowledgement
                self._match(frame, answer)

    def refused(self, sample: Sample, error: InputError) -> None:
        """Note that the broker does not take a frame."""
        with self._lock:
            self._handed_over_bytes -= _size(sample)
            self._refused.append((sample, error))

    def answered(self, answer: Answer) -> None:
        """Note a result or a dead letter."""
        with self._lock:
            self._answers.append(answer)
            self._object_keys.update(answer.object_keys)
            self._ledger(answer.pipeline).count(answer)
            self._records.setdefault((ROWS, answer.pipeline), []).append(answer.row_bytes)
            self._records.setdefault((OBJECTS, answer.pipeline), []).extend(answer.object_bytes)
            if answer.origin in self._answered:
                return  # a second answer: the verification at the end will say so
            self._answered[answer.origin] = answer
            frame = self._sent.get(answer.origin)
            if frame is not None:
                self._match(frame, answer)
            elif answer.source is not None and is_guest(answer.source):
                self._show(answer.source, _GUEST_PICTURE, answer.body)

    def unanswered_bytes(self) -> int:
        """Return how many bytes are on their way to a worker."""
        with self._lock:
            return self._handed_over_bytes - self._answered_bytes

    def unstored_bytes(self, stored: Mapping[Place, int]) -> int:
        """Return how many bytes are answered but, by the count of records that each sink has stored, in hand.

        Of the sinks of one pipeline the slower one counts.
        """
        with self._lock:
            in_hand = {place: sum(sizes[stored.get(place, 0) :]) for place, sizes in self._records.items()}
        pipelines = {pipeline for _, pipeline in in_hand}
        return sum(max(in_hand.get((sink, pipeline), 0) for sink in (ROWS, OBJECTS)) for pipeline in pipelines)

    def all_stored(self, stored: Mapping[Place, int]) -> bool:
        """Tell whether every sink has stored every record that the answers so far gave it."""
        with self._lock:
            return all(stored.get(place, 0) >= len(sizes) for place, sizes in self._records.items())

    def object_keys(self) -> set[str]:
        """Return the names of the objects that the answers so far promise."""
        with self._lock:
            return set(self._object_keys)

    def drawn(self) -> dict[tuple[str, str], Result]:
        """Return the newest result that has artifacts for each picture of ours, by pipeline and name."""
        with self._lock:
            return dict(self._drawn)

    def books(self) -> Books:
        """Return what is known now."""
        with self._lock:
            return Books(
                sent=len(self._sent),
                results=sum(ledger.results for ledger in self._ledgers.values()),
                dead_letters=sum(ledger.letters for ledger in self._ledgers.values()),
                in_flight=len(self._sent) - self._matched,
                rate=self._rate(time.monotonic()),
                latencies_s=tuple(self._latencies_s),
                newest_results=tuple(reversed(self._newest_results)),
                newest_letters=tuple(reversed(self._newest_letters)),
                first_answer_at=self._first_answer_at,
                pipelines={name: ledger.books() for name, ledger in self._ledgers.items()},
            )

    def everything(self) -> tuple[list[SentFrame], list[Answer], list[tuple[Sample, InputError]]]:
        """Return all frames sent, all answers read, and all frames that the broker refused."""
        with self._lock:
            return list(self._sent.values()), list(self._answers), list(self._refused)

    def _ledger(self, pipeline: str) -> _Ledger:
        return self._ledgers.setdefault(pipeline, _Ledger())

    def _match(self, frame: SentFrame, answer: Answer) -> None:
        now = time.monotonic()
        if self._first_answer_at is None:
            self._first_answer_at = now
        self._matched += 1
        self._answered_bytes += _size(frame.sample)
        self._moments.append(now)
        self._latencies_s.append(self._ledger(answer.pipeline).match(frame, answer, now))
        if isinstance(answer.body, Result) and answer.body.artifacts:
            self._drawn[answer.pipeline, frame.sample.name] = answer.body
        self._show(frame.source, frame.sample.name, answer.body)

    def _show(self, camera: str, picture: str, body: Result | DeadLetter) -> None:
        if isinstance(body, Result):
            self._newest_results.append((camera, picture, body))
        else:
            self._newest_letters.append((camera, picture, body))

    def _rate(self, now: float) -> float:
        if self._first_answer_at is None:
            return 0.0
        window = min(_RATE_OVER_S, max(now - self._first_answer_at, 0.5))
        return sum(moment > now - window for moment in self._moments) / window


def _size(sample: Sample) -> int:
    return len(sample.value or b"")
