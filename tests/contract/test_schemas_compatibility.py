"""No change breaks a consumer, or a producer, that was built for an earlier published version.

The checker below compares two schemas. What we publish may gain fields and never loses a promise; what we
read may gain optional fields and never refuses what it took before.
"""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest

from schemas.jsonschemas import file_name, json_schemas

Schema = dict[str, Any]
Direction = Literal["published", "accepted"]

PUBLISHED = (
    "result", "alert", "activation", "event-headers", "dead-letter-headers", "replay-headers", "replay-state",
    "replay-answer",
)  # fmt: skip
ACCEPTED = ("frame-headers", "frame-envelope", "pipeline", "model-card", "replay-command", "replay-command-headers")
SNAPSHOTS = sorted((Path(__file__).parent / "samples").glob("v*/schemas/*.json"))
LOWER_BOUNDS = ("minimum", "exclusiveMinimum", "minLength", "minItems")
UPPER_BOUNDS = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")


def breaks(old: Schema, new: Schema, direction: Direction) -> list[str]:
    """Name everything in `new` that whoever relies on `old` would stumble over."""
    return _compare("", _Side(old, old), _Side(new, new), direction)


class _Side:
    """A part of a schema, with the whole that its references point into."""

    def __init__(self, part: Schema, whole: Schema) -> None:
        self.whole = whole
        while "$ref" in part:
            beside = {key: content for key, content in part.items() if key != "$ref"}
            part = whole["$defs"][part["$ref"].removeprefix("#/$defs/")] | beside
        self.part = part

    def child(self, part: Schema) -> "_Side":
        return _Side(part, self.whole)

    def by_type(self) -> dict[str, "_Side"]:
        """Split alternatives by the type that they admit."""
        if "anyOf" in self.part:
            return {kind: side for branch in self.part["anyOf"] for kind, side in self.child(branch).by_type().items()}
        types = self.part.get("type", "string" if "const" in self.part or "enum" in self.part else "any")
        return dict.fromkeys(types if isinstance(types, list) else [types], self)


def _compare(path: str, old: _Side, new: _Side, direction: Direction) -> list[str]:
    old_types, new_types = old.by_type(), new.by_type()
    relied_on, offered = (new_types, old_types) if direction == "published" else (old_types, new_types)
    found = [f"{path}: type {kind}" for kind in relied_on.keys() - offered.keys()]
    for kind in old_types.keys() & new_types.keys():
        found += _compare_same_type(path, old_types[kind], new_types[kind], direction)
    return sorted(found)


def _compare_same_type(path: str, old: _Side, new: _Side, direction: Direction) -> list[str]:
    found = _values(path, old.part, new.part) + _bounds(path, old.part, new.part, direction)
    found += [
        f"{path}: {word}" for word in ("pattern", "format", "contentEncoding", "oneOf") if _changed(word, old, new)
    ]
    found += _required(path, old.part, new.part, direction)
    if old.part.get("additionalProperties", True) is not False and new.part.get("additionalProperties") is False:
        found.append(f"{path}: closed")
    before, after = old.part.get("properties", {}), new.part.get("properties", {})
    for name, part in before.items():
        if name not in after:
            found.append(f"{path}/{name}: removed")
        else:
            found += _compare(f"{path}/{name}", old.child(part), new.child(after[name]), direction)
    for word in ("items", "additionalProperties"):
        if isinstance(old.part.get(word), dict) and isinstance(new.part.get(word), dict):
            found += _compare(f"{path}/{word}", old.child(old.part[word]), new.child(new.part[word]), direction)
    return found


def _changed(word: str, old: _Side, new: _Side) -> bool:
    return bool(old.part.get(word) != new.part.get(word))


def _values(path: str, old: Schema, new: Schema) -> list[str]:
    """Fewer admitted values, also where all were admitted before; more are fine, readers are tolerant."""
    before, after = (part.get("enum", [part["const"]] if "const" in part else None) for part in (old, new))
    if after is None or (before is not None and set(before) <= set(after)):
        return []
    return [f"{path}: values narrowed"]


def _required(path: str, old: Schema, new: Schema, direction: Direction) -> list[str]:
    before, after = set(old.get("required", [])), set(new.get("required", []))
    if direction == "published":
        return [f"{path}/{name}: no longer always there" for name in before - after]
    return [f"{path}/{name}: newly required" for name in after - before]


def _bounds(path: str, old: Schema, new: Schema, direction: Direction) -> list[str]:
    outer, inner = (old, new) if direction == "published" else (new, old)
    lower = [word for word in LOWER_BOUNDS if word in outer and inner.get(word, float("-inf")) < outer[word]]
    upper = [word for word in UPPER_BOUNDS if word in outer and inner.get(word, float("inf")) > outer[word]]
    return [f"{path}: {word}" for word in lower + upper]


@pytest.mark.parametrize("path", SNAPSHOTS, ids=lambda path: f"{path.parent.parent.name}-{path.stem}")
def test_nothing_breaks_what_was_built_for_an_earlier_version(path: Path) -> None:
    current = {file_name(name): (name, schema) for name, schema in json_schemas().items()}
    assert path.name in current, "a published schema is gone"
    name, schema = current[path.name]
    direction: Direction = "published" if name in PUBLISHED else "accepted"
    assert breaks(json.loads(path.read_text()), schema, direction) == []


def test_every_schema_has_a_direction_and_a_snapshot() -> None:
    assert {*PUBLISHED, *ACCEPTED} == json_schemas().keys()
    assert {path.name for path in SNAPSHOTS} >= {file_name(name) for name in json_schemas()}


# The checker itself

BASE: Schema = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "maxLength": 10},
        "score": {"type": "number", "minimum": 0, "maximum": 100},
        "mode": {"enum": ["a", "b"]},
        "any": {"type": "string"},
        "part": {"$ref": "#/$defs/Part"},
        "rows": {"type": "array", "items": {"anyOf": [{"type": "number"}, {"type": "null"}]}},
    },
    "required": ["id", "part"],
    "additionalProperties": True,
    "$defs": {"Part": {"type": "object", "properties": {"width": {"type": "integer"}}, "required": ["width"]}},
}


def changed(change: Callable[[Schema], object]) -> Schema:
    schema = copy.deepcopy(BASE)
    change(schema)
    return schema


BREAKS_BOTH: dict[str, tuple[Callable[[Schema], object], str]] = {
    "field removed": (lambda s: s["properties"].pop("any"), "/any: removed"),
    "nested field removed": (lambda s: s["$defs"]["Part"]["properties"].pop("width"), "/part/width: removed"),
    "enum narrowed": (lambda s: s["properties"]["mode"]["enum"].remove("b"), "/mode: values narrowed"),
    "enum became const": (lambda s: s["properties"].update(mode={"const": "a"}), "/mode: values narrowed"),
    "enum appeared": (lambda s: s["properties"]["any"].update(enum=["x"]), "/any: values narrowed"),
    "pattern appeared": (lambda s: s["properties"]["any"].update(pattern="x"), "/any: pattern"),
    "format changed": (lambda s: s["properties"]["any"].update(format="date-time"), "/any: format"),
    "closed": (lambda s: s.update(additionalProperties=False), ": closed"),
}
BREAKS_PUBLISHED: dict[str, tuple[Callable[[Schema], object], str]] = {
    "type changed": (lambda s: s["properties"].update(id={"type": "integer"}), "/id: type integer"),
    "nested type": (lambda s: s["$defs"]["Part"]["properties"]["width"].update(type="null"), "/part/width: type null"),
    "became nullable": (lambda s: s["properties"]["any"].update(type=["string", "null"]), "/any: type null"),
    "items changed": (lambda s: s["properties"]["rows"].update(items={"type": "string"}), "/rows/items: type string"),
    "now optional": (lambda s: s["required"].remove("id"), "/id: no longer always there"),
    "nested now optional": (lambda s: s["$defs"]["Part"].pop("required"), "/part/width: no longer always there"),
    "bound loosened": (lambda s: s["properties"]["score"].update(maximum=1000), "/score: maximum"),
    "bound gone": (lambda s: s["properties"]["score"].pop("minimum"), "/score: minimum"),
}  # fmt: skip
BREAKS_ACCEPTED: dict[str, tuple[Callable[[Schema], object], str]] = {
    "type changed": (lambda s: s["properties"].update(id={"type": "integer"}), "/id: type string"),
    "null refused": (lambda s: s["properties"]["rows"].update(items={"type": "number"}), "/rows/items: type null"),
    "newly required": (lambda s: s["required"].append("any"), "/any: newly required"),
    "bound tightened": (lambda s: s["properties"]["id"].update(maxLength=9), "/id: maxLength"),
    "bound appeared": (lambda s: s["properties"]["any"].update(minLength=1), "/any: minLength"),
}
HARMLESS: dict[str, tuple[Callable[[Schema], object], Direction]] = {
    "optional field added": (lambda s: s["properties"].update(new={"type": "string"}), "published"),
    "optional input added": (lambda s: s["properties"].update(new={"type": "string"}), "accepted"),
    "promise added": (lambda s: s["required"].append("any"), "published"),
    "enum widened": (lambda s: s["properties"]["mode"]["enum"].append("c"), "published"),
    "output bound tightened": (lambda s: s["properties"]["score"].update(maximum=99), "published"),
    "input bound loosened": (lambda s: s["properties"]["score"].update(maximum=1000), "accepted"),
    "input made optional": (lambda s: s["required"].remove("id"), "accepted"),
    "input may be null": (lambda s: s["properties"]["any"].update(type=["string", "null"]), "accepted"),
    "described": (lambda s: s["properties"]["any"].update(description="new words", examples=["x"]), "published"),
}


@pytest.mark.parametrize("name", [*BREAKS_BOTH, *BREAKS_PUBLISHED])
def test_a_break_of_what_is_published_is_found(name: str) -> None:
    change, expected = (BREAKS_BOTH | BREAKS_PUBLISHED)[name]
    assert expected in breaks(BASE, changed(change), "published")


@pytest.mark.parametrize("name", [*BREAKS_BOTH, *BREAKS_ACCEPTED])
def test_a_break_of_what_is_accepted_is_found(name: str) -> None:
    change, expected = (BREAKS_BOTH | BREAKS_ACCEPTED)[name]
    assert expected in breaks(BASE, changed(change), "accepted")


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_change_is_let_through(name: str) -> None:
    change, direction = HARMLESS[name]
    assert breaks(BASE, changed(change), direction) == []


@pytest.mark.parametrize("direction", ["published", "accepted"])
def test_no_change_is_no_break(direction: Direction) -> None:
    assert breaks(BASE, copy.deepcopy(BASE), direction) == []


@pytest.mark.parametrize("field", ["verdict", "score", "captured_at", "detections"])
def test_a_field_taken_from_the_real_result_is_found(field: str) -> None:
    schema = copy.deepcopy(json_schemas()["result"])
    del schema["properties"][field]
    assert f"/{field}: removed" in breaks(json_schemas()["result"], schema, "published")
