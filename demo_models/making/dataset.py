"""Writes drawn scenes as a data set in YOLO folder form; for a classifier, one folder a class."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import yaml

from demo_models.making.scene import Drawer, Points, Scene, Thing

SPLIT = "val"
_CHUNK = 16


@dataclass(frozen=True)
class Subject:
    """What is drawn for a model: its task, its classes in order, and how a scene is drawn."""

    task: str
    labels: tuple[str, ...]
    draw: Drawer


def write(subject: Subject, folder: Path, seeds: Sequence[int], *, unseen: bool, split: str = SPLIT) -> None:
    """Draw the scenes of `seeds` into `folder`; pictures are named by seed, files of the same name are replaced."""
    if subject.task != "classify":
        _write_head(subject, folder, split)
    draw_one = partial(_write_one, subject, folder, split, unseen)
    # Not by fork: OpenCV's threads do not live on in a forked child, which then waits for them for ever.
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        for _ in pool.map(draw_one, seeds, chunksize=_CHUNK):
            pass


def label_lines(scene: Scene, labels: Sequence[str]) -> list[str]:
    """Return a line of a YOLO label file for each object: class, then box, polygon or points, as shares of the size."""
    height, width = scene.picture_bgr.shape[:2]
    return [_line(thing, labels.index(thing.label), width, height) for thing in scene.things]


def bridge(parts: Sequence[Points]) -> Points:
    """Return the polygons as one: each is joined to those before it by a bridge without width, where they are nearest.

    A YOLO label holds one polygon an object, so an object in several pieces needs this.
    """
    joined = parts[0]
    for part in parts[1:]:
        far = ((joined[:, None] - part[None]) ** 2).sum(axis=2)
        here, there = np.unravel_index(int(far.argmin()), far.shape)
        turned = np.roll(part, -int(there), axis=0)
        joined = np.concatenate([joined[: here + 1], turned, turned[:1], joined[here:]])
    return joined


def _write_head(subject: Subject, folder: Path, split: str) -> None:
    for kind in ("images", "labels"):
        (folder / kind / split).mkdir(parents=True, exist_ok=True)
    head: dict[str, object] = {
        "path": ".",
        "train": f"images/{split}",
        "val": f"images/{split}",
        "names": dict(enumerate(subject.labels)),
    }
    if subject.task == "pose":
        head |= {"kpt_shape": [21, 3], "flip_idx": list(range(21))}
    (folder / "data.yaml").write_text(yaml.safe_dump(head, sort_keys=False), encoding="utf-8")


def _write_one(subject: Subject, folder: Path, split: str, unseen: bool, seed: int) -> None:  # noqa: FBT001 - mapped over seeds
    cv2.setNumThreads(1)
    scene = subject.draw(seed, unseen=unseen)
    name = f"{seed:06d}"
    if subject.task == "classify":
        place = folder / split / scene.label
        place.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(place / f"{name}.png"), scene.picture_bgr)
        return
    cv2.imwrite(str(folder / "images" / split / f"{name}.jpg"), scene.picture_bgr, [cv2.IMWRITE_JPEG_QUALITY, 95])
    lines = label_lines(scene, subject.labels)
    (folder / "labels" / split / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")


def _line(thing: Thing, index: int, width: int, height: int) -> str:
    scale = np.array([width, height], np.float32)
    if thing.parts:
        values = (bridge(thing.parts) / scale).ravel()
        return " ".join([str(index), *(f"{value:.6f}" for value in np.clip(values, 0, 1))])
    x1, y1, x2, y2 = np.clip(np.array(thing.box_xyxy) / np.tile(scale, 2), 0, 1)
    values = np.array([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1])
    words = [str(index), *(f"{value:.6f}" for value in values)]
    if thing.points is not None:
        for x, y, seen in thing.points:
            inside = 0 <= x < width and 0 <= y < height
            words += [f"{x / width:.6f}", f"{y / height:.6f}", str(int(seen))] if inside else ["0", "0", "0"]
    return " ".join(words)
