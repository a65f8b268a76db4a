"""Models in the object store: `models/<name>/<version>/<digest>/` with the card and the files that it lists."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from schemas.activation import ModelAddress
from schemas.errors import ConfigurationError, ModelCode, ModelError
from schemas.modelcard import CARD_FILE, ModelCard, model_digest
from sightline.models.cardfile import card_text, parse_card
from sightline.models.local import LocalModel, open_folder
from sightline.runtime.objectstore import ObjectNotFoundError, ObjectStore, ObjectTooLargeError, open_store
from sightline.runtime.settings import Settings

PREFIX: Final = "models/"
# Weights are larger than what else lies there, and one request brings a whole file.
_REQUEST_TIMEOUT_S: Final = 300.0
_CARD_BYTES: Final = 1024 * 1024
_WEIGHTS_TYPE: Final = "application/octet-stream"
_CARD_TYPE: Final = "application/yaml"
_LEAST_PREFIX: Final = 6


@dataclass(frozen=True, slots=True)
class ModelStore:
    """Models under `models/` of an object store. A version never changes once it is there.

    Every method blocks, and raises OutageError, SetupError or UnclearError as `ObjectStore` does.
    """

    objects: ObjectStore

    def add(self, model: LocalModel) -> bool:
        """Store a model; return whether it is new. The card goes last: a model without one is not listed.

        Raises ConfigurationError when the version is there with another digest.
        """
        address = ModelAddress.of(model.card)
        for known in self.addresses(address.name):
            if known.version == address.version:
                if known.digest == address.digest:
                    return False
                problem = f"is there already, with digest {known.digest[:12]}; a version never changes"
                raise ConfigurationError(str(address), problem)
        for name, path in model.files.items():
            self.objects.put(_key(address, name), path.read_bytes(), _WEIGHTS_TYPE)
        self.objects.put(_key(address, CARD_FILE), card_text(model.card).encode(), _CARD_TYPE)
        return True

    def addresses(self, name: str | None = None) -> list[ModelAddress]:
        """List the models that are there whole, or those of one name, by name and version."""
        found = self.objects.list(PREFIX if name is None else f"{PREFIX}{name}/")
        addresses = [address for info in found if (address := _address(info.key)) is not None]
        return sorted(addresses, key=lambda one: (one.name, one.version, one.digest))

    def find(self, text: str) -> ModelAddress:
        """Return the one model that `text` means: NAME@VERSION, NAME with one version, or a digest's beginning.

        Raises ModelError (`model_missing`), and ConfigurationError where it means more than one.
        """
        matching = [address for address in self.addresses() if _is_meant(address, text)]
        if not matching:
            raise ModelError(ModelCode.MISSING, text, "there is no such model; `sightline models list` shows all")
        if len(matching) > 1:
            shown = ", ".join(f"{address} ({address.digest[:12]})" for address in matching)
            raise ConfigurationError(text, f"may be one of {shown}: name one with its version or digest")
        return matching[0]

    def card(self, address: ModelAddress) -> ModelCard:
        """Read a model's card. Raises ModelError (`model_missing`, `model_card_invalid`, `model_digest_mismatch`)."""
        where = f"{address}/{CARD_FILE}"
        try:
            data = self.objects.get(_key(address, CARD_FILE), _CARD_BYTES)
            text = data.decode()
        except ObjectNotFoundError:
            raise ModelError(ModelCode.MISSING, str(address), "is not in the store") from None
        except (ObjectTooLargeError, UnicodeDecodeError) as error:
            raise ModelError(ModelCode.CARD_INVALID, where, f"is no card: {type(error).__name__}") from None
        card = parse_card(ModelCard, text, where)
        if not _names(address, card):
            raise ModelError(ModelCode.DIGEST_MISMATCH, where, "is not the card of this address")
        return card

    def download(self, address: ModelAddress, folder: Path) -> LocalModel:
        """Write a model into an empty folder, checked; errors as of `card`, and for a file that lacks or differs."""
        card = self.card(address)
        for name in card.files:
            key = _key(address, name)
            try:
                info = self.objects.stat(key)
                data = self.objects.get(key, 0 if info is None else info.size_bytes)
            except ObjectNotFoundError:
                raise ModelError(ModelCode.MISSING, f"{address}/{name}", "is not in the store") from None
            except ObjectTooLargeError:
                problem = "changed while it was read"
                raise ModelError(ModelCode.DIGEST_MISMATCH, f"{address}/{name}", problem) from None
            (folder / name).write_bytes(data)
        (folder / CARD_FILE).write_text(card_text(card), encoding="utf-8")
        return open_folder(folder)


def open_model_store(settings: Settings) -> ModelStore:
    """Open the store of the settings; nothing is contacted yet. Raises ConfigurationError."""
    return ModelStore(open_store(settings.objects_url(), settings.s3, timeout_s=_REQUEST_TIMEOUT_S))


def _key(address: ModelAddress, file: str) -> str:
    return f"{PREFIX}{address.name}/{address.version}/{address.digest}/{file}"


def _address(key: str) -> ModelAddress | None:
    """Read an address from a card's key; anything else that lies there is no model of ours."""
    parts = key.removeprefix(PREFIX).split("/")
    if len(parts) != len(("name", "version", "digest", CARD_FILE)) or parts[-1] != CARD_FILE:
        return None
    try:
        return ModelAddress(name=parts[0], version=parts[1], digest=parts[2])
    except ValidationError:
        return None


def _is_meant(address: ModelAddress, text: str) -> bool:
    if "@" in text:
        return str(address) == text
    return address.name == text or (len(text) >= _LEAST_PREFIX and address.digest.startswith(text))


def _names(address: ModelAddress, card: ModelCard) -> bool:
    return (address.name, address.version, address.digest) == (card.name, card.version, model_digest(card))
