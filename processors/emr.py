"""The form in which hospital systems read what was found: a flat JSON without anything of sightline's own."""

import json

from schemas.encoding import format_time
from schemas.result import Result


def emr_json(result: Result) -> bytes | None:
    """Return a result in that form, or None where nobody looked: no detections would read as "nothing found".

    Coordinates are pixels of the upright picture, as in the result. `model_version` is `NAME/VERSION` of the model
    that sees the picture.
    """
    if result.detections is None or not result.models:
        return None
    model = result.models[0]
    content = {
        "detections": [
            {"bbox": found.bbox, "confidence": found.confidence, "class": found.class_name}
            for found in result.detections
        ],
        "processed_at": format_time(result.processed_at),
        "model_version": f"{model.name}/{model.version}",
    }
    return json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False).encode()
