"""What a model takes of main memory, and the largest batch that fits.

An estimate, made before anything is run; the warm-up then shows whether the batch really runs under the limit.
Measured with ONNX Runtime, activations of all pictures of a batch as a multiple of the float32 input: yolov8n 5.4 at
640 pixels, 5.1 at 320; its segmentation 6.8, its pose 5.3, its classification 3.8; a ResNet-18 8; an
EfficientNet-B4 at 380 pixels 41. Weights in memory as a multiple of their files: 2.2 to 2.5, while they are loaded.
"""

from collections.abc import Mapping
from math import ceil, prod, sqrt
from typing import Final

from processors.infer.onnxengine import CPU
from schemas.modelcard import ModelCard, Task

_WEIGHTS_FACTOR: Final = 2.5
_ACTIVATIONS_FACTOR: Final[Mapping[Task, float]] = {
    Task.DETECT: 5.5,
    Task.SEGMENT: 7,
    Task.POSE: 5.5,
    Task.CLASSIFY: 41,
    Task.LANDMARKS: 100,  # of some dozens of numbers
}
_INPUT_BYTES: Final = 4 * 3  # a pixel of the input: three channels of float32
_ON_GPU: Final = 16
_ON_CPU: Final = 8
_SIDE_FOR_MOST: Final = 320
_ROWS: Final = 64


def default_batch(card: ModelCard, provider: str) -> int:
    """Return how many pictures one run takes unless it is said: 16 on a GPU; on a CPU 8 up to 320 pixels, 4 at 640.

    On a CPU a larger batch saves almost no time a picture, but takes memory and keeps the first of it waiting.
    """
    if card.task is Task.LANDMARKS:
        return _ROWS
    if provider != CPU:
        return _ON_GPU
    side = sqrt(prod(card.input_wh))
    return max(1, min(_ON_CPU, round(_ON_CPU * _SIDE_FOR_MOST / side)))


def estimate_bytes(card: ModelCard, weights_bytes: int, batch: int, versions: int) -> int:
    """Return what `versions` models as this one take, of which one runs a batch at a time.

    `weights_bytes` is the size of one version's files. Of main memory, on a CPU; what the process takes without any
    model, and decoded pictures, come on top.
    """
    activations = batch * prod(card.input_wh) * _INPUT_BYTES * _ACTIVATIONS_FACTOR[card.task]
    return ceil(versions * weights_bytes * _WEIGHTS_FACTOR + activations)


def fit_batch(card: ModelCard, weights_bytes: int, batch: int, versions: int, limit_bytes: int | None) -> int:
    """Return the largest batch up to `batch` whose estimate is within the limit; 0 where not even one picture is."""
    if limit_bytes is None:
        return batch
    fixed = estimate_bytes(card, weights_bytes, 0, versions)
    one = estimate_bytes(card, 0, 1, 0)
    return max(0, min(batch, (limit_bytes - fixed) // one))
