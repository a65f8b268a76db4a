"""Cards as files: written so that reading gives the same card, and completed where a person wrote only the rest."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import yaml
from pydantic import Field, ValidationError, model_validator

from schemas.errors import ConfigurationError, ModelCode, ModelError
from schemas.modelcard import CARD_FILE, NAME, ModelCard
from schemas.yamlfile import load_yaml

Card = TypeVar("Card", bound=ModelCard)
_NUMBER = re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?$")


class CardDraft(ModelCard):
    """A card as a person writes it: name, version, licence and the files' digests may come from elsewhere."""

    name: Annotated[str, Field(pattern=rf"^{NAME.pattern}$")] = "unnamed"
    version: Annotated[str, Field(pattern=rf"^{NAME.pattern}$")] = "unversioned"
    licence: str = ""
    files: dict[str, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        """Leave the check to the whole card: a part may still be missing."""
        return self


@dataclass(frozen=True, slots=True)
class CardChanges:
    """What the command line says over a card, or over what the weights say of themselves; None leaves it."""

    name: str | None = None
    version: str | None = None
    licence: str | None = None
    description: str | None = None

    def given(self) -> dict[str, str]:
        """Return the fields that are given."""
        fields = {"name": self.name, "version": self.version, "licence": self.licence, "description": self.description}
        return {field: value for field, value in fields.items() if value is not None}


def read_draft(path: Path) -> CardDraft:
    """Read a card that may lack parts. Raises ModelError (`model_card_missing`, `model_card_invalid`)."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ModelError(ModelCode.CARD_MISSING, str(path), "there is no such card") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(ModelCode.CARD_INVALID, str(path), f"cannot be read: {type(error).__name__}") from None
    return parse_card(CardDraft, text, str(path))


def parse_card(kind: type[Card], text: str, where: str) -> Card:
    """Read a card's YAML. Raises ModelError (`model_card_invalid`) with file and line."""
    try:
        return load_yaml(kind, text, where)
    except ConfigurationError as error:
        raise ModelError(ModelCode.CARD_INVALID, error.where, error.problem) from None


def complete(fields: Mapping[str, Any], where: str) -> ModelCard:
    """Build a card of its fields. Raises ModelError (`model_card_invalid`) that names the first wrong one."""
    try:
        return ModelCard.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        problem = str(first["ctx"]["error"]) if first["type"] == "value_error" else first["msg"]
        path = ".".join(str(part) for part in first["loc"])
        raise ModelError(ModelCode.CARD_INVALID, where, f"{path}: {problem}" if path else problem) from None


def card_text(card: ModelCard) -> str:
    """Write a card as YAML; reading it gives an equal card, and an equal card gives the same text."""
    fields = card.model_dump(mode="json", exclude_defaults=True)
    return yaml.dump(fields, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=110)


def write_card(card: ModelCard, folder: Path) -> Path:
    """Write a model's card beside its files; returns its path."""
    path = folder / CARD_FILE
    path.write_text(card_text(card), encoding="utf-8")
    return path


class _Dumper(yaml.SafeDumper):
    """Quotes also those words that only YAML 1.2, which our reader follows, takes for numbers (a version `1e5`)."""


_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", _NUMBER, list("-+.0123456789"))


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Only double quotes escape what PyYAML would otherwise write as line breaks that reading folds away.
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=None if text.isprintable() else '"')


_Dumper.add_representer(str, _text)
