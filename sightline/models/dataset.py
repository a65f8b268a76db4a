"""A labelled data set in the folder form that YOLO's tools use.

Detect, segment, pose: `data.yaml` names the classes and, for each split, a folder of pictures or a text file that
lists them; labels lie beside, `images/` in a picture's path replaced by `labels/`. Classify: a folder a split, in it
a folder a class.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from schemas.errors import ConfigurationError
from schemas.modelcard import Task
from schemas.yamlfile import load_yaml
from sightline.models.labels import LabelForm, Truth, read_labels
from sightline.models.pictures import SUFFIXES, evenly, find_pictures

DATA_FILE: Final = "data.yaml"
_IMAGES, _LABELS = "images", "labels"
_NO_LABELS: Final = frozenset({"classes.txt", "notes.txt"})  # what labelling tools leave beside the labels


@dataclass(frozen=True, slots=True)
class Sample:
    """One picture. `labels` is where its label file is, if it has one; `class_id` is set for classify."""

    picture: Path
    labels: Path | None = None
    class_id: int | None = None


@dataclass(frozen=True, slots=True)
class DataSet:
    """One split. `classes` are the names by the ids that labels use."""

    place: Path
    split: str
    classes: tuple[str, ...]
    samples: tuple[Sample, ...]
    form: LabelForm

    def truths(self, sample: Sample) -> list[Truth]:
        """Read a sample's labels, in shares of its picture. Raises ConfigurationError with file and line."""
        return [] if sample.labels is None else read_labels(sample.labels, self.form)

    def limited(self, count: int | None) -> "DataSet":
        """Return the data set with at most so many pictures, evenly chosen."""
        chosen = set(evenly([sample.picture for sample in self.samples], count))
        samples = tuple(sample for sample in self.samples if sample.picture in chosen)
        return DataSet(self.place, self.split, self.classes, samples, self.form)


class _DataFile(BaseModel):
    """What is read of a `data.yaml`; it holds more, which is for training."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    names: dict[int, str] | list[str] = Field(min_length=1)
    path: str = ""
    train: str | list[str] | None = None
    val: str | list[str] | None = None
    test: str | list[str] | None = None
    kpt_shape: tuple[int, int] | None = None


def load_dataset(place: Path, task: Task, split: str = "val") -> DataSet:
    """Find the pictures of one split: `place` is a `data.yaml`, or a folder that holds one or folders of classes.

    Labels are read by `truths`; here only their places are found. Raises ConfigurationError, with file and line
    where there is one: no such split, a listed picture that is missing, labels without a picture.
    """
    if task is Task.CLASSIFY:
        return _by_folders(place, split)
    file = place / DATA_FILE if place.is_dir() else place
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(file), f"cannot be read: {type(error).__name__}") from None
    content = load_yaml(_DataFile, text, str(file))
    form = LabelForm(task, len(content.names), content.kpt_shape)
    if task is Task.POSE and content.kpt_shape is None:
        raise ConfigurationError(str(file), "kpt_shape is missing, which labels of keypoints need")
    samples = tuple(_samples(content, split, file))
    return DataSet(place, split, _class_names(content, file), samples, form)


def _class_names(content: _DataFile, file: Path) -> tuple[str, ...]:
    if isinstance(content.names, list):
        return tuple(content.names)
    if sorted(content.names) != list(range(len(content.names))):
        raise ConfigurationError(str(file), "the ids of names are not 0, 1, 2 and so on")
    return tuple(content.names[number] for number in range(len(content.names)))


def _samples(content: _DataFile, split: str, file: Path) -> Iterator[Sample]:
    places = getattr(content, split, None)
    if places is None:
        raise ConfigurationError(str(file), f"has no split {split}")
    root = file.parent / content.path
    for entry in [places] if isinstance(places, str) else places:
        place = root / entry
        if place.suffix == ".txt":
            pictures = _listed(place)
        else:
            pictures = find_pictures(place)
            _check_strays(place, pictures)
        for picture in pictures:
            yield Sample(picture, label_path(picture))


def label_path(picture: Path) -> Path:
    """Return where a picture's labels are: its last folder `images` becomes `labels`, its suffix `.txt`."""
    parts = list(picture.parts)
    for index in range(len(parts) - 2, -1, -1):
        if parts[index] == _IMAGES:
            parts[index] = _LABELS
            break
    return Path(*parts).with_suffix(".txt")


def _listed(file: Path) -> list[Path]:
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(str(file), f"cannot be read: {type(error).__name__}") from None
    pictures = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        picture = file.parent / line.strip()
        if not picture.is_file():
            raise ConfigurationError(f"{file}:{number}", f"there is no picture {picture}")
        pictures.append(picture)
    if not pictures:
        raise ConfigurationError(str(file), "lists no picture")
    return pictures


def _check_strays(folder: Path, pictures: Sequence[Path]) -> None:
    """Refuse label files without a picture: most likely it got lost, and the score would change."""
    labels = label_path(folder / "any.jpg").parent
    if labels == folder or not labels.is_dir():
        return
    known = {label_path(picture) for picture in pictures}
    for file in sorted(labels.rglob("*.txt")):
        if file not in known and file.name not in _NO_LABELS:
            raise ConfigurationError(str(file), f"labels without a picture in {folder}")


def _by_folders(place: Path, split: str) -> DataSet:
    folder = place / split
    if not folder.is_dir():
        raise ConfigurationError(str(folder), "there is no such folder; one is needed for each split")
    classes = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")))
    strays = [path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES]
    if strays:
        raise ConfigurationError(str(min(strays)), "a picture that lies in no class's folder")
    if not classes:
        raise ConfigurationError(str(folder), "holds no folder of a class")
    samples = [
        Sample(picture, class_id=number)
        for number, name in enumerate(classes)
        for picture in find_pictures(folder / name)
    ]
    return DataSet(place, split, classes, tuple(samples), LabelForm(Task.CLASSIFY, len(classes)))
