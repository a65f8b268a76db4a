"""What every engine must do, the same suite for each. A GPU's way of binding memory runs on the CPU's, too."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from onnx import ModelProto

from processors.infer.engine import EngineOptions, open_engine
from processors.infer.interface import Engine, EngineError, Tensor, TensorSpec
from processors.infer.onnxengine import CPU, OnnxEngine
from schemas.errors import ModelCode, ModelError
from tests import models

Open = Callable[[Path], Engine]


class BoundOnCpu(OnnxEngine):
    def _run_on_cpu(self, session: Any, feed: Tensor) -> list[Tensor]:
        return self._run_bound(session, feed, "cpu")


ENGINES: dict[str, Open] = {
    "cpu": lambda path: open_engine(path, EngineOptions("cpu")),
    "cpu, two threads": lambda path: open_engine(path, EngineOptions("cpu", threads=2)),
    "cpu, limited": lambda path: open_engine(path, EngineOptions("cpu", memory_limit_bytes=64 * 2**20)),
    "what is there": lambda path: open_engine(path, EngineOptions()),
    "bound": lambda path: BoundOnCpu(path, [(CPU, {})], 1, None),
}


@pytest.fixture(params=list(ENGINES.values()), ids=list(ENGINES))
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[ModelProto], Engine]:
    open_one: Open = request.param

    def open_model(model: ModelProto) -> Engine:
        path = tmp_path / "model.onnx"
        path.write_bytes(model.SerializeToString())
        return open_one(path)

    return open_model


def pictures(count: int, seed: int = 0) -> NDArray[np.float32]:
    random = np.random.default_rng(seed)
    return random.uniform(0.2, 1, (count, 3, models.SIZE, models.SIZE)).astype(np.float32)


def test_inputs_and_outputs_say_what_they_are(opened: Callable[[ModelProto], Engine]) -> None:
    engine = opened(models.detector(size="side"))
    assert engine.inputs == (TensorSpec("x", "float32", (None, 3, None, None)),)
    assert engine.outputs == (TensorSpec("y", "float32", (None, 6, 2)),)
    assert engine.provider.endswith("ExecutionProvider")


def test_a_picture_has_the_same_answer_in_any_batch(opened: Callable[[ModelProto], Engine]) -> None:
    engine = opened(models.detector())
    batch = pictures(8)
    (together,) = engine.run(batch)
    assert together.shape == (8, 6, 2)
    assert len({row.tobytes() for row in together}) == 8
    for index in range(8):
        (alone,) = engine.run(batch[index : index + 1])
        np.testing.assert_allclose(alone[0], together[index], rtol=1e-5)
    assert float(together[0, 4, 0]) == pytest.approx(batch[0].mean(), rel=1e-4)


def test_the_input_is_cast_to_what_the_model_takes(opened: Callable[[ModelProto], Engine]) -> None:
    engine = opened(models.detector(dtype=models.HALF))
    assert engine.inputs[0].dtype == "float16"
    batch = pictures(2)
    (found,) = engine.run(batch)
    assert float(found[1, 4, 0]) == pytest.approx(batch[1].mean(), abs=2e-3)


def test_a_batch_may_be_a_view_of_a_larger_one(opened: Callable[[ModelProto], Engine]) -> None:
    engine = opened(models.detector())
    batch = pictures(6)
    np.testing.assert_array_equal(engine.run(batch[::2])[0], engine.run(batch[::2].copy())[0])


def test_several_threads_may_run_one_engine(opened: Callable[[ModelProto], Engine]) -> None:
    engine = opened(models.detector())
    batches = [pictures(1 + seed % 4, seed) for seed in range(24)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda batch: engine.run(batch)[0], batches))
    for batch, answer in zip(batches, answers, strict=True):
        assert answer[:, 4, 0].tolist() == pytest.approx(batch.mean(axis=(1, 2, 3)).tolist(), rel=1e-4)


@pytest.mark.parametrize("shape", [(1, 4, 64, 64), (1, 3, 32, 64), (3, 64, 64), (1, 3)])
def test_a_shape_that_the_model_refuses_is_an_engine_error(
    opened: Callable[[ModelProto], Engine], shape: tuple[int, ...]
) -> None:
    engine = opened(models.detector())
    with pytest.raises(EngineError):
        engine.run(np.zeros(shape, np.float32))
    assert engine.run(pictures(2))[0].shape == (2, 6, 2)


def test_an_operator_that_breaks_is_an_engine_error_and_the_engine_goes_on(
    opened: Callable[[ModelProto], Engine], capfd: pytest.CaptureFixture[str]
) -> None:
    engine = opened(models.failing_where_dark())
    batch = pictures(3)
    batch[1] = 0
    with pytest.raises(EngineError):
        engine.run(batch)
    assert engine.run(batch[::2])[0].shape == (2, 2)
    assert capfd.readouterr() == ("", "")


def test_numbers_that_are_not_finite_come_as_they_are(opened: Callable[[ModelProto], Engine]) -> None:
    batch = pictures(2)
    batch[0] = 0
    (logits,) = opened(models.nan_where_dark()).run(batch)
    assert np.isfinite(logits).all(axis=1).tolist() == [False, True]


def test_outputs_outlive_the_engine_and_a_closed_one_refuses(opened: Callable[[ModelProto], Engine]) -> None:
    engine = opened(models.detector())
    (found,) = engine.run(pictures(2))
    before = found.copy()
    engine.close()
    engine.close()
    np.testing.assert_array_equal(found, before)
    with pytest.raises(EngineError):
        engine.run(pictures(1))


BROKEN = {
    "truncated": (models.detector().SerializeToString()[:-20], ModelCode.UNREADABLE),
    "cut in the middle": (models.classifier().SerializeToString()[:200], ModelCode.UNREADABLE),
    "empty": (b"", ModelCode.UNREADABLE),
    "text": (b"these are no weights", ModelCode.UNREADABLE),
    "zeros": (bytes(1000), ModelCode.UNREADABLE),
    "noise": (np.random.default_rng(3).bytes(5000), ModelCode.UNREADABLE),
    "a picture": (b"\xff\xd8\xff\xe0" + bytes(200), ModelCode.UNREADABLE),
    "no graph": (ModelProto(ir_version=8).SerializeToString(), ModelCode.UNREADABLE),
    "opset": (models.unknown_opset().SerializeToString(), ModelCode.UNSUPPORTED),
    "operator": (models.unknown_operator().SerializeToString(), ModelCode.UNSUPPORTED),
    "domain": (models.unknown_domain().SerializeToString(), ModelCode.UNSUPPORTED),
    "external data": (models.external()[0].SerializeToString(), ModelCode.EXTERNAL_DATA_MISSING),
    "external data elsewhere": (
        models.external("../weights.bin")[0].SerializeToString(),
        ModelCode.EXTERNAL_DATA_MISSING,
    ),
    "external data at an absolute place": (
        models.external("/etc/hostname")[0].SerializeToString(),
        ModelCode.EXTERNAL_DATA_MISSING,
    ),
}
OPENERS = {name: ENGINES[name] for name in ("cpu", "what is there")}


@pytest.mark.parametrize(("data", "code"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("open_one", OPENERS.values(), ids=OPENERS)
def test_a_broken_model_is_refused_with_its_code(
    open_one: Open, data: bytes, code: ModelCode, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(data)
    (tmp_path.parent / "weights.bin").write_bytes(models.external()[1])
    with pytest.raises(ModelError) as caught:
        open_one(path)
    assert caught.value.code is code
    assert caught.value.where == str(path)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("open_one", OPENERS.values(), ids=OPENERS)
def test_a_missing_file_is_refused_with_its_code(open_one: Open, tmp_path: Path) -> None:
    with pytest.raises(ModelError) as caught:
        open_one(tmp_path / "model.onnx")
    assert caught.value.code is ModelCode.MISSING


@pytest.mark.parametrize("open_one", OPENERS.values(), ids=OPENERS)
def test_weights_in_a_file_beside_the_model_are_used(open_one: Open, tmp_path: Path) -> None:
    model, data = models.external()
    (tmp_path / "weights.bin").write_bytes(data)
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    (outside,) = open_one(tmp_path / "model.onnx").run(pictures(1))
    (tmp_path / "inside.onnx").write_bytes(models.classifier().SerializeToString())
    np.testing.assert_array_equal(outside, open_one(tmp_path / "inside.onnx").run(pictures(1))[0])
