"""Which device a model runs on, with a runtime that claims other devices than there are."""

import ctypes
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from processors.infer import engine, gpu, onnxengine, runtime, tensorrt
from processors.infer.engine import EngineOptions, open_engine
from processors.infer.interface import EngineError
from processors.infer.onnxengine import CPU, CUDA, refusal
from processors.infer.onnxfile import external_files
from processors.infer.tensorrt import TENSORRT, build_engine, engine_file
from schemas.errors import ConfigurationError, ModelCode, ModelError
from tests import models

onnxruntime = import_module("onnxruntime")


class FakeRuntime:
    """ONNX Runtime, but for its devices: `works` really run (on the CPU), others are there and do not."""

    def __init__(self, available: Sequence[str], works: Sequence[str], *, raises: bool = False) -> None:
        self.available = [*available, CPU]
        self.works = [*works, CPU]
        self.raises = raises
        self.opened: list[tuple[str, list[str]]] = []
        self.settings: list[dict[str, dict[str, str]]] = []
        self.options: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(onnxruntime, name)

    def get_available_providers(self) -> list[str]:
        return self.available

    def InferenceSession(self, path: str, options: Any = None, *, providers: Any, enable_fallback: int = 1) -> Any:  # noqa: N802 - its name
        names = [name for name, _ in providers]
        assert set(names) <= set(self.available)
        assert enable_fallback == 0 or options is None
        self.opened.append((path, names))
        self.settings.append(dict(providers))
        self.options.append(options)
        running = [name for name in names if name in self.works]
        if self.raises and names[0] not in self.works:
            raise RuntimeError("no such device")
        return FakeSession(onnxruntime.InferenceSession(path, options, providers=[CPU]), running)


class FakeSession:
    def __init__(self, real: Any, providers: list[str]) -> None:
        self.real = real
        self.providers = providers

    def get_providers(self) -> list[str]:
        return self.providers

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "model.onnx"
    file.write_bytes(models.detector().SerializeToString())
    return file


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    def install(fake: FakeRuntime) -> FakeRuntime:
        for module in (engine, onnxengine, tensorrt):
            monkeypatch.setattr(module, "load_runtime", lambda: fake)
        monkeypatch.setattr(tensorrt, "gpu_name", lambda: "nvidia-a10-sm86")
        monkeypatch.setattr(tensorrt, "tensorrt_version", lambda: "101300")
        return fake

    yield install
    onnxengine._arena_limit.clear()


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
@pytest.mark.parametrize(
    "fake",
    [FakeRuntime([], []), FakeRuntime([CUDA], []), FakeRuntime([CUDA], [], raises=True)],
    ids=["not built in", "silently on the CPU", "raises"],
)
def test_a_gpu_that_is_insisted_on_and_does_not_run_is_an_error(
    device: Any, fake: FakeRuntime, path: Path, use: Any
) -> None:
    use(fake)
    with pytest.raises(ModelError) as caught:
        open_engine(path, EngineOptions(device))
    assert caught.value.code is ModelCode.DEVICE_UNAVAILABLE
    assert device in caught.value.problem


@pytest.mark.parametrize(
    "fake",
    [FakeRuntime([], []), FakeRuntime([CUDA, TENSORRT], []), FakeRuntime([CUDA, TENSORRT], [], raises=True)],
    ids=["not built in", "silently on the CPU", "raises"],
)
def test_auto_falls_back_to_the_cpu_and_says_so(fake: FakeRuntime, path: Path, use: Any) -> None:
    use(fake)
    opened = open_engine(path, EngineOptions())
    assert opened.provider == CPU
    assert fake.opened[-1] == (str(path), [CPU])
    assert opened.run(np.ones((1, 3, models.SIZE, models.SIZE)))[0].shape == (1, 6, 2)


@pytest.mark.parametrize("device", ["auto", "cuda", "tensorrt"])
def test_the_gpu_is_taken_where_it_runs(device: Any, path: Path, use: Any) -> None:
    fake = use(FakeRuntime([CUDA], [CUDA]))
    assert open_engine(path, EngineOptions(device)).provider == CUDA
    assert fake.opened == [(str(path), [CUDA, CPU])]
    assert fake.settings[0][CUDA]["use_tf32"] == "0"


def test_cpu_asks_for_nothing_else(path: Path, use: Any) -> None:
    fake = use(FakeRuntime([CUDA, TENSORRT], [CUDA, TENSORRT]))
    assert open_engine(path, EngineOptions("cpu")).provider == CPU
    assert fake.opened == [(str(path), [CPU])]


@pytest.mark.parametrize("device", ["cuda", "auto"])
def test_a_broken_model_is_not_blamed_on_the_device(device: Any, path: Path, use: Any) -> None:
    use(FakeRuntime([CUDA], [CUDA]))
    path.write_bytes(models.unknown_operator().SerializeToString())
    with pytest.raises(ModelError) as caught:
        open_engine(path, EngineOptions(device))
    assert caught.value.code is ModelCode.UNSUPPORTED


@pytest.fixture
def built(tmp_path: Path, path: Path, use: Any) -> Path:
    """Return the file of an engine that is built."""
    use(FakeRuntime([CUDA, TENSORRT], [CUDA, TENSORRT]))
    file = engine_file(tmp_path / "engines", "ab" * 32)
    assert file is not None
    file.parent.mkdir(parents=True)
    file.write_bytes(path.read_bytes())
    return file


@pytest.mark.parametrize("device", ["auto", "tensorrt"])
def test_a_built_tensorrt_engine_is_used(device: Any, built: Path, path: Path, use: Any, tmp_path: Path) -> None:
    fake = use(FakeRuntime([CUDA, TENSORRT], [CUDA, TENSORRT]))
    opened = open_engine(path, EngineOptions(device, engine_cache=tmp_path / "engines"), "ab" * 32)
    assert opened.provider == TENSORRT
    assert fake.opened == [(str(built), [TENSORRT, CUDA, CPU])]


@pytest.mark.parametrize(
    ("device", "digest", "folder"),
    [
        ("cuda", "ab" * 32, "engines"),
        ("tensorrt", "cd" * 32, "engines"),
        ("tensorrt", None, "engines"),
        ("tensorrt", "ab" * 32, None),
        ("auto", "ab" * 32, "elsewhere"),
    ],
)
def test_without_a_built_engine_it_is_cuda_and_nothing_is_built(
    device: Any, digest: str | None, folder: str | None, built: Path, path: Path, use: Any, tmp_path: Path
) -> None:
    fake = use(FakeRuntime([CUDA, TENSORRT], [CUDA, TENSORRT]))
    cache = None if folder is None else tmp_path / folder
    assert open_engine(path, EngineOptions(device, engine_cache=cache), digest).provider == CUDA
    assert fake.opened == [(str(path), [CUDA, CPU])]
    assert [one for one in (tmp_path / "engines").rglob("*") if one.is_file()] == [built]


def test_an_engine_that_no_longer_runs_is_passed_over(built: Path, path: Path, use: Any, tmp_path: Path) -> None:
    fake = use(FakeRuntime([CUDA, TENSORRT], [CUDA], raises=True))
    opened = open_engine(path, EngineOptions(engine_cache=tmp_path / "engines"), "ab" * 32)
    assert opened.provider == CUDA
    assert [file for file, _ in fake.opened] == [str(built), str(path)]


def test_engines_lie_by_digest_gpu_and_versions(tmp_path: Path, use: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    use(FakeRuntime([], []))
    version = onnxruntime.__version__
    expected = tmp_path / "d1" / f"nvidia-a10-sm86-tensorrt101300-onnxruntime{version}" / "engine.onnx"
    assert engine_file(tmp_path, "d1") == expected
    monkeypatch.setattr(tensorrt, "gpu_name", lambda: None)
    assert engine_file(tmp_path, "d1") is None


def test_building_leaves_a_whole_engine_or_none(tmp_path: Path, path: Path, use: Any) -> None:
    class Building(FakeRuntime):
        def InferenceSession(self, path: str, options: Any = None, *, providers: Any, enable_fallback: int = 1) -> Any:  # noqa: N802 - its name
            settings = dict(providers)[TENSORRT]
            Path(settings["trt_ep_context_file_path"]).write_bytes(b"built")
            return super().InferenceSession(path, options, providers=providers, enable_fallback=enable_fallback)

    fake = use(Building([TENSORRT], [TENSORRT]))
    target = tmp_path / "engines" / "engine.onnx"
    build_engine(path, target, {"x": "1x3x64x64"}, {"x": "8x3x64x64"}, {"x": "16x3x64x64"})
    assert [one.name for one in target.parent.iterdir()] == ["engine.onnx"]
    assert target.read_bytes() == b"built"
    assert fake.settings[0][TENSORRT]["trt_profile_max_shapes"] == "x:16x3x64x64"
    failing = use(Building([TENSORRT], [], raises=True))
    with pytest.raises(RuntimeError):
        build_engine(path, tmp_path / "other" / "engine.onnx", {}, {}, {})
    assert failing.opened
    assert not (tmp_path / "other" / "engine.onnx").exists()


class FakeCuda:
    """The driver's library, with one GPU; `code` is what its calls return."""

    def __init__(self, code: int = 0) -> None:
        self.code = code

    def cuInit(self, _flags: int) -> int:  # noqa: N802 - its name
        return self.code

    def cuDeviceGet(self, _device: Any, _index: int) -> int:  # noqa: N802 - its name
        return 0

    def cuDeviceGetName(self, name: Any, size: int, _device: Any) -> int:  # noqa: N802 - its name
        assert ctypes.sizeof(name) == size
        name.value = b"NVIDIA RTX 4090"
        return 0

    def cuDeviceGetAttribute(self, value: Any, which: int, _device: Any) -> int:  # noqa: N802 - its name
        value._obj.value = {75: 8, 76: 9}[which]
        return 0

    def getInferLibVersion(self) -> int:  # noqa: N802 - its name
        return 101300


def test_the_gpu_says_its_name_and_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: FakeCuda())
    assert gpu.gpu_name() == "nvidia-rtx-4090-sm89"
    assert gpu.tensorrt_version() == "101300"
    monkeypatch.setattr(ctypes, "CDLL", lambda _name: FakeCuda(code=100))
    assert gpu.gpu_name() is None


def test_without_its_libraries_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> Any:
        raise OSError

    monkeypatch.setattr(ctypes, "CDLL", missing)
    assert gpu.gpu_name() is None
    assert gpu.tensorrt_version() is None


def test_without_the_runtime_the_extras_are_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_name: str) -> Any:
        raise ImportError

    monkeypatch.setattr(runtime, "import_module", missing)
    runtime.load_runtime.cache_clear()
    with pytest.raises(ConfigurationError) as caught:
        open_engine(path, EngineOptions())
    assert "`cpu`" in caught.value.problem
    assert "`gpu`" in caught.value.problem


@pytest.mark.parametrize("wrong", [{"threads": 0}, {"memory_limit_bytes": 0}])
def test_options_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="expected at least 1, got 0"):
        EngineOptions(**wrong)


def test_sessions_use_the_threads_given_and_do_not_spin(path: Path, use: Any) -> None:
    fake = use(FakeRuntime([], []))
    open_engine(path, EngineOptions(threads=3))
    (options,) = fake.options
    assert options.intra_op_num_threads == 3
    assert options.inter_op_num_threads == 1
    assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert not options.enable_mem_pattern


def test_on_a_cpu_one_model_runs_at_a_time(path: Path, use: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    use(FakeRuntime([], []))
    running: list[int] = []
    most: list[int] = []

    def run(*_arguments: Any) -> list[Any]:
        running.append(1)
        most.append(len(running))
        time.sleep(0.01)  # long enough for the other threads to come in, if they could
        running.pop()
        return []

    engines = [open_engine(path, EngineOptions("cpu")) for _ in range(2)]
    monkeypatch.setattr(FakeSession, "run", run, raising=False)
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(engines[index % 2].run, np.ones((1, 3, 64, 64))) for index in range(8)]:
            done.result()
    assert most == [1] * 8


def test_every_exception_of_the_runtime_has_a_meaning() -> None:
    state = import_module("onnxruntime.capi.onnxruntime_pybind11_state")
    kinds = {name: kind for name, kind in vars(state).items() if isinstance(kind, type) and issubclass(kind, Exception)}
    assert set(onnxengine._REFUSALS) <= set(kinds)
    meanings = {name: refusal(kind("text"))[0] for name, kind in kinds.items()}
    assert meanings["InvalidProtobuf"] is ModelCode.UNREADABLE
    assert meanings["InvalidArgument"] is ModelCode.UNREADABLE
    assert meanings["NoSuchFile"] is ModelCode.MISSING
    assert {meanings[name] for name in ("InvalidGraph", "NotImplemented", "Fail")} == {ModelCode.UNSUPPORTED}


def test_runs_on_the_cpu_stay_below_the_memory_limit(path: Path) -> None:
    path.write_bytes(models.heavy(channels=256, size=128).SerializeToString())  # 33 MB a picture
    opened = open_engine(path, EngineOptions("cpu", memory_limit_bytes=100_000_000))
    small, large = np.ones((2, 3, 128, 128), np.float32), np.ones((16, 3, 128, 128), np.float32)
    assert opened.run(small)[0].shape == (2, 2)
    with pytest.raises(EngineError):
        opened.run(large)
    assert opened.run(small)[0].shape == (2, 2)
    assert open_engine(path, EngineOptions("cpu")).run(large)[0].shape == (16, 2)


def test_files_of_external_weights_are_found_wherever_they_are_named(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(models.external("some.bin")[0].SerializeToString())
    assert external_files(file) == {"some.bin"}
    file.write_bytes(models.inside_a_branch(models.external("deep.bin")[0]).SerializeToString())
    assert external_files(file) == {"deep.bin"}
    file.write_bytes(models.classifier().SerializeToString())
    assert external_files(file) == set()
