"""YAML text into a validated model; the first problem is named with file and line.

Scalars follow YAML 1.2: only `true` and `false` are booleans (`off` is a word), and dates stay text.
"""

import re
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from schemas.errors import ConfigurationError

Model = TypeVar("Model", bound=BaseModel)

_TAG = "tag:yaml.org,2002:"
_UNWANTED_MEMBERS = {"missing": "is missing", "extra_forbidden": "unknown key", "model_type": "must be a mapping"}


class _Loader(yaml.SafeLoader):
    """Safe YAML with the scalars of YAML 1.2, without repeated keys; every complaint has a line."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012  # as the base has it

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002  # the base's signature
        """Refuse a key that is written twice, of which YAML would silently take the last."""
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != f"{_TAG}merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(None, None, "a key is repeated", key.start_mark)
                seen.add(key.value)
        return super().construct_mapping(node, deep)

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:  # noqa: FBT001, FBT002  # the base's signature
        """Turn what constructors raise on a scalar that does not fit its tag into an error with a line."""
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
            raise yaml.constructor.ConstructorError(None, None, "malformed value", node.start_mark) from None


for _name, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]*)", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*)(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?[0-9]+[eE][-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+.")),
    ("merge", r"<<", ["<"]),
):
    _Loader.add_implicit_resolver(_TAG + _name, re.compile(f"^(?:{_pattern})$"), _first)


def load_yaml(model: type[Model], text: str, filename: str) -> Model:
    """Validate `text` as `model`; `filename` is for messages only.

    Raises ConfigurationError that names file and line of the first problem.
    """
    tree, content = _read(text, filename)
    try:
        return model.model_validate({} if content is None else content)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)
        # A misspelt key is missing as well: its own line says more.
        line, first = min(
            ((_line_of(tree, problem["loc"]), problem) for problem in problems),
            key=lambda found: (found[1]["type"] == "missing", found[0]),
        )
        raise ConfigurationError(f"{filename}:{line}", _describe(first)) from None


def _read(text: str, filename: str) -> tuple[yaml.Node | None, Any]:
    try:
        loader = _Loader(text)
        tree = loader.get_single_node()
        return tree, None if tree is None else loader.construct_document(tree)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{filename}:{line}", f"not YAML: {error.problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigurationError(f"{filename}:{line}", "not YAML: a character that YAML does not allow") from None
    except RecursionError:
        raise ConfigurationError(f"{filename}:1", "nested too deeply") from None


def _describe(problem: ErrorDetails) -> str:
    """Say what is wrong without the value: a settings file holds secrets."""
    text = _UNWANTED_MEMBERS.get(problem["type"], problem["msg"])
    if problem["type"] == "value_error":
        text = str(problem["ctx"]["error"])
    path = ".".join(str(part) for part in problem["loc"])
    return f"{path}: {text}" if path else f"the file: {text}"


def _line_of(node: yaml.Node | None, path: tuple[Any, ...]) -> int:
    """Return the line (from 1) of the deepest node on `path` that exists in the file."""
    line = 1
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((key, child) for key, child in node.value if key.value == str(part)), None)
        elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
            found = (node.value[part], node.value[part])
        else:
            found = None
        if found is None:
            break
        line = found[0].start_mark.line + 1
        node = found[1]
    return line
