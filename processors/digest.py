"""A fingerprint of everything besides the picture that a result depends on."""

from functools import cache
from importlib.metadata import version

import pillow_heif

from processors.quality import SCORING_VERSION
from schemas.encoding import canonical_json
from schemas.identity import sha256_hex
from schemas.pipeline import PipelineDefinition

_DECODERS = ("opencv-python-headless", "simplejpeg", "pillow-heif")


@cache
def settings_digest(definition: PipelineDefinition) -> str:
    """Return the SHA-256 (hex) over the pipeline's rules, the scoring version and the decoders' versions."""
    facts = {
        "rules": definition.model_dump(mode="json", include={"summary", "input", "quality", "gate"}),
        "scoring": SCORING_VERSION,
        "decoders": {name: version(name) for name in _DECODERS} | {"libheif": pillow_heif.libheif_version()},
    }
    return sha256_hex(canonical_json(facts))
