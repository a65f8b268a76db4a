"""`sightline run`: a pipeline on files, without a broker."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.errors import InputError
from sightline.cli.exits import WORK_FAILED
from sightline.cli.options import AsJson
from sightline.cli.output import print_json, print_json_text, print_line, print_table
from sightline.cli.start import start

if TYPE_CHECKING:
    from processors.outcome import Context, Outcome
    from schemas.frame import Frame
    from schemas.pipeline import PipelineDefinition
    from schemas.result import Result
    from sightline.runtime.settings import Settings



def run(
    *,
    pipeline: Annotated[str, typer.Argument(help="A pipeline's name, or its YAML file.")],
    files: Annotated[list[str], typer.Argument(help="Files, folders, patterns; - is standard input.")],
    as_json: AsJson = False,
) -> None:
    """Run a pipeline on files, exactly as a worker would, without any service.

    A file that fails is reported, the rest go on, and the exit code is 1 at the end.

    Examples: [bold]sightline run civic photos/[/bold], [bold]sightline run civic --json '**/*.jpg'[/bold]
    """
    from sightline.cli.files import expand
    from sightline.cli.pipelines import load_definition

    settings = start()
    definition = load_definition(pipeline, settings)
    context = _context(definition, settings)
    answers = _answers(expand(files), context)
    failed = _print_lines(answers) if as_json else _print_answers(answers)
    if failed:
        raise typer.Exit(WORK_FAILED)


def _context(definition: "PipelineDefinition", settings: "Settings") -> "Context":
    import time

    import cv2

    from processors.budget import PixelBudget
    from processors.outcome import Context
    from sightline.runtime.clock import SystemClock

    cv2.setNumThreads(settings.worker.opencv_threads)
    return Context(definition, SystemClock().now, time.perf_counter, PixelBudget(settings.worker.decoded_pixels))


def _answers(paths: Iterator[str], context: "Context") -> "Iterator[tuple[str, Result | InputError]]":
    """Answer for each file, in order, one batch of bounded size after another."""
    from processors.outcome import Success

    for batch in _batches(paths, context.pipeline):
        frames = [item for item in batch if not isinstance(item, tuple)]
        outcomes = iter(_process(frames, context))
        for item in batch:
            if isinstance(item, tuple):
                yield item
                continue
            outcome = next(outcomes)
            if isinstance(outcome, Success):
                # There is no record that this result answers.
                yield item.source, outcome.result.model_copy(update={"origin": None})
            else:
                yield item.source, outcome.error


def _batches(
    paths: Iterator[str], definition: "PipelineDefinition"
) -> "Iterator[list[Frame | tuple[str, InputError]]]":
    batch: list[Frame | tuple[str, InputError]] = []
    size_bytes = 0
    for path in paths:
        try:
            item: Frame | tuple[str, InputError] = _frame(path, definition.input.max_bytes)
        except InputError as error:
            item = path, error
        else:
            size_bytes += len(item.value or b"")
        batch.append(item)
        if len(batch) >= definition.batch.max_frames or size_bytes >= definition.batch.max_bytes:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


def _frame(path: str, max_bytes: int) -> "Frame":
    from schemas import identity
    from schemas.frame import Frame, FrameSettings, Origin
    from sightline.cli.files import read_picture

    picture = read_picture(path, max_bytes)
    sha256 = identity.sha256_hex(picture.data)
    source = path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return Frame(
        frame_id=identity.frame_id(source, source, picture.captured_at, sha256),
        event_id=source,
        source=source,
        captured_at=picture.captured_at,
        origin=Origin("", 0, 0),
        value=picture.data,
        sha256=sha256,
        # There is nowhere to keep a picture, so a result must not say that it was kept.
        settings=FrameSettings(keep=False),
    )


def _process(frames: "Sequence[Frame]", context: "Context") -> "list[Outcome]":
    """Process a batch; one that fails in a way that nobody foresaw is tried frame by frame, as a worker does."""
    from processors.pipeline import process

    if not frames:
        return []
    try:
        return process(frames, context)
    except Exception:  # noqa: BLE001 -- whatever it is, the frame at fault is found below
        return [_process_alone(frame, context) for frame in frames]


def _process_alone(frame: "Frame", context: "Context") -> "Outcome":
    from processors.outcome import Failure
    from processors.pipeline import process
    from schemas.errors import Code, Stage
    from sightline.runtime.log import get_logger

    try:
        return process([frame], context)[0]
    except Exception as error:
        get_logger(__name__).exception("frame failed", frame_id=frame.frame_id)
        reason = f"{type(error).__name__} on this picture alone"
        return Failure(frame, InputError(Code.PROCESSING_FAILED, Stage.PROCESS, reason))


def _print_lines(answers: "Iterator[tuple[str, Result | InputError]]") -> int:
    failed = 0
    for source, answer in answers:
        if isinstance(answer, InputError):
            failed += 1
            print_json({"source": source, "error": error_facts(answer)})
        else:
            print_json_text(answer.to_json())
    return failed


def _print_answers(answers: "Iterator[tuple[str, Result | InputError]]") -> int:
    failed = total = 0
    rows = []
    for source, answer in answers:
        total += 1
        failed += isinstance(answer, InputError)
        rows.append(_row(source, answer))
    print_table(("FILE", "VERDICT", "SCORE", "WHY"), rows)
    print_line(f"{total} files, {failed} failed")
    return failed


def _row(source: str, answer: "Result | InputError") -> tuple[Any, ...]:
    if isinstance(answer, InputError):
        return source, "failed", None, str(answer)
    checks = answer.quality.checks if answer.quality is not None else []
    return source, answer.verdict, answer.score, ", ".join(check.reason for check in checks if not check.passed)


def error_facts(error: InputError) -> dict[str, str]:
    """Return an error as machines read it."""
    return {"code": error.code.value, "stage": error.stage.value, "reason": error.reason}
