"""From a training file to models that may replace it: exported, run beside the original, and let through or not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from processors.decode.pictures import Pixels
from processors.infer.interface import EngineError
from processors.infer.model import LoadedModel
from processors.infer.tensorrt import TENSORRT
from schemas.errors import InputError, ModelCode, ModelError
from schemas.modelcard import ModelCard, Task, Thresholds
from sightline.models.benchmark import Speed, measure
from sightline.models.coreml import NOTE, judge_interface
from sightline.models.dataset import DataSet, load_dataset
from sightline.models.evaluate import EVERY_DETECTION, SizedAnswers
from sightline.models.exporting.environment import Environment, describe_failure, run_script
from sightline.models.exporting.recording import read_recording
from sightline.models.gate import Verdict, judge_int8, judge_parity
from sightline.models.local import LocalModel
from sightline.models.parity import FP32, Tolerances
from sightline.models.pictures import read_pixels
from sightline.models.predict import PictureFailedError, predict
from sightline.models.variants import TOLERANCES, Identity, Variant, describe_variant

# Loads weights, ready to run; the flag asks for the TensorRT engine that was built for them.
Load = Callable[[ModelCard, Path, bool], LoadedModel]
# Compiles weights for this machine's GPU, and returns the engine's file; see `sightline.models.engines.build`.
BuildEngine = Callable[[LocalModel], Path]
Timer = Callable[[], float]

PARITY_THRESHOLDS: Final = Thresholds()
# What the original would say if nothing were suppressed: boxes that are all but equal still are.
_CANDIDATE_THRESHOLDS: Final = Thresholds(iou=0.999, max_detections=1000)
_PARITY, _CANDIDATES, _WORTH = "parity", "candidates", "worth"
# Variant and FP32 take turns, so that what else the machine does meets both; the best turn of each counts.
_SPEED_TURNS: Final = 3
_SPEED_SECONDS: Final = 0.7
_SPEED_PICTURES: Final = 4
_ON_ITS_OWN: Final = False
_BATCHES: Final = (1, 4)


@dataclass(frozen=True, slots=True)
class ExportJob:
    """What is asked for. `pictures` are for parity; `labelled` and `calibration` only int8 needs.

    `size` is the side of the model's input in pixels; None is the one that it was trained at.
    """

    weights: Path
    variants: tuple[Variant, ...]
    identity: Identity
    pictures: tuple[Path, ...]
    data: Path | None = None
    labelled: tuple[Path, ...] = ()
    calibration: tuple[tuple[Path, str], ...] = ()
    size: int | None = None
    threads: int = 1
    timeout_s: float = 3600.0


@dataclass(frozen=True, slots=True)
class VariantResult:
    """What became of one variant. Without `path` there is nothing to add: `error` says why.

    `baseline_speeds` are FP32's, measured in turn with `speeds`, for the same sizes of batch.
    """

    variant: Variant
    verdict: Verdict
    path: Path | None = None
    model: LocalModel | None = None
    size_bytes: int = 0
    speeds: tuple[Speed, ...] = ()
    baseline_speeds: tuple[Speed, ...] = ()
    provider: str = ""
    error: str | None = None
    note: str | None = None

    @property
    def passed(self) -> bool:
        """Whether the variant may be added."""
        return self.error is None and self.verdict.passed


@dataclass(frozen=True, slots=True)
class Exported:
    """All variants, the FP32 one first (also where it was not asked for: the others are measured against it)."""

    task: Task
    ultralytics: str
    torch: str
    skeleton: tuple[tuple[int, int], ...]
    results: tuple[VariantResult, ...]


@dataclass(frozen=True, slots=True)
class Machine:
    """What this machine gives: loading, compiling, a clock (seconds, monotonic)."""

    load: Load
    build_engine: BuildEngine
    timer: Timer


def export(job: ExportJob, environment: Environment, folder: Path, machine: Machine) -> Exported:
    """Export and judge; files stay in `folder`, which the caller empties. Blocks for minutes.

    Raises ModelError when the original or its FP32 export cannot be used at all, ExportFailedError when the export
    environment breaks down. What goes wrong with one variant stands in its result.
    """
    answer = run_script(environment, _request(job, folder), folder, job.timeout_s)
    task = _task(answer, job.weights)
    described = _baseline(answer, job)
    baseline = machine.load(described.card, described.weights, _ON_ITS_OWN)
    try:
        bench = _Bench(job, answer, machine, baseline)
        results = tuple(bench.judge(variant) for variant in dict.fromkeys((Variant.ONNX, *job.variants)))
    finally:
        baseline.engine.close()
    keypoints = described.card.keypoints
    skeleton = () if keypoints is None else keypoints.skeleton
    return Exported(task, answer["ultralytics"], answer["torch"], skeleton, results)


@dataclass(frozen=True, slots=True)
class _Bench:
    """Everything that judging a variant needs."""

    job: ExportJob
    answer: Mapping[str, Any]
    machine: Machine
    baseline: LoadedModel

    def judge(self, variant: Variant) -> VariantResult:
        """Load, compare, measure."""
        exported = self.answer["variants"].get("onnx" if variant is Variant.TENSORRT else variant.value, {})
        if "error" in exported:
            return VariantResult(variant, Verdict(()), error=describe_failure(exported["error"]))
        path = Path(exported["path"])
        if variant is Variant.COREML:
            verdict = judge_interface(exported["interface"], self.baseline.card)
            return VariantResult(variant, verdict, path, size_bytes=_size(path), note=NOTE)
        try:
            return self._judge_model(variant, describe_variant(path, variant, self.job.identity))
        except ModelError as error:
            # Without the place: it is a folder that will be gone.
            return VariantResult(variant, Verdict(()), size_bytes=_size(path), error=error.problem)

    def _judge_model(self, variant: Variant, described: LocalModel) -> VariantResult:
        path = self.machine.build_engine(described) if variant is Variant.TENSORRT else described.weights
        model = self.machine.load(described.card, described.weights, variant is Variant.TENSORRT)
        result = VariantResult(
            variant, Verdict(()), path, described, _size(path), provider=model.engine.provider
        )  # fmt: skip
        try:
            _check_provider(variant, model, path)
            result = replace(result, verdict=self._verdict(variant, model))
            speeds, baseline_speeds = self._speeds(model)
            return replace(result, speeds=speeds, baseline_speeds=baseline_speeds)
        except (PictureFailedError, InputError, EngineError) as failure:
            return replace(result, error=f"the model fails: {failure}")
        finally:
            model.engine.close()

    def _verdict(self, variant: Variant, model: LoadedModel) -> Verdict:
        tolerances = TOLERANCES[variant]
        if tolerances is not None:
            return self._parity(model, tolerances)
        data = _labelled(self.job, model.card.task)
        before = read_recording(self._recording(_WORTH), model.card)
        after = predict(model, [sample.picture for sample in data.samples], EVERY_DETECTION)
        return judge_int8(model.card, data, before, after)

    def _parity(self, model: LoadedModel, tolerances: Tolerances) -> Verdict:
        before = read_recording(self._recording(_PARITY), model.card)
        after = predict(model, self.job.pictures, PARITY_THRESHOLDS)
        every = self._candidates(model) if tolerances is not FP32 else None
        return judge_parity(model.card, self.job.pictures, before, after, PARITY_THRESHOLDS, tolerances, every)

    def _candidates(self, model: LoadedModel) -> SizedAnswers:
        return read_recording(self._recording(_CANDIDATES), model.card)

    def _recording(self, name: str) -> Path:
        recording = self.answer["recordings"][name]
        if "error" in recording:
            where = str(self.job.weights)
            raise ModelError(ModelCode.UNREADABLE, where, f"the original fails: {describe_failure(recording['error'])}")
        return Path(recording["path"])

    def _speeds(self, model: LoadedModel) -> tuple[tuple[Speed, ...], tuple[Speed, ...]]:
        pictures: list[Pixels] = [read_pixels(path) for path in self.job.pictures[:_SPEED_PICTURES]]
        speeds, baseline_speeds = [], []
        for batch in _BATCHES:
            if batch > min(model.max_batch, self.baseline.max_batch):
                continue
            turns = [
                [measure(one, pictures, batch, _SPEED_SECONDS, self.machine.timer) for one in (model, self.baseline)]
                for _ in range(_SPEED_TURNS)
            ]
            own, baseline = (min(side, key=lambda speed: speed.total_ms) for side in zip(*turns, strict=True))
            speeds.append(own)
            baseline_speeds.append(baseline)
        return tuple(speeds), tuple(baseline_speeds)


def _check_provider(variant: Variant, model: LoadedModel, path: Path) -> None:
    if variant is Variant.TENSORRT and model.engine.provider != TENSORRT:
        problem = f"the engine was built, and yet the model runs on {model.engine.provider}"
        raise ModelError(ModelCode.DEVICE_UNAVAILABLE, str(path), problem)


def _request(job: ExportJob, folder: Path) -> dict[str, Any]:
    variants = [variant.value for variant in Variant if variant in {Variant.ONNX, *job.variants}]
    recordings = [_recording(_PARITY, job.pictures, PARITY_THRESHOLDS, folder)]
    if any(TOLERANCES[variant] not in {None, FP32} for variant in job.variants):
        recordings.append(_recording(_CANDIDATES, job.pictures, _CANDIDATE_THRESHOLDS, folder))
    if Variant.ONNX_INT8 in job.variants:
        recordings.append(_recording(_WORTH, job.labelled, EVERY_DETECTION, folder))
    return {
        "weights": str(job.weights.resolve()),
        "folder": str(folder),
        "size": job.size,
        "threads": job.threads,
        "calibration": [[str(path.resolve()), class_name] for path, class_name in job.calibration],
        "variants": [variant for variant in variants if variant != Variant.TENSORRT],
        "recordings": recordings,
    }


def _recording(name: str, pictures: Sequence[Path], thresholds: Thresholds, folder: Path) -> dict[str, Any]:
    return {
        "name": name,
        "pictures": [str(path.resolve()) for path in pictures],
        "path": str(folder / f"{name}.jsonl"),
        "confidence": thresholds.confidence,
        "iou": thresholds.iou,
        "max_detections": thresholds.max_detections,
    }


def _task(answer: Mapping[str, Any], weights: Path) -> Task:
    if "error" in answer:
        raise ModelError(ModelCode.UNREADABLE, str(weights), f"cannot be read: {describe_failure(answer['error'])}")
    try:
        return Task(answer["task"])
    except ValueError:
        raise ModelError(ModelCode.TASK_WRONG, str(weights), f"task {answer['task']!r} is none of ours") from None


def _baseline(answer: Mapping[str, Any], job: ExportJob) -> LocalModel:
    exported = answer["variants"]["onnx"]
    if "error" in exported:
        problem = f"cannot be exported: {describe_failure(exported['error'])}"
        raise ModelError(ModelCode.UNSUPPORTED, str(job.weights), problem)
    return describe_variant(Path(exported["path"]), Variant.ONNX, job.identity)


def _labelled(job: ExportJob, task: Task) -> DataSet:
    """Return the labelled pictures that the original was run on, in their order."""
    if job.data is None:
        raise ValueError("int8 without a data set")
    data = load_dataset(job.data, task)
    chosen = set(job.labelled)
    return replace(data, samples=tuple(sample for sample in data.samples if sample.picture in chosen))


def _size(path: Path) -> int:
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    return sum(file.stat().st_size for file in files)
