"""The built-in pipelines: one folder each, with its definition, its page, and (where it is its own) its summary."""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files

from processors.pipelines.civic.summary import summarise_civic
from processors.pipelines.summary import Summary
from processors.quality import Evidence
from schemas.errors import ConfigurationError
from schemas.pipeline import PipelineDefinition, QualityRules, load_pipeline
from schemas.result import Quality

Summarise = Callable[[Evidence, Quality, QualityRules], Summary]

_FILE = "pipeline.yaml"
_SUMMARIES: Mapping[str, Summarise] = {"civic": summarise_civic}


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
    return load_pipeline(path.read_text(encoding="utf-8"), f"{name}/{_FILE}")


def summary_for(name: str) -> Summarise:
    """Return the arithmetic that a definition's `summary` names; raises ConfigurationError for an unknown one."""
    found = _SUMMARIES.get(name)
    if found is None:
        raise ConfigurationError("summary", f"no summary of that name; there are {', '.join(sorted(_SUMMARIES))}")
    return found
