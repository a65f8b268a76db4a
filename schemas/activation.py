"""Which models are in force for one role of one pipeline: a message on a compacted topic of its own.

The newest message is the whole state, so that a reader needs no other. Canary: a fixed share of the frames is
answered by another model; the same frame takes the same side on any worker. Shadow: another model answers the same
frames beside the live one, in results of variant `shadow`.
"""

import hashlib
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from schemas.modelcard import NAME, ModelCard, model_digest
from schemas.result import Moment, WireModel

ACTIVATION_TYPE: Final = "sightline.activation.v1"
ACTIVATION_SCHEMA: Final = "urn:sightline:schema:activation:v1"
_HASH_RANGE: Final = 2**64
_Name = Annotated[str, Field(pattern=rf"^{NAME.pattern}$")]


class ModelAddress(WireModel):
    """A model in the store."""

    name: _Name
    version: _Name
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")

    @classmethod
    def of(cls, card: ModelCard) -> Self:
        """Return where a model of this card lies."""
        return cls(name=card.name, version=card.version, digest=model_digest(card))

    def __str__(self) -> str:
        return f"{self.name}@{self.version}"


class Canary(WireModel):
    """A model that answers a share of the frames. `salt` stays while the share is raised."""

    model: ModelAddress
    share: Annotated[float, Field(gt=0, le=1)]
    by: Literal["frame", "source"] = "frame"
    salt: str

    def takes(self, frame_id: str, source: str) -> bool:
        """Tell which side a frame is on; raising `share` moves no frame back."""
        return takes_side(self.salt, frame_id if self.by == "frame" else source, self.share)


class Activation(WireModel):
    """The models of one role. `previous` is what `rollback` goes back to."""

    activation_id: str
    pipeline: str
    role: str
    live: ModelAddress
    canary: Canary | None = None
    shadow: ModelAddress | None = None
    previous: ModelAddress | None = None
    activated_at: Moment
    activated_by: str

    @model_validator(mode="after")
    def _canary_differs(self) -> Self:
        if self.canary is not None and self.canary.model.digest == self.live.digest:
            raise ValueError("the canary is the live model")
        return self


def takes_side(salt: str, subject: str, share: float) -> bool:
    """Tell whether `subject` is among the share (0 to 1): by the first 64 bits of SHA-256 over salt and subject."""
    digest = hashlib.sha256(f"{salt}\0{subject}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") < share * _HASH_RANGE
