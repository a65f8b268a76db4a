"""The demo's flow: frames out, answers in, until it is time to compare."""

import time
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, func, select

from sightline.demo.camera import Camera
from sightline.demo.display import Display
from sightline.demo.evidence import collect
from sightline.demo.reader import Reader
from sightline.demo.samples import Samples
from sightline.demo.signals import interruptible
from sightline.demo.system import System
from sightline.demo.tally import Tally
from sightline.demo.verify import Evidence, verify
from sightline.demo.view import Shown
from sightline.demo.watch import Watch
from sightline.runtime.database import database_engine, transaction
from sightline.runtime.objectstore import open_store
from sightline.runtime.settings import Settings

PIPELINE = "civic"
_LOOK_EVERY_S = 0.1
# After the camera has stopped: the demo gives up waiting when nothing at all has moved for this long.
_DRAIN_STANDSTILL_S = 20.0
# What is merely late is not lost: a finding must last this long.
_SECOND_LOOK_S = 3.0


@dataclass(frozen=True, slots=True)
class Options:
    """What can be chosen. `seconds` of flow; None: until Ctrl-C. `folder`: None is a temporary one."""

    seconds: float | None
    rate: float
    folder: Path | None
    seed: int


class Flow:
    """Frames out, answers in, until it is time to compare."""

    def __init__(self, settings: Settings, display: Display, samples: Samples, options: Options, began: float) -> None:
        self.tally = Tally()
        self._settings = settings
        self._display = display
        self._samples = samples
        self._options = options
        self._began = began
        self._engine = database_engine(settings.database_url(), application_name="sightline-demo")
        self._store = open_store(settings.objects_url(), settings.s3)
        self._parts: list[Camera | Reader | Watch] = []

    def start(self, system: System, hints: tuple[tuple[str, str], ...]) -> None:
        """Start camera, reader and watch."""
        self._hints = hints
        self._since = _database_time(self._engine)
        self._watch = Watch(PIPELINE, system, self._engine, self._store, self.tally, since=self._since)
        self._camera = Camera(
            self._settings.kafka,
            PIPELINE,
            self._samples.in_order(self._options.seed),
            self.tally,
            rate=self._options.rate,
            stored=self._watch.stored,
        )
        self._parts = [self._camera, Reader(self._settings.kafka, PIPELINE, self.tally), self._watch]
        for part in reversed(self._parts):
            part.start()

    def run(self, seconds: float | None) -> Evidence:
        """Let it flow, stop the camera, wait until all is stored, and return what is found then."""
        with interruptible() as asked_to_end:
            began = time.monotonic()
            while not asked_to_end.wait(_LOOK_EVERY_S) and (seconds is None or time.monotonic() - began < seconds):
                self._look("Ctrl-C ends" if seconds is None else f"ends after {seconds:.0f} s")
        self._camera.stop()
        self._drain()
        self._display.close()
        evidence = self._collect()
        if verify(evidence):
            time.sleep(_SECOND_LOOK_S)
            evidence = self._collect()
        return evidence

    def stop(self) -> None:
        """End whatever runs; may be called at any time, and again."""
        self._display.close()
        for part in self._parts:
            part.stop()
        self._engine.dispose()

    def first_answer_s(self) -> float | None:
        """Return how long after the start the first answer was read."""
        at = self.tally.books().first_answer_at
        return None if at is None else at - self._began

    def _collect(self) -> Evidence:
        return collect(self.tally, self._engine, self._store, PIPELINE, self._since)

    def _drain(self) -> None:
        """Wait until every frame is answered and stored, or nothing has moved for a while: then something is lost."""
        moved, before = time.monotonic(), self._counts()
        while not self._settled() and time.monotonic() - moved < _DRAIN_STANDSTILL_S:
            self._look("waiting for the last answers")
            time.sleep(_LOOK_EVERY_S)
            now = self._counts()
            if now != before:
                moved, before = time.monotonic(), now

    def _counts(self) -> tuple[int, ...]:
        books, progress = self.tally.books(), self._watch.progress
        return books.sent, books.results, books.dead_letters, progress.rows, progress.objects, progress.stored

    def _settled(self) -> bool:
        books, progress = self.tally.books(), self._watch.progress
        answers = books.results + books.dead_letters
        return (
            books.in_flight == 0
            and progress.rows >= answers
            and progress.stored >= answers
            and progress.objects >= len(self.tally.object_keys())
        )

    def _look(self, state: str) -> None:
        for part in self._parts:
            if part.failure is not None:
                raise part.failure
        elapsed_s = time.monotonic() - self._began
        self._display.show(Shown(elapsed_s, self.tally.books(), self._watch.progress, self._hints, state))


def _database_time(engine: Engine) -> datetime:
    with transaction(engine) as connection:
        now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return now
