"""A fingerprint of everything besides the picture and the models that a result depends on."""

from functools import lru_cache

import cv2
import PIL
import pillow_heif
import simplejpeg
from pydantic import BaseModel

from processors.quality import SCORING_VERSION
from schemas.encoding import canonical_json
from schemas.identity import sha256_hex
from schemas.modelcard import Thresholds
from schemas.pipeline import PipelineDefinition

_DECODERS = {
    "opencv": cv2.__version__,
    "simplejpeg": simplejpeg.__version__,
    "pillow": PIL.__version__,
    "pillow-heif": pillow_heif.__version__,
    "libheif": pillow_heif.libheif_version(),
}
# Raised whenever heads, non-maximum suppression or summaries answer otherwise than before.
ANSWER_VERSION = "1"
_RULES = {"summary", "models", "input", "quality", "gate"}
# Frames may bring thresholds of their own; so many different ones are remembered.
_REMEMBERED = 256


class SettingsDigest:
    """The SHA-256 (hex) over a pipeline's rules, the scoring version, the libraries' versions, and thresholds."""

    def __init__(self, definition: PipelineDefinition, options: BaseModel) -> None:
        """`options` are those of the pipeline's own arithmetic, with the defaults of what the definition leaves out."""
        self._facts = {
            "rules": definition.model_dump(mode="json", include=_RULES),
            "options": options.model_dump(mode="json"),
            "scoring": SCORING_VERSION,
            "answers": ANSWER_VERSION,
            "decoders": _DECODERS,
        }
        self.of = lru_cache(_REMEMBERED)(self._of)

    def _of(self, asked: Thresholds | None) -> str:
        """Return the digest for a frame that is judged by these thresholds; None where no model takes part."""
        thresholds = {} if asked is None else {"thresholds": asked.model_dump(mode="json")}
        return sha256_hex(canonical_json(self._facts | thresholds))
