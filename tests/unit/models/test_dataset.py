"""Data sets in YOLO's folder form: found, read, and refused with file and line."""

from pathlib import Path

import numpy as np
import pytest

from schemas.errors import ConfigurationError
from schemas.modelcard import Task
from sightline.models.calibration import divide
from sightline.models.dataset import label_path, load_dataset
from sightline.models.labels import LabelForm, read_labels
from tests.pictures import jpeg


def _picture(folder: Path, name: str, seed: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(jpeg(seed))
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for number in range(3):
        _picture(tmp_path / "images" / "val", f"{number}.jpg", number)
    labels = tmp_path / "labels" / "val"
    labels.mkdir(parents=True)
    (labels / "0.txt").write_text("0 0.5 0.5 0.5 0.25\n1 0.25 0.25 0.5 0.5\n")
    (labels / "1.txt").write_text("")
    file = tmp_path / "data.yaml"
    file.write_text("train: images/train\nval: images/val\nnames:\n  0: apple\n  1: pear\nnc: 2\n")
    return file


def test_labels_become_pixels(data: Path) -> None:
    dataset = load_dataset(data, Task.DETECT)
    assert dataset.classes == ("apple", "pear")
    assert [sample.picture.name for sample in dataset.samples] == ["0.jpg", "1.jpg", "2.jpg"]
    first, second = dataset.truths(dataset.samples[0])
    assert (first.class_id, second.class_id) == (0, 1)
    assert first.scaled(200, 100).bbox.tolist() == [50, 37.5, 150, 62.5]
    # An empty file and none at all: a picture without objects.
    assert dataset.truths(dataset.samples[1]) == dataset.truths(dataset.samples[2]) == []


def test_the_folder_will_do(data: Path) -> None:
    assert load_dataset(data.parent, Task.DETECT).samples == load_dataset(data, Task.DETECT).samples


def test_a_list_of_pictures_will_do(data: Path) -> None:
    (data.parent / "val.txt").write_text("images/val/2.jpg\n\nimages/val/0.jpg\n")
    data.write_text("val: val.txt\nnames: [apple, pear]\n")
    assert [sample.picture.name for sample in load_dataset(data, Task.DETECT).samples] == ["2.jpg", "0.jpg"]


def test_a_path_in_the_file_is_where_the_splits_are(data: Path) -> None:
    other = data.parent / "elsewhere" / "data.yaml"
    other.parent.mkdir()
    other.write_text(f"path: {data.parent}\nval: images/val\nnames: [apple, pear]\n")
    assert len(load_dataset(other, Task.DETECT).samples) == 3


def test_fewer_pictures_are_chosen_evenly(data: Path) -> None:
    dataset = load_dataset(data, Task.DETECT)
    assert [sample.picture.name for sample in dataset.limited(2).samples] == ["0.jpg", "1.jpg"]
    assert dataset.limited(None).samples == dataset.limited(9).samples == dataset.samples


def test_only_the_last_folder_of_pictures_is_replaced() -> None:
    assert label_path(Path("/images/set/images/val/a.b.jpg")) == Path("/images/set/labels/val/a.b.txt")


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("2 0.5 0.5 0.5 0.5", "class 2 is not one of 0 to 1"),
        ("-1 0.5 0.5 0.5 0.5", "class -1"),
        ("0.5 0.5 0.5 0.5 0.5", "class 0.5"),
        ("0 0.5 0.5 0.5", "3 numbers"),
        ("0 0.5 0.5 half 0.5", "malformed"),
        ("0 0.5 0.5 nan 0.5", "not finite"),
        ("0 320 240 64 48", "shares of the picture"),
        ("0 0.5 0.5 0 0.5", "no width or height"),
        ("0", "0 numbers"),
    ],
)
def test_a_bad_line_is_named(data: Path, line: str, problem: str) -> None:
    file = data.parent / "labels" / "val" / "0.txt"
    file.write_text(f"0 0.5 0.5 0.5 0.5\n\n{line}\n")
    dataset = load_dataset(data, Task.DETECT)
    with pytest.raises(ConfigurationError) as caught:
        dataset.truths(dataset.samples[0])
    assert caught.value.where == f"{file}:3"
    assert problem in caught.value.problem


def test_a_repeated_line_counts_once(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.5 0.5\n0 0.5 0.5 0.5 0.5\n")
    assert len(read_labels(tmp_path / "a.txt", LabelForm(Task.DETECT, 1))) == 1


def test_polygons(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0 0.1 0.2 0.5 0.2 0.5 0.6\n")
    (truth,) = read_labels(tmp_path / "a.txt", LabelForm(Task.SEGMENT, 1))
    assert truth.polygon is not None
    scaled = truth.scaled(100, 50)
    assert scaled.polygon is not None
    assert np.allclose(scaled.polygon, [[10, 10], [50, 10], [50, 30]])
    assert np.allclose(scaled.bbox, [10, 10, 50, 30])
    # For detection its box counts.
    (boxed,) = read_labels(tmp_path / "a.txt", LabelForm(Task.DETECT, 1))
    assert boxed.polygon is None
    assert np.allclose(boxed.bbox, truth.bbox)


@pytest.mark.parametrize("line", ["0 0.5 0.5 0.5 0.5", "0 0.1 0.2 0.5 0.2 0.5 0.6 0.7"])
def test_what_is_no_polygon(tmp_path: Path, line: str) -> None:
    (tmp_path / "a.txt").write_text(line)
    with pytest.raises(ConfigurationError, match="neither a box nor a polygon"):
        read_labels(tmp_path / "a.txt", LabelForm(Task.SEGMENT, 1))


def test_keypoints_with_and_without_visibility(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("0 0.5 0.5 0.5 0.5 0.4 0.4 2 0 0 0\n")
    (tmp_path / "b.txt").write_text("0 0.5 0.5 0.5 0.5 0.4 0.4 0 0\n")
    for name, shape in (("a.txt", (2, 3)), ("b.txt", (2, 2))):
        (truth,) = read_labels(tmp_path / name, LabelForm(Task.POSE, 1, shape))
        assert truth.keypoints is not None
        assert truth.keypoints[:, 2].tolist() == [2.0, 0.0]
        scaled = truth.scaled(10, 20).keypoints
        assert scaled is not None
        assert scaled[0].tolist() == [4.0, 8.0, 2.0]
    with pytest.raises(ConfigurationError, match="10 are wanted"):
        read_labels(tmp_path / "b.txt", LabelForm(Task.POSE, 1, (2, 3)))


def test_what_is_missing_is_named(data: Path) -> None:
    with pytest.raises(ConfigurationError, match="has no split test"):
        load_dataset(data, Task.DETECT, "test")
    with pytest.raises(ConfigurationError, match="there is no such folder"):
        load_dataset(data, Task.DETECT, "train")
    with pytest.raises(ConfigurationError, match="kpt_shape"):
        load_dataset(data, Task.POSE)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_dataset(data.parent / "other.yaml", Task.DETECT)
    stray = data.parent / "labels" / "val" / "9.txt"
    stray.write_text("")
    with pytest.raises(ConfigurationError, match="labels without a picture") as caught:
        load_dataset(data, Task.DETECT)
    assert caught.value.where == str(stray)


def test_a_listed_picture_that_is_missing(data: Path) -> None:
    (data.parent / "val.txt").write_text("images/val/2.jpg\nimages/val/7.jpg\n")
    data.write_text("val: val.txt\nnames: [apple, pear]\n")
    with pytest.raises(ConfigurationError, match=r"7\.jpg") as caught:
        load_dataset(data, Task.DETECT)
    assert caught.value.where.endswith("val.txt:2")


def test_ids_of_names_without_gaps(data: Path) -> None:
    data.write_text("val: images/val\nnames: {0: apple, 2: pear}\n")
    with pytest.raises(ConfigurationError, match="0, 1, 2"):
        load_dataset(data, Task.DETECT)


def test_folders_of_classes(tmp_path: Path) -> None:
    _picture(tmp_path / "val" / "pear", "a.jpg")
    _picture(tmp_path / "val" / "apple", "b.jpg", 1)
    dataset = load_dataset(tmp_path, Task.CLASSIFY)
    assert dataset.classes == ("apple", "pear")
    assert [(sample.picture.name, sample.class_id) for sample in dataset.samples] == [("b.jpg", 0), ("a.jpg", 1)]
    with pytest.raises(ConfigurationError, match="there is no such folder"):
        load_dataset(tmp_path, Task.CLASSIFY, "test")
    _picture(tmp_path / "val", "c.jpg")
    with pytest.raises(ConfigurationError, match="no class's folder"):
        load_dataset(tmp_path, Task.CLASSIFY)


def test_what_calibrates_never_judges(data: Path) -> None:
    for number in (1, 5):  # the first of these is also a picture of val, under another name
        _picture(data.parent / "images" / "train", f"t{number}.jpg", number)
    division = divide(data)
    assert [path.name for path, _ in division.calibration] == ["t1.jpg", "t5.jpg"]
    assert [path.name for path in division.labelled] == ["0.jpg", "2.jpg"]


def test_nothing_left_to_judge_by(data: Path) -> None:
    for number in range(3):
        _picture(data.parent / "images" / "train", f"{number}.jpg", number)
    with pytest.raises(ConfigurationError, match="every picture of val"):
        divide(data)
