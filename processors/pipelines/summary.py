"""What a pipeline's own arithmetic gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Summary:
    """A verdict, and the facts behind it as JSON values."""

    verdict: str
    facts: Mapping[str, Any]
