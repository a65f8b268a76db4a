"""TensorRT engines: where built ones lie, and how they are made.

An engine is an ONNX file around what TensorRT compiled (an "EP context" model). ONNX Runtime runs it as it is, or
fails; it never builds, which takes minutes and must not happen while frames wait.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from processors.infer.gpu import gpu_name, tensorrt_version
from processors.infer.runtime import load_runtime

TENSORRT: Final = "TensorrtExecutionProvider"


def engine_file(cache: Path, weights_sha256: str) -> Path | None:
    """Return where the engine for these weights on this machine lies or belongs; None without GPU or TensorRT.

    An engine runs only on the kind of GPU and with the TensorRT that built it; the runtime's version is in the path
    because it decides what is compiled.
    """
    gpu, version = gpu_name(), tensorrt_version()
    if gpu is None or version is None:
        return None
    return cache / weights_sha256 / f"{gpu}-tensorrt{version}-onnxruntime{load_runtime().__version__}" / "engine.onnx"


def build_engine(
    weights: Path, target: Path, smallest: Mapping[str, str], best: Mapping[str, str], largest: Mapping[str, str]
) -> None:
    """Compile weights into `target`, for batches between two shapes; blocks for minutes.

    Shapes go by input name and are written `8x3x640x640`. Whatever ONNX Runtime raises passes through; a file that
    is there afterwards is whole.
    """
    runtime = load_runtime()
    unfinished = target.with_suffix(".partial.onnx")
    target.parent.mkdir(parents=True, exist_ok=True)
    options = {
        "trt_dump_ep_context_model": "1",
        "trt_ep_context_embed_mode": "1",  # everything in the one file
        "trt_ep_context_file_path": str(unfinished),
        "trt_profile_min_shapes": _shapes(smallest),
        "trt_profile_opt_shapes": _shapes(best),
        "trt_profile_max_shapes": _shapes(largest),
    }
    session: Any = runtime.InferenceSession(str(weights), providers=[(TENSORRT, options)])
    del session
    unfinished.replace(target)


def _shapes(by_input: Mapping[str, str]) -> str:
    return ",".join(f"{name}:{shape}" for name, shape in by_input.items())
