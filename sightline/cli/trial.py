"""Whether a model would do: it is loaded as a worker would, answers a trial picture, and is closed again."""

from processors.infer.loading import open_model
from schemas.errors import ConfigurationError, ModelCode, ModelError
from schemas.modelcard import ModelCard
from schemas.pipeline import ModelRules, PipelineDefinition
from sightline.cli.models_loaded import engine_options
from sightline.models.local import LocalModel
from sightline.runtime.settings import Settings


def try_model(model: LocalModel, rules: ModelRules | None, settings: Settings) -> str:
    """Return what ran the model, such as `CPUExecutionProvider`; blocks for seconds.

    `rules` are what a role asks for; None: any task and classes. Raises ModelError with the reason why it cannot be
    used, and ConfigurationError where nothing is installed that runs models.
    """
    loaded = open_model(model.card, model.weights, rules, engine_options(settings), versions=1)
    loaded.engine.close()
    return loaded.engine.provider


def choose_role(definition: PipelineDefinition, role: str | None) -> str:
    """Return the role that is named, or the only one. Raises ConfigurationError."""
    roles = list(definition.models)
    if not roles:
        raise ConfigurationError(definition.name, "this pipeline uses no models")
    if role is None and len(roles) == 1:
        return roles[0]
    if role not in roles:
        raise ConfigurationError("--role", f"must be one of {', '.join(roles)}")
    return role


def role_for(definition: PipelineDefinition, card: ModelCard) -> str:
    """Return the role of a pipeline that a model can be meant for: the one that its card names, or that of its task.

    Raises ConfigurationError for a pipeline without models, ModelError (`model_task_wrong`) where there is none.
    """
    if not definition.models:
        raise ConfigurationError(definition.name, "this pipeline uses no models")
    if card.role in definition.models:
        return card.role
    for role, rules in definition.models.items():
        if rules.task is card.task:
            return role
    wanted = ", ".join(f"{role} ({rules.task.value})" for role, rules in definition.models.items())
    problem = f"is for {card.task.value}; {definition.name} wants {wanted}"
    raise ModelError(ModelCode.TASK_WRONG, card.name, problem)
