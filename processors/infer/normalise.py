"""From a batch of uint8 pictures to the numbers that the model wants."""

from collections.abc import Sequence
from functools import lru_cache
from typing import cast

import cv2
import numpy as np

from processors.decode.pictures import Pixels
from processors.infer.interface import Floats, Prepared
from schemas.modelcard import Preprocessing


def normalise(batch: Sequence[Prepared], preprocessing: Preprocessing) -> Floats:
    """Return float32 [pictures, 3, height, width] of prepared pictures of one shape: (x * scale - mean) / deviation.

    Mean and deviation are in the card's channel order, as the pictures are.
    """
    height, width = batch[0].tensor.shape[:2]
    tables = _tables(preprocessing)
    out = np.empty((len(batch), 3, height, width), np.float32)
    for picture, planes in zip(batch, out, strict=True):
        # A table of the 256 values costs 1.5 ms for a picture of 640 x 640, arithmetic on whole arrays 17 ms.
        for channel, table, plane in zip(cv2.split(cast("Pixels", picture.tensor)), tables, planes, strict=True):
            cv2.LUT(channel, table, plane)
    return out


@lru_cache(maxsize=64)
def _tables(preprocessing: Preprocessing) -> tuple[Floats, ...]:
    # In double precision up to the last step, so that 1/255 gives what a division by 255 gives.
    values = np.arange(256, dtype=np.float64)[:, None] * preprocessing.scale
    numbers = (values - np.array(preprocessing.mean)) / np.array(preprocessing.deviation)
    return tuple(np.ascontiguousarray(table, np.float32) for table in numbers.T)
