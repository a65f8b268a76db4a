"""The pipelines that need models: which of them can be shown, with which models, on which pictures."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from processors.pipelines import load_builtin
from schemas.errors import Code, ConfigurationError
from schemas.headers import Headers
from schemas.modelcard import CARD_FILE
from sightline.demo.sample import Sample, Seen
from sightline.demo.samples import Samples

# What fills each role, and whose pictures are shown.
_MODELS: Final[Mapping[str, Mapping[str, str]]] = {
    "banana": {"detector": "demo-banana"},
    "polyp": {"detector": "demo-polyp"},
    "deepfake": {"classifier": "demo-deepfake"},
    "gesture": {"detector": "demo-hand", "classifier": "demo-gesture"},
    "segment": {"detector": "demo-banana"},
    "detect": {"detector": "demo-polyp"},
    "classify": {"classifier": "demo-deepfake"},
    "pose": {"detector": "demo-hand"},
}
_PICTURES: Final[Mapping[str, str]] = {
    "segment": "banana", "detect": "polyp", "classify": "deepfake", "pose": "gesture",
}  # fmt: skip
# A model of drawn bananas is less sure than the pipeline wants of real ones: each frame asks for less.
_CONFIDENCE: Final[Mapping[str, str]] = {"banana": "0.3"}
_OF_A_CHECKOUT: Final = Path(__file__).resolve().parents[2] / "demo_models"
_OPTION: Final = "--models"
_JPEG: Final = "image/jpeg"
# A picture of this name has nothing on it that could be seen: a gate that rejects stops it.
_TOO_DARK: Final = "too-dark.jpg"


@dataclass(frozen=True, slots=True)
class Exhibit:
    """A pipeline with the folder of the model for each of its roles, and the folder of its pictures.

    `confidence` is what its frames ask for; null: the pipeline's own.
    """

    pipeline: str
    models: Mapping[str, Path]
    pictures: Path
    confidence: str | None = None


def find_exhibits(folder: Path | None) -> tuple[Exhibit, ...]:
    """Return what can be shown with the models of `folder`, by default the checkout's.

    Without them, or without ONNX Runtime, that is nothing. Raises ConfigurationError when `folder` is given and lacks
    something.
    """
    exhibits = tuple(_exhibits(folder or _OF_A_CHECKOUT))
    missing = [path for exhibit in exhibits for path in _needed(exhibit) if not path.exists()]
    if folder is None:
        runs = find_spec("onnxruntime") is not None
        return tuple(one for one in exhibits if runs and not set(_needed(one)) & set(missing))
    if missing:
        raise ConfigurationError(_OPTION, f"{missing[0]}: there is no such file or folder")
    if find_spec("onnxruntime") is None:
        raise ConfigurationError(_OPTION, "models need ONNX Runtime: pip install 'sightline[cpu]'")
    return exhibits


def note_on(exhibits: Sequence[Exhibit]) -> str | None:
    """Say in a line what is not shown and how it could be; None where all is shown."""
    hidden = sorted(_MODELS.keys() - {exhibit.pipeline for exhibit in exhibits})
    if not hidden:
        return None
    return (
        f"not shown: {', '.join(hidden)}; they need models: sightline demo --models FOLDER (demo_models of the"
        " source tree), and pip install 'sightline[cpu]'"
    )


def load_samples(exhibit: Exhibit) -> Samples:
    """Read an exhibit's pictures, and break the first in three ways. Raises ConfigurationError when there are none."""
    definition = load_builtin(exhibit.pipeline)
    kept = frozenset({"overlay"} | ({"picture"} if definition.keep == "picture" else set()))
    stopped = Seen("skipped", kept - {"overlay"})
    try:
        values = {path.name: path.read_bytes() for path in sorted(exhibit.pictures.glob("*.jpg"))}
    except OSError as error:
        raise ConfigurationError(_OPTION, f"{exhibit.pictures}: {error.strerror}") from None
    if not values:
        raise ConfigurationError(_OPTION, f"{exhibit.pictures}: there are no pictures")
    photos = [
        Sample(
            name,
            value,
            _JPEG,
            stopped if definition.gate == "reject" and name == _TOO_DARK else Seen("frame", kept),
            partial(_ask, exhibit.confidence),
            exhibit.pipeline,
        )
        for name, value in values.items()
    ]
    return Samples(photos, list(_broken(exhibit.pipeline, photos[0].value or b"")))


def _exhibits(folder: Path) -> Iterator[Exhibit]:
    for pipeline, models in _MODELS.items():
        paths = {role: folder / name for role, name in models.items()}
        pictures = folder / "samples" / _PICTURES.get(pipeline, pipeline)
        yield Exhibit(pipeline, paths, pictures, _CONFIDENCE.get(pipeline))


def _needed(exhibit: Exhibit) -> list[Path]:
    return [*(path / CARD_FILE for path in exhibit.models.values()), exhibit.pictures]


def _broken(pipeline: str, whole: bytes) -> Iterator[Sample]:
    half = whole[: len(whole) // 2]
    yield Sample("truncated.jpg", half, _JPEG, Code.PICTURE_TRUNCATED, pipeline=pipeline)
    yield Sample("letter.jpg", b"No picture at all.\n" * 20, _JPEG, Code.MEDIA_TYPE_UNKNOWN, pipeline=pipeline)
    yield Sample("too-sure.jpg", whole, _JPEG, Code.SETTING_INVALID, _asking_for_too_much, pipeline)


def _ask(confidence: str | None, headers: Headers) -> Headers:
    """Ask for an overlay, and for a confidence where one is given."""
    asked: Headers = [] if confidence is None else [("ce_confidence", confidence.encode())]
    return [*headers, ("ce_overlay", b"true"), *asked]


def _asking_for_too_much(headers: Headers) -> Headers:
    return [*headers, ("ce_confidence", b"1.5")]
