"""From a model's class scores to probabilities, and the refusal of numbers that cannot be."""

from collections.abc import Sequence
from typing import Final, Literal

import numpy as np

from processors.infer.interface import Floats, Tensor
from schemas.errors import Code, InputError, Stage

_ROUNDING: Final = 1e-3  # half precision may give 1.0005


def finite(outputs: Sequence[Tensor]) -> list[Floats]:
    """Return the outputs as float32. Raises InputError (`inference_invalid`) where a number is not finite."""
    arrays = [np.asarray(output, np.float32) for output in outputs]
    if not all(np.isfinite(array).all() for array in arrays):
        raise invalid("the model gives numbers that are not finite")
    return arrays


def activate(scores: Floats, activation: Literal["none", "softmax", "sigmoid"], axis: int) -> Floats:
    """Apply what the model leaves to be applied; `axis` is that of the classes."""
    if activation == "sigmoid":
        return np.exp(-np.logaddexp(np.float32(0), -scores))
    if activation == "softmax":
        powers = np.exp(scores - scores.max(axis=axis, keepdims=True))
        return np.asarray(powers / powers.sum(axis=axis, keepdims=True), np.float32)
    return scores


def as_probabilities(scores: Floats) -> Floats:
    """Return scores cut to 0 to 1. Raises InputError (`inference_invalid`) where one is further out than rounding."""
    if scores.size and (scores.min() < -_ROUNDING or scores.max() > 1 + _ROUNDING):
        raise invalid("the model gives scores that are no probabilities")
    return np.clip(scores, 0, 1)


def invalid(reason: str) -> InputError:
    """Return the error for numbers that no healthy model gives."""
    return InputError(Code.INFERENCE_INVALID, Stage.INFER, reason)
