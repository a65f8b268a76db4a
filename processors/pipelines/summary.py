"""What a pipeline's own arithmetic works on, and what it gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from processors.infer.interface import Answer
from processors.quality import Evidence
from schemas.errors import ConfigurationError
from schemas.modelcard import Task
from schemas.pipeline import ModelRules, PipelineDefinition, QualityRules
from schemas.result import Classification, Detection, Quality, Result


@dataclass(frozen=True, slots=True)
class Material:
    """What a summary works on.

    `answer` is of the role that sees the picture, None where the pipeline has no models. `landmarks` has one
    classification for each detection of the answer, in order, None where no role classifies landmarks.
    """

    evidence: Evidence
    quality: Quality
    rules: QualityRules
    answer: Answer | None = None
    landmarks: tuple[Classification, ...] | None = None

    @property
    def detections(self) -> tuple[Detection, ...]:
        """The detections, by falling confidence. Raises ValueError where the answer has none to give."""
        if self.answer is None or self.answer.detections is None:
            raise ValueError("a summary of detections got an answer without them")
        return self.answer.detections

    @property
    def classification(self) -> Classification:
        """What the picture was classified as. Raises ValueError where the answer does not say."""
        if self.answer is None or self.answer.classification is None:
            raise ValueError("a summary of a classification got an answer without one")
        return self.answer.classification


@dataclass(frozen=True, slots=True)
class Summary:
    """A verdict, and the facts behind it as JSON values. Without a `score` the result's score is that of quality."""

    verdict: str | None
    facts: Mapping[str, Any]
    score: float | None = None


class Options(BaseModel):
    """Base of the numbers that a summary's arithmetic uses; of its own it has none."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


AnyOptions = TypeVar("AnyOptions", bound=Options)


@dataclass(frozen=True, slots=True)
class SummaryKind(Generic[AnyOptions]):
    """One kind of arithmetic: its options, its function, and the models that it needs, by role.

    `classes` of a role are the names that the arithmetic knows; a definition's role must list exactly those. None
    leaves them open. `keypoints` of a role is how many its arithmetic needs; a definition must ask for them. `labels`
    gives the texts of an overlay, one a detection, where class and confidence don't say it all.
    """

    options_model: type[AnyOptions]
    function: Callable[[Material, AnyOptions], Summary]
    models: Mapping[str, ModelRules] = field(default_factory=dict)
    labels: Callable[[Result], list[str]] | None = None

    def check(self, definition: PipelineDefinition) -> None:
        """Raise ConfigurationError, with where, when options or models of a definition do not fit."""
        self.options(definition)
        _check_roles(definition, self.models)

    def options(self, definition: PipelineDefinition) -> AnyOptions:
        """Return the definition's options, checked. Raises ConfigurationError that names the first wrong one."""
        try:
            return self.options_model.model_validate(definition.options)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(["options", *(str(part) for part in first["loc"])])
            raise ConfigurationError(where, _problem(first["type"], first["msg"])) from None

    def summarise(self, material: Material, options: AnyOptions) -> Summary:
        """Return the verdict and its facts. Pure: the same material gives the same summary."""
        return self.function(material, options)


def one_role(role: str, task: Task, classes: tuple[str, ...] | None = None) -> dict[str, ModelRules]:
    """Return the models of a summary that needs one only."""
    return {role: ModelRules(task=task, classes=classes)}


def _problem(kind: str, message: str) -> str:
    return "unknown option" if kind == "extra_forbidden" else message.removeprefix("Value error, ")


def _check_roles(definition: PipelineDefinition, wanted: Mapping[str, ModelRules]) -> None:
    summary = definition.summary
    for role in sorted(wanted.keys() ^ definition.models.keys()):
        problem = "needs this role" if role in wanted else "has no use for this role"
        raise ConfigurationError(f"models.{role}", f"the summary {summary} {problem}")
    for role, rules in wanted.items():
        found = definition.models[role]
        if found.task is not rules.task:
            raise ConfigurationError(f"models.{role}.task", f"the summary {summary} needs {rules.task.value}")
        if rules.classes is not None and set(found.classes or ()) != set(rules.classes):
            names = ", ".join(rules.classes)
            raise ConfigurationError(f"models.{role}.classes", f"the summary {summary} knows {names}, and needs these")
        if rules.keypoints not in {None, found.keypoints}:
            raise ConfigurationError(f"models.{role}.keypoints", f"the summary {summary} needs {rules.keypoints}")
