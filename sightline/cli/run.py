"""`sightline run`: a pipeline on files, without a broker."""

import time
from collections.abc import Iterator, Sequence
from typing import Annotated

import cv2
import typer

from processors.budget import PixelBudget
from processors.outcome import Context, Failure, Outcome, Success
from processors.pipeline import process
from schemas import identity
from schemas.errors import Code, InputError, Stage
from schemas.frame import Frame, FrameSettings, Origin
from schemas.pipeline import PipelineDefinition
from schemas.result import Result
from sightline.cli.exits import WORK_FAILED
from sightline.cli.files import expand, read_picture
from sightline.cli.options import AsJson
from sightline.cli.output import print_json, print_json_text, print_line
from sightline.cli.pipelines import load_definition
from sightline.cli.start import start
from sightline.runtime.clock import SystemClock
from sightline.runtime.log import get_logger
from sightline.runtime.settings import Settings

_LINE = "{:<10} {:>5}  {}{}"
# One file's answer: its path, and its result or why it has none.
Answers = Iterator[tuple[str, Result | InputError]]


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
    settings = start()
    definition = load_definition(pipeline, settings)
    context = _context(definition, settings)
    answers = _answers(expand(files), context)
    failed = _print_lines(answers) if as_json else _print_answers(answers)
    if failed:
        raise typer.Exit(WORK_FAILED)


def _context(definition: PipelineDefinition, settings: Settings) -> Context:
    cv2.setNumThreads(settings.worker.opencv_threads)
    return Context(definition, SystemClock().now, time.perf_counter, PixelBudget(settings.worker.decoded_pixels))


def _answers(paths: Iterator[str], context: Context) -> Answers:
    """Answer for each file, in order, one batch of bounded size after another."""
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


def _batches(paths: Iterator[str], definition: PipelineDefinition) -> Iterator[list[Frame | tuple[str, InputError]]]:
    batch: list[Frame | tuple[str, InputError]] = []
    size_bytes = 0
    for path in paths:
        try:
            frame = _frame(path, definition.input.max_bytes)
        except InputError as error:
            batch.append((path, error))
        else:
            batch.append(frame)
            size_bytes += len(frame.value or b"")
        if len(batch) >= definition.batch.max_frames or size_bytes >= definition.batch.max_bytes:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


def _frame(path: str, max_bytes: int) -> Frame:
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


def _process(frames: Sequence[Frame], context: Context) -> list[Outcome]:
    """Process a batch; one that fails in a way that nobody foresaw is tried frame by frame, as a worker does."""
    if not frames:
        return []
    try:
        return process(frames, context)
    except Exception:  # noqa: BLE001 -- whatever it is, the frame at fault is found below
        return [_process_alone(frame, context) for frame in frames]


def _process_alone(frame: Frame, context: Context) -> Outcome:
    try:
        return process([frame], context)[0]
    except Exception as error:  # noqa: BLE001 -- this picture fails, the others go on
        get_logger(__name__).exception("frame failed", frame_id=frame.frame_id)
        reason = f"{type(error).__name__} on this picture alone"
        return Failure(frame, InputError(Code.PROCESSING_FAILED, Stage.PROCESS, reason))


def _print_lines(answers: Answers) -> int:
    failed = 0
    for source, answer in answers:
        if isinstance(answer, InputError):
            failed += 1
            print_json({"source": source, "error": error_facts(answer)})
        else:
            print_json_text(answer.to_json())
    return failed


def _print_answers(answers: Answers) -> int:
    failed = total = 0
    print_line(_LINE.format("VERDICT", "SCORE", "FILE", ""))
    for source, answer in answers:
        total += 1
        failed += isinstance(answer, InputError)
        print_line(_line(source, answer))
    print_line(f"{total} files, {failed} failed")
    return failed


def _line(source: str, answer: Result | InputError) -> str:
    if isinstance(answer, InputError):
        return _LINE.format("failed", "", source, f"  {answer}")
    checks = answer.quality.checks if answer.quality is not None else []
    reasons = " ".join(check.reason for check in checks if not check.passed)
    score = "" if answer.score is None else f"{answer.score:.1f}"
    return _LINE.format(answer.verdict or "", score, source, f"  {reasons}" if reasons else "")


def error_facts(error: InputError) -> dict[str, str]:
    """Return an error as machines read it."""
    return {"code": error.code.value, "stage": error.stage.value, "reason": error.reason}
