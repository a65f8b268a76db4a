"""YAML text into a validated model; the first problem is named with file and line."""

from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from schemas.errors import ConfigurationError

Model = TypeVar("Model", bound=BaseModel)


def load_yaml(model: type[Model], text: str, filename: str) -> Model:
    """Validate `text` as `model`; `filename` is for messages only.

    Raises ConfigurationError that names file and line of the first problem.
    """
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        content = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigurationError(f"{filename}:{line}", f"not YAML: {error.problem}") from None
    except yaml.YAMLError:
        raise ConfigurationError(f"{filename}:1", "not YAML") from None
    try:
        return model.model_validate({} if content is None else content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        problem = "unknown key" if first["type"] == "extra_forbidden" else first["msg"]
        raise ConfigurationError(f"{filename}:{_line_of(tree, first['loc'])}", f"{path}: {problem}") from None


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
