"""Draws the pictures of the comparison: scenes as the demo models know them, and odd files of every kind."""

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from demo_models.making import banana, endoscopy, hands
from demo_models.making.scene import Drawer

KINDS: dict[str, Drawer] = {"banana": banana.draw, "polyp": endoscopy.draw, "hand": hands.draw}
_SCENES = 100
_SIZES_WH = ((256, 192), (192, 256), (224, 224), (300, 180), (211, 167))
_FIRST_SEED = 50_000  # far from the seeds of training
_QUALITY = 78

Picture = NDArray[np.uint8]


def draw(folder: Path) -> None:
    """Write FOLDER/KIND/NAME for all kinds; a file that is there is replaced."""
    for kind, drawer in KINDS.items():
        place = folder / kind
        place.mkdir(parents=True, exist_ok=True)
        for number in range(_SCENES):
            size_wh = _SIZES_WH[number // 2 % len(_SIZES_WH)]
            scene = _pair(drawer, number) if number % 2 else _scene(drawer, number, size_wh)
            (place / f"{number:03d}.jpg").write_bytes(_jpeg(scene))
        for name, data in _odd(drawer):
            (place / name).write_bytes(data)


def _scene(drawer: Drawer, number: int, size_wh: tuple[int, int]) -> Picture:
    return drawer(_FIRST_SEED + number, unseen=number % 4 > 1, size_wh=size_wh).picture_bgr


def _pair(drawer: Drawer, number: int) -> Picture:
    """Put two scenes side by side: more objects, and of other sizes."""
    return np.hstack([_scene(drawer, number, (176, 200)), _scene(drawer, number + _SCENES, (150, 200))])


def _odd(drawer: Drawer) -> Iterator[tuple[str, bytes]]:
    def scene(number: int, width: int, height: int) -> Picture:
        return _scene(drawer, 1000 + number, (width, height))

    yield "odd-size.jpg", _jpeg(scene(0, 333, 217))
    yield "portrait.jpg", _jpeg(scene(1, 150, 390))
    yield "landscape.jpg", _jpeg(scene(2, 431, 143))
    yield "large.jpg", _jpeg(scene(3, 901, 677), 60)
    yield "tiny.png", _encode(".png", scene(4, 200, 160)[::10, ::10])
    yield "one-high.png", _encode(".png", scene(5, 301, 200)[100:101])
    yield "one-wide.png", _encode(".png", scene(6, 200, 201)[:, 100:101])
    yield "grey.jpg", _jpeg(_grey(scene(7, 240, 180)))
    yield "grey.png", _encode(".png", _grey(scene(8, 160, 120)))
    yield "alpha.png", _encode(".png", _with_alpha(scene(9, 160, 120)))
    yield "sixteen-bit.png", _encode(".png", _sixteen(scene(10, 120, 90)))
    yield "sixteen-bit-grey.png", _encode(".png", _sixteen(_grey(scene(11, 160, 120))))
    yield "webp.webp", _encode(".webp", scene(12, 240, 180))
    for orientation in range(2, 9):
        yield f"exif-{orientation}.jpg", _oriented(scene(11 + orientation, 220, 160), orientation)


def _jpeg(bgr: NDArray[np.uint8], quality: int = _QUALITY) -> bytes:
    return _encode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])


def _encode(extension: str, pixels: NDArray[np.uint8] | NDArray[np.uint16], options: list[int] | None = None) -> bytes:
    done, data = cv2.imencode(extension, pixels, options or [])
    assert done
    return data.tobytes()


def _grey(bgr: Picture) -> Picture:
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), np.uint8)


def _with_alpha(bgr: Picture) -> Picture:
    height, width = bgr.shape[:2]
    alpha = np.tile(np.linspace(0, 255, width).astype(np.uint8), (height, 1))
    return np.dstack([bgr, alpha])


def _sixteen(pixels: Picture) -> NDArray[np.uint16]:
    """Spread to 16 bits with low bytes that rounding would notice."""
    return pixels.astype(np.uint16) * 256 + 200


# How the stored pixels come from the upright ones, by orientation.
_STORED: dict[int, Callable[[Picture], Picture]] = {
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: np.rot90,
    7: lambda upright: upright[::-1, ::-1].transpose(1, 0, 2),
    8: lambda upright: np.rot90(upright, -1),
}


def _oriented(upright: Picture, orientation: int) -> bytes:
    image = Image.fromarray(np.ascontiguousarray(_STORED[orientation](upright)[:, :, ::-1]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_QUALITY, exif=exif)
    return stream.getvalue()


if __name__ == "__main__":
    draw(Path(sys.argv[1]))
