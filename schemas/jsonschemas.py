"""The wire contracts as JSON Schema (draft 2020-12), made from the models and constants that the code uses.

What others read (results, alerts, headers of what we publish) stays open: fields and values may be added.
Pipeline definitions, model cards and commands are what others write: closed, as their reader is.
"""

from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema

from schemas import headerschemas
from schemas.activation import Activation
from schemas.alert import Alert
from schemas.modelcard import ModelCard
from schemas.pipeline import PipelineDefinition
from schemas.replay import ReplayState
from schemas.replaycommand import ReplayAnswer, ReplayCommand
from schemas.result import Result

DIALECT = "https://json-schema.org/draft/2020-12/schema"
VERSION = "v1"
_NULL = {"type": "null"}


def json_schemas() -> dict[str, dict[str, Any]]:
    """Return every schema by its name, such as `result`."""
    bodies = {
        "activation": _published(Activation),
        "alert": _published(Alert),
        "dead-letter-headers": headerschemas.dead_letter(),
        "event-headers": headerschemas.event(),
        "frame-envelope": headerschemas.frame_envelope(),
        "frame-headers": headerschemas.frame(),
        "model-card": ModelCard.model_json_schema(schema_generator=_WithoutFieldTitles),
        "pipeline": PipelineDefinition.model_json_schema(schema_generator=_WithoutFieldTitles),
        "replay-answer": _published(ReplayAnswer),
        "replay-command": ReplayCommand.model_json_schema(schema_generator=_WithoutFieldTitles),
        "replay-command-headers": headerschemas.replay_command(),
        "replay-headers": headerschemas.replay(),
        "replay-state": _published(ReplayState),
        "result": _published(Result),
    }
    return {name: _identified(name, body) for name, body in bodies.items()}


def schema_id(name: str) -> str:
    """Return a schema's `$id`, which `ce_dataschema` names."""
    return f"urn:sightline:schema:{name}:{VERSION}"


def file_name(name: str) -> str:
    """Return the name of a schema's file under `json/`."""
    return f"{name}.{VERSION}.schema.json"


class _WithoutFieldTitles(GenerateJsonSchema):
    """Leave out the titles that only repeat a field's name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return isinstance(schema, FieldInfo) and schema.title is not None


def _identified(name: str, body: dict[str, Any]) -> dict[str, Any]:
    definitions = {"$defs": body["$defs"]} if "$defs" in body else {}
    rest = {key: content for key, content in body.items() if key != "$defs"}
    return {"$schema": DIALECT, "$id": schema_id(name), **rest, **definitions}


def _published(model: type[BaseModel]) -> dict[str, Any]:
    """Describe what is written, not what is tolerated: null fields are absent, defaults are always there."""
    schema = model.model_json_schema(schema_generator=_WithoutFieldTitles)
    for part in (schema, *schema.get("$defs", {}).values()):
        properties = part["properties"]
        part["properties"] = {name: _without_null(field) for name, field in properties.items()}
        always = {name for name, field in properties.items() if field.get("default") is not None}
        part["required"] = [name for name in properties if name in {*part["required"], *always}]
    return schema


def _without_null(field: dict[str, Any]) -> dict[str, Any]:
    if field.get("default", "") is not None:
        return field
    kept = [branch for branch in field["anyOf"] if branch != _NULL]
    rest = {key: content for key, content in field.items() if key not in {"anyOf", "default"}}
    return {**kept[0], **rest} if len(kept) == 1 else {"anyOf": kept, **rest}
