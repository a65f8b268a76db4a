"""A picture as people look at it on a page."""

import cv2
import numpy as np
import simplejpeg

from processors.decode.pictures import Pixels

_QUALITY = 85


def thumbnail(bgr: Pixels, longest_side: int) -> bytes:
    """Return a picture as JPEG, made smaller where a side is longer than that. Blocks."""
    scale = min(1.0, longest_side / max(bgr.shape[:2]))
    width, height = (max(round(side * scale), 1) for side in bgr.shape[1::-1])
    small = cv2.resize(bgr, (width, height), interpolation=cv2.INTER_AREA) if scale < 1 else bgr
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(small, np.uint8), quality=_QUALITY, colorspace="BGR"))
