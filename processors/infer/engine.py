"""From a model's file and the wish for a device to a running engine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from processors.infer.interface import Engine
from processors.infer.onnxengine import CPU, CUDA, OnnxEngine, Providers
from processors.infer.onnxfile import external_files
from processors.infer.runtime import load_runtime
from processors.infer.tensorrt import TENSORRT, engine_file
from schemas.errors import ModelCode, ModelError

Device = Literal["auto", "cpu", "cuda", "tensorrt"]

# Heuristic: the default tries all algorithms again for each size of batch, in the middle of a stream. No TF32: its
# ten bits of mantissa move scores by more than single precision is held to.
_ON_CUDA: Final = {
    "device_id": "0",
    "cudnn_conv_algo_search": "HEURISTIC",
    "use_tf32": "0",
    "arena_extend_strategy": "kSameAsRequested",
}


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How engines run.

    `auto` takes the best device that works; `cuda` and `tensorrt` insist on the GPU, where `tensorrt` means CUDA for a
    model that has no built engine. `threads` work on one run; on a CPU there is one run at a time in a process.
    `memory_limit_bytes` is what all models of the process may take of main memory, None: no limit.
    `engine_cache` is the folder of built TensorRT engines.
    """

    device: Device = "auto"
    threads: int = 1
    memory_limit_bytes: int | None = None
    engine_cache: Path | None = None

    def __post_init__(self) -> None:
        if self.threads < 1:
            raise ValueError(f"threads: expected at least 1, got {self.threads}")
        if self.memory_limit_bytes is not None and self.memory_limit_bytes < 1:
            raise ValueError(f"memory_limit_bytes: expected at least 1, got {self.memory_limit_bytes}")


def open_engine(path: Path, options: EngineOptions, weights_sha256: str | None = None) -> Engine:
    """Open an ONNX file on the device that is wanted; blocks for up to seconds, builds nothing.

    `weights_sha256` is the file's digest, by which a TensorRT engine is found; None: none is looked for.
    Raises ModelError: the file is missing, unreadable, unsupported, or needs files that do not lie beside it;
    `model_device_unavailable` when a GPU is insisted on and the made session runs on the CPU.
    Raises ConfigurationError where ONNX Runtime is not installed.
    """
    _check_external_files(path)
    engine = _open_first(path, options, weights_sha256)
    if engine.provider == CPU and options.device in {"cuda", "tensorrt"}:
        engine.close()
        problem = f"device is {options.device}, but the model runs on the CPU; `auto` would allow that"
        raise ModelError(ModelCode.DEVICE_UNAVAILABLE, str(path), problem)
    return engine


def _check_external_files(path: Path) -> None:
    for name in sorted(external_files(path)):
        if Path(name).name != name or not (path.parent / name).is_file():
            problem = "the weights point to a file that does not lie beside them"
            raise ModelError(ModelCode.EXTERNAL_DATA_MISSING, str(path), problem)


def _open_first(path: Path, options: EngineOptions, weights_sha256: str | None) -> Engine:
    """Try the devices in order. The CPU comes last, so what it raises is the model's fault and no device's."""
    for file, providers in _on_gpu(path, options, weights_sha256):
        try:
            engine = OnnxEngine(file, providers, options.threads, options.memory_limit_bytes)
        except ModelError:
            continue
        if engine.provider != CPU:
            return engine
        engine.close()
    return OnnxEngine(path, [(CPU, {})], options.threads, options.memory_limit_bytes)


def _on_gpu(path: Path, options: EngineOptions, weights_sha256: str | None) -> list[tuple[Path, Providers]]:
    """Return what to open and where, the fastest first."""
    # Asked for first: a provider that the package lacks is a warning of Python's, on stderr.
    available = set() if options.device == "cpu" else set(load_runtime().get_available_providers())
    ways: list[tuple[Path, Providers]] = []
    built = _built_engine(options, weights_sha256) if TENSORRT in available else None
    if built is not None:
        ways.append((built, [(TENSORRT, {"device_id": "0"}), (CUDA, _ON_CUDA), (CPU, {})]))
    if CUDA in available:
        ways.append((path, [(CUDA, _ON_CUDA), (CPU, {})]))
    return ways


def _built_engine(options: EngineOptions, weights_sha256: str | None) -> Path | None:
    if options.device == "cuda" or options.engine_cache is None or weights_sha256 is None:
        return None
    file = engine_file(options.engine_cache, weights_sha256)
    return file if file is not None and file.is_file() else None
