"""ONNX Runtime, which only those need who run models: an extra, imported when the first model is opened."""

from contextlib import redirect_stdout
from functools import cache
from importlib import import_module
from io import StringIO
from typing import Any

from schemas.errors import ConfigurationError

_SILENT = 4  # of severity "fatal": what goes wrong is raised, and lines on stderr would break a structured log


@cache
def load_runtime() -> Any:
    """Return the module. Raises ConfigurationError where it is not installed."""
    try:
        runtime = import_module("onnxruntime")
    except ImportError as error:
        problem = "not installed; install sightline with the extra `cpu`, or `gpu` on a machine with an NVIDIA GPU"
        raise ConfigurationError("onnxruntime", problem) from error
    runtime.set_default_logger_severity(_SILENT)
    if "CUDAExecutionProvider" in runtime.get_available_providers():
        # Finds CUDA and cuDNN in NVIDIA's own wheels. What it misses it prints, and standard output is for results.
        with redirect_stdout(StringIO()):
            runtime.preload_dlls()
    return runtime
