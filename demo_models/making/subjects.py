"""The demo models by name: what each is, and what is drawn for it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from demo_models.making import banana, endoscopy, faces, hands, landmarks
from demo_models.making.dataset import Subject

ROOT: Final = Path(__file__).resolve().parents[1]
NOTICE: Final = "Trained on drawn scenes only, not for use."
AGPL: Final = "AGPL-3.0 (as claimed by the makers of ultralytics, with which it was trained)"
APACHE: Final = "Apache-2.0"

SUBJECTS: Final = {
    "demo-banana": Subject("segment", banana.LABELS, banana.draw),
    "demo-polyp": Subject("detect", endoscopy.LABELS, endoscopy.draw),
    "demo-hand": Subject("pose", hands.LABELS, hands.draw),
    "demo-deepfake": Subject("classify", faces.LABELS, faces.draw),
}


@dataclass(frozen=True)
class Description:
    """What stands in a model's metadata and card."""

    task: str
    labels: tuple[str, ...]
    text: str
    licence: str


DESCRIPTIONS: Final = {
    "demo-banana": Description("segment", banana.LABELS, "Ripeness of drawn bananas.", AGPL),
    "demo-polyp": Description("detect", endoscopy.LABELS, "Polyps in drawn endoscopy scenes.", AGPL),
    "demo-hand": Description("pose", hands.LABELS, "Drawn hands with 21 landmarks.", AGPL),
    "demo-gesture": Description("landmarks", landmarks.LABELS, "Gestures from 21 normalised landmarks.", APACHE),
    "demo-deepfake": Description("classify", faces.LABELS, "Real or fake drawn portraits.", APACHE),
}


def folder_of(name: str) -> Path:
    """Return the folder that holds a model's files."""
    return ROOT / name
