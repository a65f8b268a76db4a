"""Writes the sample pictures of the demo: `python -m demo_models.making.samples`. Scenes that training never sees.

The file's name says what was drawn. One picture in each folder is too dark for anything to be seen on it.
"""

import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import cv2
import numpy as np

from demo_models.making import banana, endoscopy, faces, hands
from demo_models.making.scene import Drawer, Picture, Scene

ROOT: Final = Path(__file__).resolve().parents[1] / "samples"
TOO_DARK: Final = "too-dark"
_PICTURES = 8
_FIRST_SEED = 900
_QUALITY = 88
_DARK = 0.06
_NUMBERS = ("no", "one", "two", "three", "four", "five")


def write(folder: Path) -> int:
    """Write all samples anew, one folder a subject; return their bytes in all."""
    shutil.rmtree(folder, ignore_errors=True)
    return sum(_write(folder / name, draw, words) for name, (draw, words) in _SUBJECTS.items())


def _write(folder: Path, draw: Drawer, words: Callable[[Scene], str]) -> int:
    folder.mkdir(parents=True)
    size = 0
    for number, scene in enumerate(_choose(draw, words), 1):
        size += _save(folder / f"{number}-{words(scene)}.jpg", scene.picture_bgr)
    dark = (draw(_FIRST_SEED, unseen=True).picture_bgr * _DARK).astype(np.uint8)
    return size + _save(folder / f"{TOO_DARK}.jpg", dark)


def _choose(draw: Drawer, words: Callable[[Scene], str]) -> Iterator[Scene]:
    """Yield scenes in the order of their seeds, no truth twice before each was seen once or many were passed over."""
    seen: Counter[str] = Counter()
    for seed in range(_FIRST_SEED, _FIRST_SEED + 10 * _PICTURES):
        scene = draw(seed, unseen=True)
        passed_over = seed - _FIRST_SEED - seen.total()
        if seen[words(scene)] <= passed_over // (2 * _PICTURES) and seen.total() < _PICTURES:
            seen[words(scene)] += 1
            yield scene


def _save(path: Path, picture: Picture) -> int:
    coded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])[1].tobytes()
    path.write_bytes(coded)
    return len(coded)


def _labels(scene: Scene) -> str:
    return "-".join(sorted({thing.label.lower().replace(" ", "-") for thing in scene.things})) or "nothing"


def _count(scene: Scene) -> str:
    return f"{_NUMBERS[len(scene.things)]}-polyp{'' if len(scene.things) == 1 else 's'}"


def _gestures(scene: Scene) -> str:
    return "-".join(sorted(thing.pose.lower() for thing in scene.things)) or "nothing"


def _label(scene: Scene) -> str:
    return scene.label


_SUBJECTS: Final[dict[str, tuple[Drawer, Callable[[Scene], str]]]] = {
    "banana": (banana.draw, _labels),
    "polyp": (endoscopy.draw, _count),
    "gesture": (hands.draw, _gestures),
    "deepfake": (faces.draw, _label),
}


if __name__ == "__main__":
    print(f"{write(ROOT) / 1000:.0f} KB in {ROOT}")
