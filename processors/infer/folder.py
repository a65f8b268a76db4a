"""A model's folder: its card, and files that are what the card says."""

import hashlib
from pathlib import Path

from processors.infer.onnxfile import external_files
from schemas.errors import ConfigurationError, ModelCode, ModelError
from schemas.modelcard import CARD_FILE, ModelCard, load_card


def read_card(folder: Path) -> ModelCard:
    """Read the card of a model's folder.

    Raises ModelError: `model_missing` without the folder, `model_card_missing`, `model_card_invalid`.
    """
    path = folder / CARD_FILE
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        if folder.is_dir():
            raise ModelError(ModelCode.CARD_MISSING, str(path), "the folder has no card") from error
        raise ModelError(ModelCode.MISSING, str(folder), "there is no such folder") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(ModelCode.CARD_INVALID, str(path), "the card cannot be read") from error
    try:
        return load_card(text, str(path))
    except ConfigurationError as error:
        raise ModelError(ModelCode.CARD_INVALID, error.where, error.problem) from error


def check_files(folder: Path, card: ModelCard) -> None:
    """Compare every file with the card's digest. Blocks for reading them all.

    Raises ModelError: `model_missing`, `model_digest_mismatch`.
    """
    for name, wanted in card.files.items():
        found = file_sha256(folder / name)
        if found != wanted:
            problem = f"is not the file of which the card speaks: expected SHA-256 {wanted}, got {found}"
            raise ModelError(ModelCode.DIGEST_MISMATCH, str(folder / name), problem)


def file_sha256(path: Path) -> str:
    """Hash a file, a piece at a time. Raises ModelError (`model_missing`) when it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(ModelCode.MISSING, str(path), f"cannot be read: {error.strerror}") from error


def check_listed(card: ModelCard, weights: Path) -> None:
    """Refuse weights that lie in part in a file that the card does not list, and so the digest does not cover.

    Raises ModelError: `model_external_data_missing`, and what external_files raises.
    """
    if not external_files(weights) <= set(card.files):
        problem = "the weights point to a file that the card does not list"
        raise ModelError(ModelCode.EXTERNAL_DATA_MISSING, str(weights), problem)
