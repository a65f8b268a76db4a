"""The work of `sightline publish`."""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from schemas import topics
from schemas.errors import ConfigurationError, InputError
from schemas.frame import Origin
from schemas.identity import sha256_hex
from schemas.message import Message
from sightline.cli.files import PictureFile, expand, media_type, read_picture
from sightline.cli.output import print_json, print_note
from sightline.cli.pipelines import load_definition, pipeline_names
from sightline.runtime.objectstore import ObjectStore, open_store
from sightline.runtime.settings import Settings
from streams.publish import FramePublisher, NewFrame, frame_message

# Of a pipeline that is not known here, this much of one file is read at most.
_LIMIT_BYTES = 256 * 1024 * 1024
_ID_LENGTH = 32


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be published, and how."""

    pipeline: str
    source: str
    id_prefix: str
    extensions: Mapping[str, str]
    rate: float | None
    repeat: int

    @property
    def topic(self) -> str:
        """The topic that the frames go to."""
        return topics.frames(self.pipeline)


class Publishing:
    """One run of `sightline publish`. Counts what was delivered and what was not."""

    def __init__(self, plan: Plan, settings: Settings, *, timeout_s: float, as_json: bool) -> None:
        """Raise ConfigurationError when the source cannot be one."""
        if not plan.source.isprintable() or not plan.id_prefix.isprintable():
            raise ConfigurationError("--camera, --id-prefix", "must not hold control characters")
        self._plan = plan
        self._settings = settings
        self._timeout_s = timeout_s
        self._as_json = as_json
        self._store = _store(settings)
        self._max_bytes = _max_bytes(plan.pipeline, settings)
        self.delivered = 0
        self.failed = 0

    def run(self, paths: Sequence[str]) -> None:
        """Publish everything and wait until it is delivered.

        A picture that cannot be published is reported and counted. Raises OutageError.
        """
        files = list(expand(paths)) * self._plan.repeat
        count = len(files) // self._plan.repeat
        with closing(FramePublisher(self._settings.kafka, timeout_s=self._timeout_s)) as publisher:
            publisher.check_topic(self._plan.pipeline)
            pace = _Pace(self._plan.rate)
            for index, path in enumerate(_with_progress(files)):
                self._publish(publisher, path, index // count)
                pace.wait(publisher)
            publisher.flush()

    def _publish(self, publisher: FramePublisher, path: str, turn: int) -> None:
        try:
            picture = read_picture(path, self._max_bytes)
            frame = self._frame(path, picture, turn)
            message = frame_message(frame, self._store)
        except InputError as error:
            self._report_failure(path, error)
        else:
            publisher.publish(message, partial(self._report, path, frame.event_id, message))

    def _frame(self, path: str, picture: PictureFile, turn: int) -> NewFrame:
        return NewFrame(
            pipeline=self._plan.pipeline,
            event_id=self._plan.id_prefix + _event_id(Path(path).name, picture.data, turn),
            source=self._plan.source,
            media_type=media_type(path, picture.data),
            data=picture.data,
            captured_at=picture.captured_at,
            extensions=self._plan.extensions,
        )

    def _report(self, path: str, event_id: str, message: Message, delivered: Origin | InputError) -> None:
        if isinstance(delivered, InputError):
            self._report_failure(path, delivered)
            return
        self.delivered += 1
        if self._as_json:
            facts = {"partition": delivered.partition, "offset": delivered.offset, "claimed": message.value is None}
            print_json({"file": path, "event_id": event_id, "topic": delivered.topic} | facts)

    def _report_failure(self, path: str, error: InputError) -> None:
        self.failed += 1
        if self._as_json:
            facts: dict[str, Any] = {"code": error.code.value, "stage": error.stage.value, "reason": error.reason}
            print_json({"file": path, "error": facts})
        else:
            print_note(f"{path}: {error}")


class _Pace:
    """Keeps to a rate by the time since the start, so that a slow moment is caught up."""

    def __init__(self, rate: float | None) -> None:
        self._rate = rate
        self._started = time.monotonic()
        self._count = 0

    def wait(self, publisher: FramePublisher) -> None:
        """Take acknowledgements until the next frame is due."""
        self._count += 1
        if self._rate is None:
            return
        due = self._started + self._count / self._rate
        while (left := due - time.monotonic()) > 0:
            publisher.poll(left)


def _event_id(name: str, data: bytes, turn: int) -> str:
    """Name an event: the same content under the same name is the same one, from wherever it is published."""
    event_id = sha256_hex(f"{name}\0{sha256_hex(data)}".encode("utf-8", "surrogateescape"))[:_ID_LENGTH]
    return f"{event_id}-{turn}" if turn else event_id


def _store(settings: Settings) -> ObjectStore | None:
    return None if settings.objects.url is None else open_store(settings.objects.url, settings.s3)


def _max_bytes(pipeline: str, settings: Settings) -> int:
    known = pipeline in pipeline_names(settings)
    return load_definition(pipeline, settings).input.max_bytes if known else _LIMIT_BYTES


def _with_progress(files: Sequence[str]) -> Iterator[str]:
    """Show a bar on a terminal; elsewhere nothing."""
    console = Console(stderr=True)
    columns = (TextColumn("publishing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not sys.stderr.isatty()) as progress:
        yield from progress.track(files)
