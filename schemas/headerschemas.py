"""JSON Schema of the headers that messages carry, and of a frame in structured mode.

A header's value is described as the text that its bytes are in UTF-8.
"""

import re
from typing import Any

from schemas.alert import ALERT_TYPE
from schemas.deadletter import ATTEMPT_HEADER, MAX_REASON_BYTES, REDRIVEN_HEADER
from schemas.errors import Code, Stage
from schemas.frame import FRAME_TYPE, MAX_ATTRIBUTE_LENGTH, NUMBER, SPEC_VERSION, TRACEPARENT
from schemas.message import ARTIFACT_TYPE
from schemas.replay import ALWAYS_THERE, REPLAY_HEADERS
from schemas.replaycommand import COMMAND_TYPE
from schemas.result import RESULT_TYPE

Schema = dict[str, Any]

_COUNT = "^[0-9]{1,19}$"
_SETTINGS = {
    "confidence": "Lowest confidence of a detection, from 0 to 1.",
    "iou": "Overlap from which one of two detections is suppressed, from 0 to 1.",
    "overlay": "Whether to draw an overlay picture.",
    "keep": "Whether to keep the picture.",
    "deadline": "When the result is of no use any more.",
}


def frame() -> Schema:
    """Describe the headers of a frame in binary mode."""
    return _object(
        "FrameHeaders",
        "Headers of a frame in binary mode; the value is the picture, or null with `ce_dataref`.",
        {
            "ce_specversion": {"const": SPEC_VERSION},
            "ce_type": {"const": FRAME_TYPE},
            "ce_id": _attribute("Identifies the frame within its source."),
            "ce_source": _attribute("The camera, such as /farms/7/cameras/north."),
            "ce_time": _time("Capture time; without it the record's own timestamp counts."),
            "content-type": _text("Media type of the picture, such as image/jpeg.", maxLength=MAX_ATTRIBUTE_LENGTH),
            **{f"ce_{name}": content for name, content in _extensions().items()},
            "traceparent": _text("W3C trace context.", pattern=_whole(TRACEPARENT)),
            **{f"ce_{name}": _setting(name, text_only=True) for name in _SETTINGS},
            ATTEMPT_HEADER: _text("Which attempt this is, on a redriven frame.", pattern=_COUNT),
            REDRIVEN_HEADER: _text("The dead letter that this frame was, on a redriven one."),
        },
        required=["ce_specversion", "ce_type", "ce_id", "ce_source"],
    )


def frame_envelope() -> Schema:
    """Describe the value of a frame in structured mode."""
    schema = _object(
        "FrameEnvelope",
        "A frame in structured mode (content-type application/cloudevents+json), in UTF-8, no member repeated.",
        {
            "specversion": {"const": SPEC_VERSION},
            "type": {"const": FRAME_TYPE},
            "id": _attribute("Identifies the frame within its source."),
            "source": _attribute("The camera, such as /farms/7/cameras/north."),
            "time": _time("Capture time; without it the record's own timestamp counts."),
            "datacontenttype": _text("Media type of the picture, such as image/jpeg.", maxLength=MAX_ATTRIBUTE_LENGTH),
            "data_base64": _text("The picture.", contentEncoding="base64"),
            **_extensions(),
            "traceparent": _text("W3C trace context.", pattern=_whole(TRACEPARENT)),
            **{name: _setting(name, text_only=False) for name in _SETTINGS},
        },
        required=["specversion", "type", "id", "source"],
    )
    schema["oneOf"] = [{"required": ["data_base64"]}, {"required": ["dataref"]}]
    return schema


def event() -> Schema:
    """Describe the headers of what sightline publishes: results, alerts, artifacts."""
    return _object(
        "EventHeaders",
        "Headers of a result, an alert or an artifact (CloudEvents, binary mode).",
        {
            "ce_specversion": {"const": SPEC_VERSION},
            "ce_type": _text("What the value is.", examples=[RESULT_TYPE, ALERT_TYPE, ARTIFACT_TYPE]),
            "ce_id": _text("The result's or alert's own id, or the artifact's key.", minLength=1),
            "ce_source": _text("What published it.", minLength=1),
            "ce_time": _time("When it was made."),
            "content-type": _text("Media type of the value.", minLength=1),
            "ce_dataschema": _text("Schema of a JSON value.", format="uri"),
            "ce_dataref": _text("Where the object lies already, when an artifact has no value."),
            "traceparent": _text("W3C trace context.", pattern=_whole(TRACEPARENT)),
        },
        required=["ce_specversion", "ce_type", "ce_id", "ce_source", "ce_time", "content-type"],
    )


def dead_letter() -> Schema:
    """Describe the last header block of a dead letter."""
    fields = {
        "dl_id": _text("Identifies the failure.", minLength=1),
        "dl_stage": _text("Where it failed.", examples=[stage.value for stage in Stage]),
        "dl_code": _text("Why it failed.", examples=[code.value for code in Code]),
        "dl_reason": _text("For people; never quotes the input.", maxLength=MAX_REASON_BYTES),
        "dl_attempt": _text("Counts from 1; more after a redrive.", pattern=_COUNT),
        "dl_topic": _text("The topic of the record that failed.", minLength=1),
        "dl_partition": _text("Its partition.", pattern=_COUNT),
        "dl_offset": _text("Its offset.", pattern=_COUNT),
        "dl_time": _time("When it failed."),
        "dl_worker": _text("Which process gave it up."),
    }
    optional = {
        "dl_dataref": _text("Where the value lies, when it is not in the message."),
        "dl_frame_id": _text("The frame that failed, if its headers could be read."),
        "dl_headers_lost": _text("`true` when the original's headers could not be read.", examples=["true"]),
    }
    description = "The last block of a dead letter's headers; all headers of the original stand before it."
    return _object("DeadLetterHeaders", description, fields | optional, required=list(fields))


def replay() -> Schema:
    """Describe the last header block of a frame that is sent once more."""
    description = "The last block of headers of a frame that is sent once more; its own headers stand before it."
    fields = {name: _text(meaning) for name, meaning in REPLAY_HEADERS.items()}
    return _object("ReplayHeaders", description, fields, required=list(ALWAYS_THERE))


def replay_command() -> Schema:
    """Describe the headers of a command for a replay."""
    return _object(
        "ReplayCommandHeaders",
        "Headers of a command for a replay (CloudEvents, binary mode).",
        {
            "ce_specversion": {"const": SPEC_VERSION},
            "ce_type": {"const": COMMAND_TYPE},
            "ce_id": _attribute("Identifies the command within its source; the same again does nothing twice."),
            "ce_source": _attribute("Who sends it."),
        },
        required=["ce_specversion", "ce_type", "ce_id", "ce_source"],
    )


def _extensions() -> Schema:
    return {
        "dataref": _attribute("Claim check: where the picture lies, as an s3:// address, instead of a value."),
        "subject": _text("Pseudonym of the subject.", maxLength=MAX_ATTRIBUTE_LENGTH),
    }


def _setting(name: str, *, text_only: bool) -> Schema:
    description = _SETTINGS[name]
    if name == "deadline":
        return _time(description)
    if name in {"confidence", "iou"}:
        text = _text(description, pattern=_whole(NUMBER))
        native: Schema = {"type": "number", "minimum": 0, "maximum": 1}
    else:
        text = {"enum": ["true", "false"], "description": description}
        native = {"type": "boolean"}
    return text if text_only else {"anyOf": [native, text]}


def _object(title: str, description: str, properties: Schema, *, required: list[str]) -> Schema:
    return {
        "title": title,
        "description": description,
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": True,
    }


def _attribute(description: str) -> Schema:
    return _text(description, minLength=1, maxLength=MAX_ATTRIBUTE_LENGTH)


def _time(description: str) -> Schema:
    return _text(description, format="date-time")


def _text(description: str, **constraints: Any) -> Schema:
    return {"type": "string", "description": description, **constraints}


def _whole(pattern: re.Pattern[str]) -> str:
    return f"^(?:{pattern.pattern})$"
