"""Which labelled pictures quantisation learns its ranges from, and which ones judge it: never the same."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from schemas.errors import ConfigurationError
from schemas.modelcard import Task
from sightline.models.dataset import DATA_FILE, DataSet, load_dataset
from sightline.models.pictures import evenly

# What ultralytics recommends for calibration; more takes longer and changes nothing.
CALIBRATION_PICTURES: Final = 300
LABELLED_PICTURES: Final = 500


@dataclass(frozen=True, slots=True)
class Division:
    """`calibration` are pictures with the name of their class (empty where labels say it); `labelled` judge."""

    calibration: tuple[tuple[Path, str], ...]
    labelled: tuple[Path, ...]


def load_any(place: Path, split: str) -> DataSet:
    """Find a split's pictures before the model's task is known. Raises ConfigurationError as `load_dataset`."""
    by_folders = place.is_dir() and not (place / DATA_FILE).is_file()
    return load_dataset(place, Task.CLASSIFY if by_folders else Task.DETECT, split)


def divide(place: Path) -> Division:
    """Take calibration from the split `train`, and judge by `val` without pictures of equal content.

    Reads every chosen picture once. Raises ConfigurationError when a split is missing, or nothing is left.
    """
    train, val = load_any(place, "train").limited(CALIBRATION_PICTURES), load_any(place, "val")
    used = {_sha256(sample.picture) for sample in train.samples}
    names = [train.classes[sample.class_id] if sample.class_id is not None else "" for sample in train.samples]
    unused = [sample.picture for sample in val.samples if _sha256(sample.picture) not in used]
    if not unused:
        raise ConfigurationError(str(place), "every picture of val is also among those that calibrate")
    calibration = tuple((sample.picture, name) for sample, name in zip(train.samples, names, strict=True))
    return Division(calibration, tuple(evenly(unused, LABELLED_PICTURES)))


def _sha256(picture: Path) -> str:
    try:
        return hashlib.sha256(picture.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigurationError(str(picture), f"cannot be read: {error.strerror}") from None
