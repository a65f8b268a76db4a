"""The demo from start to end: services, processes, camera; then the books are closed and compared."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from schemas import topics
from schemas.errors import SightlineError
from sightline.demo.display import Display
from sightline.demo.flow import PIPELINE, Flow, Options
from sightline.demo.folder import demo_folder, write_env_file
from sightline.demo.samples import draw_samples
from sightline.demo.signals import terminated_as_interrupted
from sightline.demo.summary import summary_lines
from sightline.demo.system import OBJECTS, ROWS, WORKER, System
from sightline.demo.verify import verify
from sightline.runtime.services.embedded import Embedded, require_extra
from sightline.runtime.settings import load_settings
from sinks.postgres.upgrade import upgrade

_TOPICS = (
    topics.frames(PIPELINE),
    topics.results(PIPELINE),
    topics.dead_letters(PIPELINE),
    topics.artifacts(PIPELINE),
    topics.ALERTS,
)


def run_demo(options: Options, display: Display) -> None:
    """Run the demo; it has succeeded when everything that was sent came out right.

    Raises VerificationError when it did not, ConfigurationError, OutageError when a service or process does not
    come up or ends, KeyboardInterrupt before the flow has begun. However it ends, nothing is left running.
    """
    require_extra()
    with demo_folder(options.folder) as folder, terminated_as_interrupted():
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


def _start(options: Options, display: Display, folder: Path, stack: ExitStack) -> Flow:
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
    flow = Flow(settings, display, drawing.result(), options, began)
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
