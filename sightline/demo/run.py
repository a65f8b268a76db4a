"""The demo from start to end: services, processes, camera; then the books are closed and compared."""

import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import FrameType

from sqlalchemy import Engine, func, select

from schemas import topics
from schemas.errors import SightlineError
from sightline.demo.camera import Camera
from sightline.demo.display import Display
from sightline.demo.evidence import collect
from sightline.demo.folder import demo_folder, write_env_file
from sightline.demo.reader import Reader
from sightline.demo.samples import Samples, draw_samples
from sightline.demo.summary import summary_lines
from sightline.demo.system import OBJECTS, ROWS, WORKER, System
from sightline.demo.tally import Tally
from sightline.demo.verify import Evidence, verify
from sightline.demo.view import Shown
from sightline.demo.watch import Watch
from sightline.runtime.database import database_engine, transaction
from sightline.runtime.objectstore import open_store
from sightline.runtime.services.embedded import Embedded, require_extra
from sightline.runtime.settings import Settings, load_settings
from sinks.postgres.upgrade import upgrade

PIPELINE = "civic"
_TOPICS = (
    topics.frames(PIPELINE),
    topics.results(PIPELINE),
    topics.dead_letters(PIPELINE),
    topics.artifacts(PIPELINE),
    topics.ALERTS,
)
_LOOK_EVERY_S = 0.1
# After the camera has stopped: the demo gives up waiting when nothing at all has moved for this long.
_DRAIN_STANDSTILL_S = 20.0


@dataclass(frozen=True, slots=True)
class Options:
    """What can be chosen. `seconds` of flow; None: until Ctrl-C. `folder`: None is a temporary one."""

    seconds: float | None
    rate: float
    folder: Path | None
    seed: int


def run_demo(options: Options, display: Display) -> None:
    """Run the demo; it has succeeded when everything that was sent came out right.

    Raises VerificationError when it did not, ConfigurationError, OutageError when a service or process does not
    come up or ends, KeyboardInterrupt before the flow has begun. However it ends, nothing is left running.
    """
    require_extra()
    with demo_folder(options.folder) as folder, _terminated_as_interrupted():
        with ExitStack() as stack:
            flow = _start(options, display, folder, stack)
            evidence = flow.run(options.seconds)
            findings = verify(evidence)
        for text in summary_lines(evidence, findings, flow.tally.books(), flow.first_answer_s()):
            display.note(text)
        if findings:
            raise VerificationError(folder)


class VerificationError(SightlineError):
    """What came out is not what was sent."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"not everything that was sent came out right; logs are in {folder / 'logs'}")


def _start(options: Options, display: Display, folder: Path, stack: ExitStack) -> "_Flow":
    """Start everything side by side as far as it can be; `stack` ends it in the opposite order."""
    began = time.monotonic()
    display.note(f"sightline demo, in {folder}")
    drawing = stack.enter_context(ThreadPoolExecutor(1)).submit(draw_samples, options.seed)
    display.note("starting broker, database, object store, worker, sinks ...")
    system = System(PIPELINE, folder / "logs")
    services = Embedded(folder, _TOPICS, on_broker=lambda known: system.start(WORKER, known))
    stack.callback(services.stop)
    stack.callback(system.stop)
    environ = services.start().settings()
    env_file = write_env_file(folder, environ)
    for name in (ROWS, OBJECTS):
        system.start(name, environ)
    settings = load_settings(environ)
    upgrade(settings.database_url())
    flow = _Flow(settings, display, drawing.result(), options, began)
    stack.callback(flow.stop)
    system.wait_ready(WORKER)  # or the first frames would tell how long joining a group takes
    flow.start(system, _hints(folder, env_file))
    return flow


def _hints(folder: Path, env_file: Path) -> tuple[tuple[str, str], ...]:
    query = "select source, verdict, score from current_results limit 9"
    return (
        ("in another terminal:", f". {env_file}"),
        ("  what failed, and why", "sightline deadletters list"),
        ("  results as they come", "sightline results civic"),
        ("  rows", f'psql "$SIGHTLINE_DATABASE_URL" -c "{query}"'),
        ("  pictures kept, originals", str(folder / "objects")),
        ("  photos of your own", "sightline run civic FOLDER"),
    )


class _Flow:
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
        with _interruptible() as asked_to_end:
            began = time.monotonic()
            while not asked_to_end.wait(_LOOK_EVERY_S) and (seconds is None or time.monotonic() - began < seconds):
                self._look("Ctrl-C ends" if seconds is None else f"ends after {seconds:.0f} s")
        self._camera.stop()
        self._drain()
        self._display.close()
        return collect(self.tally, self._engine, self._store, PIPELINE, self._since)

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
        return (
            books.in_flight == 0
            and progress.rows >= books.sent
            and progress.stored >= books.sent
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


@contextmanager
def _interruptible() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C or SIGTERM into an event; a second one interrupts as ever."""
    event = threading.Event()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        event.set()
        restore()

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield event
    finally:
        restore()


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the demo as Ctrl-C does, so that everything is stopped."""
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
