"""The trial of a model before frames reach it: shapes, numbers, and how many pictures one run takes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

import numpy as np

from processors.decode.pictures import Pixels
from processors.infer.heads import check_outputs
from processors.infer.interface import Engine, EngineError, Head, Prepared, Tensor, TensorSpec
from processors.infer.onnxengine import CPU
from schemas.errors import InputError, ModelCode, ModelError
from schemas.modelcard import ModelCard, Task

_INPUT_TYPES: Final = {"float32", "float16"}
_SEED: Final = 20
_CELLS: Final = 9
# Nothing is to be found on drawn cells; a bad model may all the same outline 300 objects there, for 2 s a picture.
_FEW: Final = 4
# On a CPU a picture's numbers are the same bits in any batch; on a GPU other kernels add in another order.
_SAME_ON_CPU: Final = 1e-4
_SAME_ON_GPU: Final = 1e-2


@dataclass(frozen=True, slots=True)
class Trial:
    """A model on trial."""

    card: ModelCard
    engine: Engine
    head: Head

    def check_specs(self) -> int | None:
        """Compare inputs and outputs with the card; return the batch that the model is fixed to, None if it is not.

        Raises ModelError (`model_shape_wrong`).
        """
        if len(self.engine.inputs) != 1:
            raise self._wrong_shape(f"expected one input, got {len(self.engine.inputs)}")
        (given,) = self.engine.inputs
        wanted = _input_shape(self.card)
        if not _fits(given, wanted):
            raise self._wrong_shape(
                f"expected an input of floats {_show(wanted)}, got {given.dtype} {_show(given.shape)}"
            )
        if self.card.rect and given.shape[2:] != (None, None):
            raise self._wrong_shape(f"rect needs an input of any height and width, got {_show(given.shape)}")
        batch = given.shape[0]
        if batch not in {None, 1}:
            raise self._wrong_shape(f"expected batches of any size, or of 1; the model is fixed to {batch}")
        check_outputs(self.card, self.engine.outputs)
        return batch

    def run(self, batch: int) -> tuple[Prepared, int]:
        """Answer drawn pictures, alone and in a batch; return the first, and how many one run may take.

        A batch that fails is halved. A model whose batches mix pictures, as with activations quantised over the whole
        batch, runs them one by one. Raises ModelError: `model_shape_wrong`, `model_output_invalid`. Raises EngineError
        where a single picture fails.
        """
        first = trial_input(self.card, 0)
        alone = self._outputs([first])
        while batch > 1:
            others = [trial_input(self.card, 1 + index) for index in range(batch - 1)]
            try:
                together = self._outputs([first, *others])
            except EngineError:
                batch //= 2
                continue
            return first, batch if self._same(alone, together) else 1
        return first, 1

    def _outputs(self, batch: Sequence[Prepared]) -> list[Tensor]:
        outputs = self.engine.run(self.head.stack(batch))
        check_outputs(self.card, outputs)
        if any(output.shape[0] != len(batch) for output in outputs):
            raise self._wrong_shape(
                f"{len(batch)} pictures give outputs {', '.join(_show(one.shape) for one in outputs)}"
            )
        asked = self.card.thresholds.model_copy(update={"max_detections": _FEW})
        try:
            self.head.read(outputs, batch, [asked] * len(batch))
        except InputError as error:
            raise ModelError(ModelCode.OUTPUT_INVALID, self.card.name, error.reason) from error
        return outputs

    def _same(self, alone: Sequence[Tensor], together: Sequence[Tensor]) -> bool:
        tolerance = _SAME_ON_CPU if self.engine.provider == CPU else _SAME_ON_GPU
        return all(
            np.allclose(one[0], many[0], rtol=tolerance, atol=tolerance)
            for one, many in zip(alone, together, strict=True)
        )

    def _wrong_shape(self, problem: str) -> ModelError:
        return ModelError(ModelCode.SHAPE_WRONG, self.card.name, problem)


def trial_input(card: ModelCard, index: int) -> Prepared:
    """Draw an input of the full size: coloured cells; for landmarks, numbers from -1 to 1.

    The same for the same card and index; another index gives another input.
    """
    random = np.random.default_rng([_SEED, index])
    width, height = card.input_wh
    if card.task is Task.LANDMARKS:
        return Prepared(random.uniform(-1, 1, width).astype(np.float32), (1, 1))
    cells = random.integers(0, 256, (_CELLS, _CELLS, 3), dtype=np.uint8)
    rows = np.arange(height) * _CELLS // height
    columns = np.arange(width) * _CELLS // width
    return Prepared(cast("Pixels", np.ascontiguousarray(cells[rows][:, columns])), card.input_wh)


def _input_shape(card: ModelCard) -> tuple[int | None, ...]:
    width, height = card.input_wh
    if card.task is Task.LANDMARKS:
        return None, width
    return None, 3, height, width


def _fits(given: TensorSpec, wanted: tuple[int | None, ...]) -> bool:
    return (
        given.dtype in _INPUT_TYPES
        and len(given.shape) == len(wanted)
        and all(axis in {None, size} for axis, size in zip(given.shape[1:], wanted[1:], strict=True))
    )


def _show(shape: Sequence[int | None]) -> str:
    return str(["?" if axis is None else axis for axis in shape])
