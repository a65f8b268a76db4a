"""Who was sent, who was answered: the demo's books, kept by several threads."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from schemas.deadletter import DeadLetter
from schemas.errors import InputError
from schemas.frame import Origin
from schemas.result import Result
from sightline.demo.sample import Sample, is_guest

_RATE_OVER_S = 5.0
_LATENCIES = 500
_SHOWN = 60
_GUEST_PICTURE = "your own"


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
    """A result, or a dead letter, as it was read from its topic, with the names of the objects that it promises."""

    origin: Origin
    body: Result | DeadLetter
    made_at: datetime
    object_keys: tuple[str, ...] = ()
    source: str | None = None  # None: the record has no key


@dataclass(frozen=True, slots=True)
class Books:
    """What the tally holds at one moment. The newest answers come first; latencies are in seconds, unsorted."""

    sent: int
    results: int
    dead_letters: int
    in_flight: int
    rate: float
    latencies_s: Sequence[float]
    newest_results: Sequence[tuple[str, str, Result]]  # camera, picture
    newest_letters: Sequence[tuple[str, str, DeadLetter]]
    first_answer_at: float | None


class Tally:
    """Keeps every frame and every answer until the end, when they are compared. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._handed_over_bytes = 0
        self._answered_bytes: list[int] = []  # sizes of answered frames, in the order of their answers
        self._answered_total = 0
        self._sent: dict[Origin, SentFrame] = {}
        self._answers: list[Answer] = []
        self._answered: dict[Origin, Answer] = {}
        self._refused: list[tuple[Sample, InputError]] = []
        self._object_keys: set[str] = set()
        self._results = self._letters = 0
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
            if isinstance(answer.body, Result):
                self._results += 1
            else:
                self._letters += 1
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
            return self._handed_over_bytes - self._answered_total

    def unstored_bytes(self, stored: int) -> int:
        """Return how many bytes are answered but, by the count of records that the slowest sink has stored, in hand."""
        with self._lock:
            return sum(self._answered_bytes[stored:])

    def object_keys(self) -> set[str]:
        """Return the names of the objects that the answers so far promise."""
        with self._lock:
            return set(self._object_keys)

    def books(self) -> Books:
        """Return what is known now."""
        with self._lock:
            return Books(
                sent=len(self._sent),
                results=self._results,
                dead_letters=self._letters,
                in_flight=len(self._sent) - len(self._answered_bytes),
                rate=self._rate(time.monotonic()),
                latencies_s=tuple(self._latencies_s),
                newest_results=tuple(reversed(self._newest_results)),
                newest_letters=tuple(reversed(self._newest_letters)),
                first_answer_at=self._first_answer_at,
            )

    def everything(self) -> tuple[list[SentFrame], list[Answer], list[tuple[Sample, InputError]]]:
        """Return all frames sent, all answers read, and all frames that the broker refused."""
        with self._lock:
            return list(self._sent.values()), list(self._answers), list(self._refused)

    def _match(self, frame: SentFrame, answer: Answer) -> None:
        now = time.monotonic()
        if self._first_answer_at is None:
            self._first_answer_at = now
        self._answered_bytes.append(_size(frame.sample))
        self._answered_total += _size(frame.sample)
        self._moments.append(now)
        self._latencies_s.append(max((answer.made_at - frame.sent_at).total_seconds(), 0.0))
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
