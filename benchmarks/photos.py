"""Photos for the benchmarks: drawn, but as hard to decode as real ones of their size."""

import cv2
import numpy as np


def photo(seed: int, width: int, height: int, quality: int = 90) -> bytes:
    """Draw blobs at several scales with sensor noise on top, and encode it as JPEG with EXIF left out."""
    chance = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for cells, strength in ((6, 90), (24, 60), (96, 40), (384, 25)):
        coarse = chance.normal(0, strength, (cells * height // width + 1, cells, 3)).astype(np.float32)
        picture += cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    noise = chance.normal(0, 6, (height, width, 1)).astype(np.float32)
    pixels = np.clip(picture + noise + 128, 0, 255).astype(np.uint8)
    done, data = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise RuntimeError("the photo could not be encoded")
    return data.tobytes()


def photos(count: int, width: int = 1900, height: int = 1420, quality: int = 85) -> list[bytes]:
    """Draw `count` different photos; 2.7 megapixels unless told."""
    return [photo(seed, width, height, quality) for seed in range(count)]
