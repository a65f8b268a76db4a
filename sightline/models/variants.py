"""The forms that a model is exported to, and the folder that each becomes."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from schemas.errors import ConfigurationError
from schemas.modelcard import ModelCard
from sightline.models.cardfile import CardChanges, write_card
from sightline.models.local import LocalModel, read_model
from sightline.models.parity import FP16, FP32, Tolerances


class Variant(StrEnum):
    """What `models export --format` takes."""

    ONNX = "onnx"
    ONNX_FP16 = "onnx-fp16"
    ONNX_INT8 = "onnx-int8"
    COREML = "coreml"
    TENSORRT = "tensorrt"


# None: judged otherwise. TensorRT computes in half precision where that is faster.
TOLERANCES: Final[Mapping[Variant, Tolerances | None]] = {
    Variant.ONNX: FP32,
    Variant.ONNX_FP16: FP16,
    Variant.ONNX_INT8: None,
    Variant.COREML: None,
    Variant.TENSORRT: FP16,
}
_SUFFIXES: Final = {Variant.ONNX: "", Variant.ONNX_FP16: "-fp16", Variant.ONNX_INT8: "-int8", Variant.COREML: "-coreml"}


@dataclass(frozen=True, slots=True)
class Identity:
    """What all variants of one original have in common. `source_digest` is the SHA-256 of its file."""

    name: str
    version: str
    licence: str | None
    source_digest: str


def describe_variant(weights: Path, variant: Variant, identity: Identity) -> LocalModel:
    """Make the card of exported weights from what these say of themselves. Raises ModelError."""
    changes = CardChanges(
        name=identity.name, version=identity.version + _SUFFIXES.get(variant, ""), licence=identity.licence
    )
    found = read_model(weights, changes=changes)
    card = found.card.model_copy(update={"source_digest": identity.source_digest})
    return LocalModel(card, found.files)


def folder_name(identity: Identity, variant: Variant) -> str:
    """Return what a variant's folder is called."""
    return f"{identity.name}-{identity.version}{_SUFFIXES.get(variant, '')}"


def write_model_folder(model: LocalModel, metrics: Mapping[str, float], folder: Path) -> ModelCard:
    """Write weights and card as `models add` takes them. Raises ConfigurationError where the folder refuses."""
    card = model.card.model_copy(update={"metrics": {name: round(value, 4) for name, value in metrics.items()}})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, source in model.files.items():
            shutil.copyfile(source, folder / name)
        write_card(card, folder)
    except OSError as error:
        raise ConfigurationError(str(folder), f"cannot be written: {error.strerror}") from None
    return card
