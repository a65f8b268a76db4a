"""Every topic, with keys, headers and payloads, as one AsyncAPI 3.0 document."""

from typing import Any

from schemas import topics
from schemas.frame import STRUCTURED_MEDIA_TYPE
from schemas.jsonschemas import DIALECT, file_name

_SCHEMA_FORMAT = "application/schema+json;version=draft-2020-12"
_PIPELINE = "{pipeline}"
_ROLE = "{role}"
_SOURCE_KEY = "The frame's `ce_source`, so that one camera's results keep their order."


def asyncapi_document() -> dict[str, Any]:
    """Return the document; schemas are referred to as files under `json/`, beside it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "sightline",
            "version": "1.0.0",
            "description": "Streaming vision on Kafka: what goes over the wire. Readers keep fields and accept "
            "values that they don't know.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": _channels(),
        "operations": _operations(),
        "components": {
            "messages": _messages(),
            "schemas": _shared_schemas(),
            "parameters": {
                "pipeline": {
                    "description": f"Name of a pipeline, matching {topics.PIPELINE_NAME.pattern}",
                    "examples": ["civic"],
                },
                "role": {
                    "description": "What a model is for in a pipeline, as its definition names it.",
                    "examples": ["detector"],
                },
            },
        },
    }


_RECEIVED = ("frames", "activations", "replayedFrames", "replayStates", "replayCommands")
_SENT = (
    "results",
    "artifacts",
    "deadLetters",
    "emr",
    "activations",
    "replayedFrames",
    "replayedResults",
    "replayStates",
    "replayAnswers",
    "alerts",
)


def _channels() -> dict[str, Any]:
    described = {
        "frames": (topics.frames(_PIPELINE), "Pictures to look at.", ["frame", "structuredFrame"]),
        "results": (topics.results(_PIPELINE), "What a pipeline says of each frame.", ["result"]),
        "artifacts": (topics.artifacts(_PIPELINE), "Pictures to keep.", ["artifact"]),
        "deadLetters": (topics.dead_letters(_PIPELINE), "What failed, with its original bytes.", ["deadLetter"]),
        "emr": (topics.emr(_PIPELINE), "Results in the form that hospital systems read.", ["emr"]),
        "activations": (
            topics.activations(_PIPELINE, _ROLE),
            "Which models are in force for a role; compacted, so that the newest message is always there.",
            ["activation"],
        ),
        "replayedFrames": (
            topics.frames_replay(_PIPELINE),
            "Frames that are sent once more, with a last block of headers that says where they come from.",
            ["replayedFrame"],
        ),
        "replayedResults": (
            topics.results_replay(_PIPELINE),
            "What replays say, apart from the live results; what is promoted goes to those.",
            ["result"],
        ),
        "replayStates": (
            topics.replays(_PIPELINE),
            "Which replays are cancelled; compacted by their ids.",
            ["replayState"],
        ),
        "replayCommands": (topics.REPLAY_COMMANDS, "What other systems want of replays.", ["replayCommand"]),
        "replayAnswers": (topics.REPLAY_ANSWERS, "What became of each command, once.", ["replayAnswer"]),
        "alerts": (topics.ALERTS, "What a person should look at.", ["alert"]),
    }
    return {name: _channel(*parts) for name, parts in described.items()}


def _channel(address: str, description: str, messages: list[str]) -> dict[str, Any]:
    channel: dict[str, Any] = {
        "address": address,
        "description": description,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
    }
    parameters = [name for name in ("pipeline", "role") if f"{{{name}}}" in address]
    if parameters:
        channel["parameters"] = {name: {"$ref": f"#/components/parameters/{name}"} for name in parameters}
    return channel


def _operations() -> dict[str, Any]:
    operations = {f"receive{_title(channel)}": _operation("receive", channel) for channel in _RECEIVED}
    for channel in _SENT:
        operations[f"send{_title(channel)}"] = _operation("send", channel)
    return operations


def _title(channel: str) -> str:
    return channel[0].upper() + channel[1:]


def _operation(action: str, channel: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel}"}}


def _messages() -> dict[str, Any]:
    picture = {"$ref": "#/components/schemas/picture"}
    original = {"$ref": "#/components/schemas/originalValue"}
    return {
        "frame": _message(
            "A frame in binary mode of CloudEvents.",
            "image/*",
            "The frame's `ce_source`; without a key the order within a camera is not promised.",
            _schema_file("frame-headers"),
            picture,
        ),
        "structuredFrame": _message(
            "A frame in structured mode of CloudEvents.",
            STRUCTURED_MEDIA_TYPE,
            "The frame's `source`; without a key the order within a camera is not promised.",
            {"$ref": "#/components/schemas/structuredHeaders"},
            _schema_file("frame-envelope"),
        ),
        "result": _message(
            "A result.", "application/json", _SOURCE_KEY, _schema_file("event-headers"), _schema_file("result")
        ),
        "artifact": _message(
            "A picture to keep.", "image/*", "The object's key.", _schema_file("event-headers"), picture
        ),
        "deadLetter": _message(
            "A record that failed, with a last block of headers.",
            "application/octet-stream",
            "The original's key, as it was: `ce_source` where the producer set it.",
            _schema_file("dead-letter-headers"),
            original,
        ),
        "emr": _message(
            "A result as hospital systems read it.",
            "application/json",
            _SOURCE_KEY,
            _schema_file("event-headers"),
            {"$ref": "#/components/schemas/emrResult"},
        ),
        "activation": _message(
            "The models in force for one role.",
            "application/json",
            "The role: always the same, so that compaction keeps the newest.",
            _schema_file("event-headers"),
            _schema_file("activation"),
        ),
        "replayedFrame": _message(
            "A frame that is sent once more; before the block stand its own headers, as they were.",
            "image/*",
            "The frame's key, as it was.",
            _schema_file("replay-headers"),
            original,
        ),
        "replayState": _message(
            "What workers must know of a replay.",
            "application/json",
            "The replay's id.",
            _schema_file("event-headers"),
            _schema_file("replay-state"),
        ),
        "replayCommand": _message(
            "A command for a replay. The same `ce_id` of the same `ce_source` is the same command.",
            "application/json",
            "Any; commands with one key are carried out in their order.",
            _schema_file("replay-command-headers"),
            _schema_file("replay-command"),
        ),
        "replayAnswer": _message(
            "What became of a command.",
            "application/json",
            "The command's `ce_id`.",
            _schema_file("event-headers"),
            _schema_file("replay-answer"),
        ),
        "alert": _message(
            "An alert.",
            "application/json",
            "Rule and source, with | between.",
            _schema_file("event-headers"),
            _schema_file("alert"),
        ),
    }


def _message(
    summary: str, content_type: str, key: str, headers: dict[str, Any], payload: dict[str, Any]
) -> dict[str, Any]:
    return {
        "summary": summary,
        "contentType": content_type,
        "headers": headers,
        "payload": payload,
        "bindings": {"kafka": {"key": {"type": "string", "description": key}, "bindingVersion": "0.5.0"}},
    }


def _schema_file(name: str) -> dict[str, Any]:
    return {"schemaFormat": _SCHEMA_FORMAT, "schema": {"$ref": f"./json/{file_name(name)}"}}


def _shared_schemas() -> dict[str, Any]:
    bodies: dict[str, dict[str, Any]] = {
        "picture": {
            "type": ["string", "null"],
            "contentEncoding": "binary",
            "description": "The picture's own bytes; null where `ce_dataref` says where they lie.",
        },
        "originalValue": {
            "type": ["string", "null"],
            "contentEncoding": "binary",
            "description": "The original's value, byte for byte; null also where `dl_dataref` says where it lies.",
        },
        "emrResult": {
            "type": "object",
            "properties": {
                "detections": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {
                            "bbox": {
                                "type": "array",
                                "items": {"type": "number"},
                                "description": "x1, y1, x2, y2 in pixels of the upright picture.",
                            },
                            "confidence": {"type": "number"},
                            "class": {"type": "string"},
                        },
                        "required": ["bbox", "confidence", "class"],
                    },
                },
                "processed_at": {"type": "string", "format": "date-time"},
                "model_version": {"type": "string", "description": "Name and version, with / between."},
            },
            "required": ["detections", "processed_at", "model_version"],
        },
        "structuredHeaders": {
            "type": "object",
            "properties": {"content-type": {"type": "string", "pattern": r"^application/cloudevents\+json"}},
            "required": ["content-type"],
            "additionalProperties": True,
        },
    }
    return {
        name: {"schemaFormat": _SCHEMA_FORMAT, "schema": {"$schema": DIALECT, **body}} for name, body in bodies.items()
    }
