"""The engine: ONNX Runtime, on a CPU or an NVIDIA GPU.

Settings, with what they cost and give for a yolov8n, batches of 1 to 4 at 640 pixels, on two cores:

- One arena for all sessions, growing by powers of two, without memory patterns: 208 MB instead of the defaults' 301,
  at the same speed; a second version of the model takes 20 MB more instead of 112, and after 40 switches between
  versions no more. Growing by what is asked for leaves holes: 243 MB. No arena at all, or one that shrinks after each
  run: 5 to 30 % more processor time.
- One run at a time in a process on a CPU: runs would share the cores anyway, and each would need its own activations.
- No spinning: threads that wait for work busily take 25 to 90 % more processor time, away from those that decode.
"""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from processors.infer.interface import EngineError, Tensor, TensorSpec
from processors.infer.runtime import load_runtime
from schemas.errors import ModelCode, ModelError

CPU: Final = "CPUExecutionProvider"
CUDA: Final = "CUDAExecutionProvider"
Providers = Sequence[tuple[str, Mapping[str, str]]]

_SILENT: Final = 4
_POWERS_OF_TWO: Final = 0  # OrtArenaCfg: how the arena grows
_DEFAULT: Final = -1
_SHRINK: Final = ("memory.enable_memory_arena_shrinkage", "cpu:0")
_TYPES: Final = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(double)": "float64"}
# By the name of ONNX Runtime's class; every other class means that it does not know what the file asks for.
_REFUSALS: Final = {
    "InvalidProtobuf": (ModelCode.UNREADABLE, "the file is truncated or no ONNX model"),
    "InvalidArgument": (ModelCode.UNREADABLE, "the file holds no graph"),
    "NoModel": (ModelCode.UNREADABLE, "the file holds no graph"),
    "NoSuchFile": (ModelCode.MISSING, "the file does not exist"),
    "NotFound": (ModelCode.MISSING, "the file does not exist"),
}
_UNKNOWN = (
    ModelCode.UNSUPPORTED,
    "an operator, opset or type is unknown to the engine, or the graph contradicts itself",
)

_cpu_turn = threading.Lock()
_arena_lock = threading.Lock()
_arena_limit: list[int] = []  # of the arena that sessions made from now on will share


class OnnxEngine:
    """See Engine. `run` casts to the input's type; a session on a CPU waits until no other one runs."""

    def __init__(self, path: Path, providers: Providers, threads: int, memory_limit_bytes: int | None) -> None:
        """Open a file; blocks for up to seconds. `memory_limit_bytes` bounds what runs on a CPU take of memory.

        Raises ModelError when the file is refused, and what load_runtime raises.
        """
        self._runtime = load_runtime()
        self._session: Any = _open(self._runtime, path, providers, threads, memory_limit_bytes)
        self._shrink = False
        self.provider = str(self._session.get_providers()[0])
        self.inputs = tuple(_spec(one) for one in self._session.get_inputs())
        self.outputs = tuple(_spec(one) for one in self._session.get_outputs())

    def run(self, batch: Tensor) -> list[Tensor]:
        """See Engine."""
        session = self._session
        if session is None:
            raise EngineError("the engine is closed")
        try:
            feed = np.ascontiguousarray(batch, self.inputs[0].dtype)
            if self.provider == CPU:
                return self._run_on_cpu(session, feed)
            return self._run_bound(session, feed, "cuda")
        except Exception as error:
            self._shrink = True
            raise EngineError(f"{type(error).__name__} for a batch of shape {batch.shape}") from error

    def close(self) -> None:
        """See Engine. A run in another thread comes to its end first."""
        self._session = None

    def _run_on_cpu(self, session: Any, feed: Tensor) -> list[Tensor]:
        """Run; after a failure, give back what the arena no longer needs: its parts may have been in the way."""
        options = None
        if self._shrink:
            options = self._runtime.RunOptions()
            options.add_run_config_entry(*_SHRINK)
        with _cpu_turn:
            outputs: list[Tensor] = session.run(None, {self.inputs[0].name: feed}, options)
        self._shrink = False
        return outputs

    def _run_bound(self, session: Any, feed: Tensor, device: str) -> list[Tensor]:
        """Run with input and outputs on the device: one copy each way, none between nodes."""
        binding = session.io_binding()
        value = self._runtime.OrtValue.ortvalue_from_numpy(feed, device, 0)
        binding.bind_ortvalue_input(self.inputs[0].name, value)
        for output in self.outputs:
            binding.bind_output(output.name, device, 0)
        session.run_with_iobinding(binding)
        outputs: list[Tensor] = binding.copy_outputs_to_cpu()
        return outputs


def refusal(error: Exception) -> tuple[ModelCode, str]:
    """Return what an exception of ONNX Runtime at opening means."""
    return _REFUSALS.get(type(error).__name__, _UNKNOWN)


def _open(runtime: Any, path: Path, providers: Providers, threads: int, memory_limit_bytes: int | None) -> Any:
    _share_arena(runtime, memory_limit_bytes)
    options = runtime.SessionOptions()
    options.log_severity_level = _SILENT
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Weights lie outside of the arena, so that closing a session gives them back, and its limit is one of runs alone.
    options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
    try:
        # Without its own fallback: that prints to stdout, and would hide on which device a model runs.
        return runtime.InferenceSession(
            str(path), options, providers=[(name, dict(settings)) for name, settings in providers], enable_fallback=0
        )
    except Exception as error:
        code, problem = refusal(error)
        raise ModelError(code, str(path), problem) from error


def _share_arena(runtime: Any, limit_bytes: int | None) -> None:
    """Make the arena of this process, unless there is one with this limit. None or 0: no limit."""
    limit = limit_bytes or 0
    with _arena_lock:
        if _arena_limit == [limit]:
            return
        where = runtime.OrtMemoryInfo(
            "Cpu", runtime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, runtime.OrtMemType.DEFAULT
        )
        runtime.create_and_register_allocator(where, runtime.OrtArenaCfg(limit, _POWERS_OF_TWO, _DEFAULT, _DEFAULT))
        _arena_limit[:] = [limit]


def _spec(argument: Any) -> TensorSpec:
    shape = tuple(axis if isinstance(axis, int) else None for axis in argument.shape)
    return TensorSpec(argument.name, _TYPES.get(argument.type, argument.type), shape)
