"""The demo from start to end: services, processes, camera; then the books are closed and compared."""

import threading
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from processors.pipelines import load_builtin
from schemas import topics
from schemas.errors import SightlineError
from sightline.demo.display import Display
from sightline.demo.exhibits import Exhibit, find_exhibits, note_on
from sightline.demo.flow import Flow, Options, Stage
from sightline.demo.folder import demo_folder, write_env_file
from sightline.demo.sample import CIVIC
from sightline.demo.samples import draw_samples
from sightline.demo.signals import terminated_as_interrupted
from sightline.demo.summary import album_lines, summary_lines
from sightline.demo.system import OBJECTS, ROWS, WORKER, System
from sightline.demo.verify import verify
from sightline.runtime.services.embedded import Embedded, require_extra
from sightline.runtime.settings import load_settings
from sinks.postgres.upgrade import upgrade


def run_demo(options: Options, display: Display) -> None:
    """Run the demo; it has succeeded when everything that was sent came out right.

    Raises VerificationError when it did not, ConfigurationError, OutageError when a service or process does not
    come up or ends, KeyboardInterrupt before the flow has begun. However it ends, nothing is left running.
    """
    require_extra()
    exhibits = find_exhibits(options.models) if options.with_models else ()
    with demo_folder(options.folder) as folder, terminated_as_interrupted():
        with ExitStack() as stack:
            flow = _start(options, exhibits, display, folder, stack)
            evidence = flow.run(options.seconds)
            findings = verify(evidence)
        for text in summary_lines(evidence, findings, flow.tally.books(), flow.stage.began):
            display.note(text)
        for text in album_lines(flow.album, exhibits):
            display.note(text)
        if findings:
            raise VerificationError(folder)


class VerificationError(SightlineError):
    """What came out is not what was sent."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"not everything that was sent came out right; logs are in {folder / 'logs'}")


def _start(options: Options, exhibits: Sequence[Exhibit], display: Display, folder: Path, stack: ExitStack) -> Flow:
    """Start everything side by side as far as it can be; `stack` ends it in the opposite order."""
    began = time.monotonic()
    display.note(f"sightline demo, in {folder}")
    note = note_on(exhibits)
    if note is not None and options.with_models:
        display.note(note)
    drawing = stack.enter_context(ThreadPoolExecutor(1)).submit(draw_samples, options.seed)
    display.note("starting broker, database, object store, worker, sinks ...")
    system = System(CIVIC, [exhibit.pipeline for exhibit in exhibits], folder / "logs")
    own = {"SIGHTLINE_MODELS_CACHE": str(folder / "models")}
    services = Embedded(folder, _topics(exhibits), on_broker=lambda known: system.start(WORKER, known | own))
    stack.callback(services.stop)
    stack.callback(system.stop)
    environ = services.start().settings() | own
    env_file = write_env_file(folder, environ)
    for name in (ROWS, OBJECTS):
        system.start(name, environ)
    settings = load_settings(environ)
    upgrade(settings.database_url())
    flow = Flow(Stage(system, settings, environ, folder, exhibits, began), display, drawing.result(), options)
    stack.callback(flow.stop)
    system.wait_ready(WORKER, threading.Event())  # or the first frames would tell how long joining a group takes
    flow.start(_hints(folder, env_file, exhibits))
    return flow


def _topics(exhibits: Iterable[Exhibit]) -> list[str]:
    names = [topics.ALERTS]
    for pipeline in (CIVIC, *(exhibit.pipeline for exhibit in exhibits)):
        names += [kind(pipeline) for kind in (topics.frames, topics.results, topics.dead_letters, topics.artifacts)]
        names += [topics.activations(pipeline, role) for role in load_builtin(pipeline).models]
    return names


def _hints(folder: Path, env_file: Path, exhibits: Sequence[Exhibit]) -> tuple[tuple[str, str], ...]:
    query = "select source, verdict, score from current_results limit 9"
    with_models = (
        ("  what the models saw", str(folder / "overlays")),
        ("  which models answer", "sightline models status gesture"),
    )
    return (
        ("in another terminal:", f". {env_file}"),
        ("  what failed, and why", "sightline deadletters list"),
        ("  results as they come", "sightline results civic"),
        ("  rows", f'psql "$SIGHTLINE_DATABASE_URL" -c "{query}"'),
        ("  pictures kept, originals", str(folder / "objects")),
        *(with_models if exhibits else ()),
        ("  photos of your own", "sightline run civic FOLDER"),
    )
