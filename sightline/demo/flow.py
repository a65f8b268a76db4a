"""The demo's flow: frames out, answers in, until it is time to compare."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Engine, func, select

from sightline.demo.activate import Activation
from sightline.demo.album import Album
from sightline.demo.background import Background, Work
from sightline.demo.camera import Camera
from sightline.demo.display import Display
from sightline.demo.evidence import collect
from sightline.demo.exhibits import Exhibit, load_samples
from sightline.demo.facts import Evidence
from sightline.demo.reader import Reader
from sightline.demo.sample import CIVIC
from sightline.demo.samples import Samples, in_turn
from sightline.demo.signals import interruptible
from sightline.demo.system import System
from sightline.demo.tally import Tally
from sightline.demo.verify import verify
from sightline.demo.view import Shown
from sightline.demo.watch import Watch
from sightline.runtime.database import database_engine, transaction
from sightline.runtime.objectstore import open_store
from sightline.runtime.settings import Settings

_LOOK_EVERY_S = 0.1
# After the camera has stopped: the demo gives up waiting when nothing at all has moved for this long.
_DRAIN_STANDSTILL_S = 20.0
# What is merely late is not lost: a finding must last this long.
_SECOND_LOOK_S = 3.0


@dataclass(frozen=True, slots=True)
class Options:
    """What can be chosen. `seconds` of flow; None: until Ctrl-C. `folder`: None is a temporary one.

    `models`: the folder of the demo models; None is the checkout's, where there is one.
    """

    seconds: float | None
    rate: float
    folder: Path | None
    seed: int
    models: Path | None = None
    with_models: bool = True


@dataclass(frozen=True, slots=True)
class Stage:
    """What the flow runs on: the processes, how they reach the services, and what is shown. `began`: monotonic."""

    system: System
    settings: Settings
    environ: Mapping[str, str]
    folder: Path
    exhibits: Sequence[Exhibit]
    began: float

    @property
    def pipelines(self) -> tuple[str, ...]:
        """All pipelines that get frames."""
        return (CIVIC, *(exhibit.pipeline for exhibit in self.exhibits))


class Flow:
    """Frames out, answers in, until it is time to compare."""

    def __init__(self, stage: Stage, display: Display, samples: Samples, options: Options) -> None:
        self.tally = Tally()
        self.stage = stage
        self._display = display
        self._samples = samples
        self._options = options
        self._engine = database_engine(stage.settings.database_url(), application_name="sightline-demo")
        self._store = open_store(stage.settings.objects_url(), stage.settings.s3)
        self.album = Album(self.tally, self._store, stage.folder)
        self._activation = Activation(stage.exhibits, stage.settings, stage.system, stage.environ)
        self._parts: dict[str, Background] = {}

    def start(self, hints: tuple[tuple[str, str], ...]) -> None:
        """Start watch, reader and camera; and beside them bring in the models."""
        stage = self.stage
        self._hints = hints
        self._since = _database_time(self._engine)
        self._watch = Watch(
            stage.pipelines, stage.system, self._engine, self._store, self.tally, since=self._since
        )  # fmt: skip
        reader = Reader(stage.settings.kafka, stage.pipelines, self.tally)
        self._start("watch", self._watch.run)
        self._start("reader", reader.run)
        self._start("camera", self._camera().run)
        if stage.exhibits:
            self._start("activation", self._activation.run)
            self._start("album", self.album.run)

    def run(self, seconds: float | None) -> Evidence:
        """Let it flow, stop the camera, wait until all is stored, and return what is found then.

        The seconds begin when all pipelines take frames.
        """
        with interruptible() as asked:
            while not asked.to_end and not self._all_ready():
                self._look("the models are being loaded")
                time.sleep(_LOOK_EVERY_S)
            began = time.monotonic()
            while not asked.to_end and (seconds is None or time.monotonic() - began < seconds):
                self._look("Ctrl-C ends" if seconds is None else f"ends after {seconds:.0f} s")
                time.sleep(_LOOK_EVERY_S)
        self._parts["camera"].stop()
        self._drain()
        self._display.close()
        evidence = self._collect()
        if verify(evidence):
            time.sleep(_SECOND_LOOK_S)
            evidence = self._collect()
        self._keep_overlays()
        return evidence

    def stop(self) -> None:
        """End whatever runs; may be called at any time, and again."""
        self._display.close()
        for part in reversed(self._parts.values()):
            part.stop()
        self._engine.dispose()

    def _start(self, name: str, work: Work) -> None:
        part = self._parts[name] = Background(name, work)
        part.start()

    def _camera(self) -> Camera:
        seed = self._options.seed
        others = [load_samples(one).in_order(seed + number) for number, one in enumerate(self.stage.exhibits)]
        return Camera(
            self.stage.settings.kafka,
            in_turn(self._samples.in_order(seed), others, ready=self._all_ready),
            self.tally,
            rate=self._options.rate,
            stored=self._watch.stored,
        )

    def _all_ready(self) -> bool:
        return not self.stage.exhibits or self._activation.ready

    def _collect(self) -> Evidence:
        return collect(
            self.tally,
            self._engine,
            self._store,
            self.stage.pipelines,
            self._since,
            models=self._activation.digests,
        )

    def _keep_overlays(self) -> None:
        if "album" in self._parts:
            self._parts["album"].stop()
            self.album.update()

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
        stored = sum(progress.stored.values())
        return books.sent, books.results, books.dead_letters, progress.rows, progress.objects, stored

    def _settled(self) -> bool:
        books, progress = self.tally.books(), self._watch.progress
        return (
            books.in_flight == 0
            and progress.rows >= books.results + books.dead_letters
            and self.tally.all_stored(progress.stored)
            and progress.objects >= len(self.tally.object_keys())
        )

    def _look(self, state: str) -> None:
        for part in self._parts.values():
            part.check()
        elapsed_s = time.monotonic() - self.stage.began
        self._display.show(
            Shown(elapsed_s, self.tally.books(), self._watch.progress, self._hints, self.stage.pipelines, state)
        )


def _database_time(engine: Engine) -> datetime:
    with transaction(engine) as connection:
        now: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
        return now
