"""A fingerprint of everything besides the picture that a result depends on."""

from functools import cache

import cv2
import pillow_heif
import simplejpeg

from processors.quality import SCORING_VERSION
from schemas.encoding import canonical_json
from schemas.identity import sha256_hex
from schemas.pipeline import PipelineDefinition

_DECODERS = {
    "opencv": cv2.__version__,
    "simplejpeg": simplejpeg.__version__,
    "pillow-heif": pillow_heif.__version__,
    "libheif": pillow_heif.libheif_version(),
}


@cache
def settings_digest(definition: PipelineDefinition) -> str:
    """Return the SHA-256 (hex) over the pipeline's rules, the scoring version and the decoders' versions."""
    facts = {
        "rules": definition.model_dump(mode="json", include={"summary", "input", "quality", "gate"}),
        "scoring": SCORING_VERSION,
        "decoders": _DECODERS,
    }
    return sha256_hex(canonical_json(facts))
