from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml

from demo_models.making import banana
from demo_models.making.dataset import bridge, label_lines, write
from demo_models.making.scene import Points
from demo_models.making.subjects import SUBJECTS


@pytest.mark.parametrize("name", ["demo-banana", "demo-hand", "demo-polyp"])
def test_a_data_set_has_a_label_file_for_each_picture(name: str, tmp_path: Path) -> None:
    write(SUBJECTS[name], tmp_path, range(3), unseen=True)
    head = yaml.safe_load((tmp_path / "data.yaml").read_text(encoding="utf-8"))
    assert tuple(head["names"].values()) == SUBJECTS[name].labels
    pictures = sorted((tmp_path / head["val"]).iterdir())
    labels = sorted((tmp_path / "labels" / "val").iterdir())
    assert [path.stem for path in pictures] == [path.stem for path in labels] == ["000000", "000001", "000002"]
    drawn = SUBJECTS[name].draw(1, unseen=True)
    read = cv2.imread(str(pictures[1]))
    assert read is not None
    assert read.shape == drawn.picture_bgr.shape
    assert len(labels[1].read_text(encoding="utf-8").splitlines()) == len(drawn.things)


def test_portraits_lie_in_a_folder_for_each_class(tmp_path: Path) -> None:
    write(SUBJECTS["demo-deepfake"], tmp_path, range(4), unseen=False)
    for path in (tmp_path / "val").rglob("*.png"):
        assert SUBJECTS["demo-deepfake"].draw(int(path.stem)).label == path.parent.name
    assert len(list(tmp_path.rglob("*.png"))) == 4


def test_a_box_line_is_centre_and_size_as_shares() -> None:
    scene = next(scene for scene in map(SUBJECTS["demo-polyp"].draw, range(10)) if scene.things)
    height, width = scene.picture_bgr.shape[:2]
    index, x, y, w, h = (float(word) for word in label_lines(scene, ("polyp",))[0].split())
    box = ((x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height)
    assert index == 0
    assert box == pytest.approx(scene.things[0].box_xyxy, abs=0.01)


def test_a_pose_line_holds_box_and_21_points() -> None:
    scene = SUBJECTS["demo-hand"].draw(0)
    height, width = scene.picture_bgr.shape[:2]
    values = np.array(label_lines(scene, ("hand",))[0].split(), float)
    points = values[5:].reshape(21, 3) * [width, height, 1]
    assert scene.things[0].points is not None
    assert points == pytest.approx(scene.things[0].points, abs=0.01)


def test_bridged_pieces_cover_what_the_pieces_cover() -> None:
    things = [thing for seed in range(40) for thing in banana.draw(seed, size_wh=(320, 320)).things]
    split = [thing.parts for thing in things if len(thing.parts) > 1]
    assert split
    for parts in split:
        one, many = (_filled(polygons) for polygons in ([bridge(parts)], parts))
        assert (one & many).sum() / (one | many).sum() > 0.93


def test_a_single_piece_needs_no_bridge() -> None:
    square = np.array([[0, 0], [4, 0], [4, 4], [0, 4]], np.float32)
    assert np.array_equal(bridge([square]), square)


def _filled(polygons: Sequence[Points]) -> np.ndarray:
    canvas = np.zeros((320, 320), np.uint8)
    for polygon in polygons:
        cv2.fillPoly(canvas, [np.round(polygon).astype(np.int32)], 1)
    return canvas.astype(bool)
