"""Models as files on this machine: a folder with a card, or one ONNX file that says enough of itself."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from processors.infer.folder import check_files, file_sha256, read_card
from processors.infer.onnxfile import external_files
from schemas.errors import ModelCode, ModelError
from schemas.modelcard import CARD_FILE, ModelCard, model_digest
from sightline.models.cardfile import CardChanges, complete, read_draft
from sightline.models.inspecting import describe

WEIGHTS_FILE: Final = "model.onnx"
_SUFFIX: Final = ".onnx"
_NO_CHANGES: Final = CardChanges()


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model whose files were read and match its card. `files`: where each file that the card lists lies."""

    card: ModelCard
    files: Mapping[str, Path]

    @property
    def digest(self) -> str:
        """The SHA-256 that names the model."""
        return model_digest(self.card)

    @property
    def weights(self) -> Path:
        """The file to load; what it points to lies beside it."""
        return self.files[self.card.weights]


def read_model(path: Path, card_path: Path | None = None, changes: CardChanges = _NO_CHANGES) -> LocalModel:
    """Read a folder, or an ONNX file, with a card of its own, that of `card_path`, or one made of its metadata.

    Blocks while it hashes every file. Raises ModelError: `model_missing`, `model_card_missing`,
    `model_card_invalid`, `model_digest_mismatch`, `model_external_data_missing`, and `model_unreadable` or
    `model_unsupported` for weights that cannot be opened.
    """
    folder, weights = _place(path)
    if card_path is None and path.is_dir() and (folder / CARD_FILE).is_file():
        card_path = folder / CARD_FILE
    if card_path is not None:
        fields, weights = _from_card(card_path, folder, weights)
    else:
        fields = _from_metadata(folder, weights)
    # In the store each model's weights have the same name, whatever the file was called.
    name = fields.setdefault("weights", WEIGHTS_FILE)
    listed: Mapping[str, str] = fields.get("files") or {}
    files = {name: folder / weights} | {file: folder / file for file in listed if file != name}
    hashes = {file: file_sha256(place) for file, place in files.items()}
    # Before the weights are looked into: damaged ones may not be readable at all.
    for file, sha256 in listed.items():
        if hashes[file] != sha256:
            raise ModelError(ModelCode.DIGEST_MISMATCH, str(files[file]), "is not the file of which the card speaks")
    for file in _beside(folder, weights):
        files[file] = folder / file
        hashes[file] = hashes.get(file) or file_sha256(files[file])
    fields |= {"files": hashes} | changes.given()
    return LocalModel(complete(_named(fields, path, hashes[name]), str(card_path or path)), files)


def open_folder(folder: Path) -> LocalModel:
    """Open a folder that holds a whole model, such as the cache's, and check every file against the card.

    Raises ModelError: `model_missing`, `model_card_missing`, `model_card_invalid`, `model_digest_mismatch`.
    """
    card = read_card(folder)
    check_files(folder, card)
    return LocalModel(card, {file: folder / file for file in card.files})


def _place(path: Path) -> tuple[Path, str]:
    """Return the folder and the weights' name; empty where only a card can tell."""
    if path.is_file():
        return path.parent, path.name
    if not path.is_dir():
        raise ModelError(ModelCode.MISSING, str(path), "there is no such file or folder")
    found = sorted(file.name for file in path.iterdir() if file.suffix == _SUFFIX)
    return path, found[0] if len(found) == 1 else ""


def _from_card(card_path: Path, folder: Path, weights: str) -> tuple[dict[str, Any], str]:
    draft = read_draft(card_path)
    fields = draft.model_dump(mode="json", exclude_unset=True)
    if (folder / draft.weights).is_file():
        return fields, draft.weights
    if "weights" in draft.model_fields_set or not weights:
        raise ModelError(ModelCode.MISSING, str(folder / draft.weights), "there is no such file")
    return fields, weights


def _from_metadata(folder: Path, weights: str) -> dict[str, Any]:
    if not weights:
        raise ModelError(ModelCode.CARD_MISSING, str(folder), f"holds neither {CARD_FILE} nor a single ONNX file")
    return describe(folder / weights)


def _beside(folder: Path, weights: str) -> list[str]:
    """List the files beside the weights in which these keep large tensors."""
    names = sorted(external_files(folder / weights))
    for name in names:
        if not (folder / name).is_file():
            raise ModelError(ModelCode.EXTERNAL_DATA_MISSING, str(folder / weights), f"keeps tensors in {name!r}")
    return names


def _named(fields: dict[str, Any], path: Path, sha256: str) -> dict[str, Any]:
    """Give a model that has no name its file's, and one without a version the beginning of its weights' SHA-256."""
    fallback = {"name": _plain_name(path.resolve().stem), "version": f"sha-{sha256[:12]}"}
    return fallback | fields


def _plain_name(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("._-")[:64] or "model"
