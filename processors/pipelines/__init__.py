"""The built-in pipelines: one folder each, with its definition, its page, and (where it is its own) its summary."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from processors.pipelines.banana.summary import BANANA
from processors.pipelines.civic.summary import CIVIC
from processors.pipelines.classify.summary import CLASSIFY
from processors.pipelines.deepfake.summary import DEEPFAKE
from processors.pipelines.detect.summary import DETECT
from processors.pipelines.gesture.summary import GESTURE
from processors.pipelines.polyp.summary import POLYP
from processors.pipelines.pose.summary import POSE
from processors.pipelines.segment.summary import SEGMENT
from processors.pipelines.summary import SummaryKind
from schemas.errors import ConfigurationError
from schemas.pipeline import PipelineDefinition, load_pipeline

_FILE = "pipeline.yaml"
_SUMMARIES: Mapping[str, SummaryKind[Any]] = {
    "banana": BANANA,
    "civic": CIVIC,
    "classify": CLASSIFY,
    "deepfake": DEEPFAKE,
    "detect": DETECT,
    "gesture": GESTURE,
    "polyp": POLYP,
    "pose": POSE,
    "segment": SEGMENT,
}


@cache
def builtin_names() -> tuple[str, ...]:
    """Return the names of the built-in pipelines, sorted."""
    folders = files(__name__).iterdir()
    return tuple(sorted(folder.name for folder in folders if folder.joinpath(_FILE).is_file()))


@cache
def load_builtin(name: str) -> PipelineDefinition:
    """Return a built-in pipeline; raises ConfigurationError when there is none of that name."""
    if name not in builtin_names():
        raise ConfigurationError(name, f"no built-in pipeline; there are {', '.join(builtin_names())}")
    path = files(__name__).joinpath(name, _FILE)
    definition = load_pipeline(path.read_text(encoding="utf-8"), f"{name}/{_FILE}")
    check_definition(definition)
    return definition


def check_definition(definition: PipelineDefinition) -> None:
    """Check what only the summary knows: its name, its options, the models that it needs.

    Raises ConfigurationError whose `where` is the key within the file.
    """
    summary_for(definition.summary).check(definition)


def summary_for(name: str) -> SummaryKind[Any]:
    """Return the arithmetic that a definition's `summary` names; raises ConfigurationError for an unknown one."""
    found = _SUMMARIES.get(name)
    if found is None:
        raise ConfigurationError("summary", f"no summary of that name; there are {', '.join(sorted(_SUMMARIES))}")
    return found
