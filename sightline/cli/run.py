"""`sightline run`: a pipeline on files, without a broker."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import cv2
import typer

from processors.budget import PixelBudget
from processors.emr import emr_json
from processors.outcome import Artifact, Context, Failure, Outcome, Success
from processors.pipeline import process
from processors.thresholds import resolve_thresholds
from schemas import identity
from schemas.errors import Code, ConfigurationError, InputError, Stage
from schemas.frame import Frame, FrameSettings, Origin
from schemas.modelcard import Thresholds
from schemas.pipeline import PipelineDefinition
from schemas.result import Result
from sightline.cli.exits import WORK_FAILED
from sightline.cli.files import expand, read_picture
from sightline.cli.loading import max_frames, pinned_models
from sightline.cli.options import AsJson
from sightline.cli.output import print_json, print_json_text, print_line
from sightline.cli.pipelines import load_definition
from sightline.cli.start import start
from sightline.runtime.clock import SystemClock
from sightline.runtime.log import get_logger

_LINE = "{:<10} {:>5}  {}{}"
Form = Literal["text", "json", "emr"]
# In the EMR form an empty list would read as "nothing found", where nobody looked.
_UNSEEN = {"code": "not_analysed", "stage": "quality", "reason": "no model has seen the picture"}


@dataclass(frozen=True, slots=True)
class Answered:
    """A file's result, and what was drawn for it."""

    result: Result
    artifacts: tuple[Artifact, ...]


# One file's answer: its path, and its result or why it has none.
Answers = Iterator[tuple[str, Answered | InputError]]


def run(  # noqa: PLR0913 -- each is an option of the command
    *,
    pipeline: Annotated[str, typer.Argument(help="A pipeline's name, or its YAML file.")],
    files: Annotated[list[str], typer.Argument(help="Files, folders, patterns; - is standard input.")],
    model: Annotated[
        list[str] | None,
        typer.Option(help="A model's folder or .onnx file; ROLE=… where the pipeline has several. Repeatable."),
    ] = None,
    confidence: Annotated[float | None, typer.Option(min=0, max=1, help="Detections must be above this.")] = None,
    iou: Annotated[float | None, typer.Option(min=0, max=1, help="Boxes of a class that overlap more are one.")] = None,
    size: Annotated[int | None, typer.Option(min=32, max=4096, help="Another side of the model's input.")] = None,
    overlay: Annotated[
        Path | None, typer.Option(help="Write each picture with what was found into this folder.")
    ] = None,
    as_json: AsJson = False,
    emr: Annotated[
        bool, typer.Option("--emr", help="Write JSON lines in the form that hospital systems read.")
    ] = False,
) -> None:
    """Run a pipeline on files, exactly as a worker would, without any service.

    A file that fails is reported, the rest go on, and the exit code is 1 at the end.

    Examples: [bold]sightline run civic photos/[/bold], [bold]sightline run civic --json '**/*.jpg'[/bold],
    [bold]sightline run banana --model demo_models/demo-banana --overlay drawn/ photos/[/bold]
    """
    settings = start()
    definition = load_definition(pipeline, settings)
    # There is nowhere to keep a picture, so a result must not say that it was kept.
    asked = FrameSettings(confidence=confidence, iou=iou, overlay=overlay is not None, keep=False)
    _check_bounds(asked, definition)
    models = pinned_models(definition, model or [], settings, size)
    cv2.setNumThreads(settings.worker.opencv_threads)
    pixels = PixelBudget(settings.worker.decoded_pixels)
    context = Context(definition, SystemClock().now, time.perf_counter, pixels, models.lineup)
    answers = _drawn(_answers(expand(files), context, asked, max_frames(definition, settings)), overlay)
    form: Form = "emr" if emr else "json" if as_json else "text"
    failed = _print_answers(answers) if form == "text" else _print_lines(answers, form)
    if failed:
        raise typer.Exit(WORK_FAILED)


def _check_bounds(asked: FrameSettings, definition: PipelineDefinition) -> None:
    """Raise ConfigurationError for what no file could be judged by."""
    try:
        resolve_thresholds(asked, definition.inference, Thresholds())
    except InputError as error:
        raise ConfigurationError("--confidence, --iou", error.reason) from None


def _answers(paths: Iterator[str], context: Context, asked: FrameSettings, limit: int) -> Answers:
    """Answer for each file, in order, one batch of bounded size after another."""
    for batch in _batches(paths, context.pipeline, asked, limit):
        frames = [item for item in batch if not isinstance(item, tuple)]
        outcomes = iter(_process(frames, context))
        for item in batch:
            if isinstance(item, tuple):
                yield item
                continue
            outcome = next(outcomes)
            if isinstance(outcome, Success):
                # There is no record that this result answers.
                result = outcome.result.model_copy(update={"origin": None})
                yield item.source, Answered(result, outcome.artifacts)
            else:
                yield item.source, outcome.error


def _drawn(answers: Answers, folder: Path | None) -> Answers:
    """Write overlays as they come; their keys become paths. Raises ConfigurationError when the folder cannot be had."""
    if folder is not None:
        _make(folder)
    for source, answer in answers:
        if folder is None or isinstance(answer, InputError):
            yield source, answer
        else:
            yield source, _write_overlays(source, answer, folder)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError("--overlay", f"{folder}: {error.strerror}") from None


def _write_overlays(source: str, answer: Answered, folder: Path) -> Answered:
    references = []
    for artifact, reference in zip(answer.artifacts, answer.result.artifacts or (), strict=True):
        # Files of one name may come from several folders: the content's hash keeps them apart.
        path = folder / f"{Path(source).stem}-{artifact.sha256[:8]}{Path(artifact.key).suffix}"
        try:
            path.write_bytes(artifact.data)
        except OSError as error:
            raise ConfigurationError("--overlay", f"{path}: {error.strerror}") from None
        references.append(reference.model_copy(update={"key": str(path)}))
    return Answered(answer.result.model_copy(update={"artifacts": references or None}), answer.artifacts)


def _batches(
    paths: Iterator[str], definition: PipelineDefinition, asked: FrameSettings, limit: int
) -> Iterator[list[Frame | tuple[str, InputError]]]:
    batch: list[Frame | tuple[str, InputError]] = []
    size_bytes = 0
    for path in paths:
        try:
            frame = _frame(path, definition.input.max_bytes, asked)
        except InputError as error:
            batch.append((path, error))
        else:
            batch.append(frame)
            size_bytes += len(frame.value or b"")
        if len(batch) >= limit or size_bytes >= definition.batch.max_bytes:
            yield batch
            batch, size_bytes = [], 0
    if batch:
        yield batch


def _frame(path: str, max_bytes: int, asked: FrameSettings) -> Frame:
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
        settings=asked,
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


def _print_lines(answers: Answers, form: Form) -> int:
    failed = 0
    for source, answer in answers:
        if isinstance(answer, InputError):
            failed += 1
            print_json({"source": source, "error": error_facts(answer)})
        else:
            text = emr_json(answer.result) if form == "emr" else answer.result.to_json()
            if text is None:
                failed += 1
                print_json({"source": source, "error": _UNSEEN})
            else:
                print_json_text(text)
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


def _line(source: str, answer: Answered | InputError) -> str:
    if isinstance(answer, InputError):
        return _LINE.format("failed", "", source, f"  {answer}")
    result = answer.result
    checks = result.quality.checks if result.quality is not None else []
    found = Counter(detection.class_name for detection in result.detections or ())
    said = [f"{count} {name}" for name, count in found.items()]
    said += [check.reason for check in checks if not check.passed]
    score = "" if result.score is None else f"{result.score:.1f}"
    return _LINE.format(result.verdict or result.kind, score, source, "".join(f"  {text}" for text in said))


def error_facts(error: InputError) -> dict[str, str]:
    """Return an error as machines read it."""
    return {"code": error.code.value, "stage": error.stage.value, "reason": error.reason}
