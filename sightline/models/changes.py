"""From one state of a role's models to the next. Pure: nothing is read or published."""

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from schemas.activation import Activation, Canary, ModelAddress
from schemas.errors import ConfigurationError

By = Literal["frame", "source"]


@dataclass(frozen=True, slots=True)
class Author:
    """Who makes a change, and when."""

    who: str
    now: datetime


@dataclass(frozen=True, slots=True)
class Place:
    """One role of one pipeline."""

    pipeline: str
    role: str

    def __str__(self) -> str:
        return f"{self.pipeline} {self.role}"


def activate(place: Place, state: Activation | None, model: ModelAddress, author: Author) -> Activation:
    """Make a model live. Canary and shadow end: they were measured against the model that was live."""
    if state is None:
        return _new(place, author, live=model)
    previous = state.previous if state.live.digest == model.digest else state.live
    return _new(place, author, live=model, previous=previous)


def set_canary(
    state: Activation, model: ModelAddress | None, share: float, by: By | None, author: Author
) -> Activation:
    """Let a model answer a share of the frames; 0 ends it.

    None for `model` or `by` means those of the present canary. The salt stays while model and `by` do, so that
    raising the share moves no frame back. Raises ConfigurationError where there is no canary to mean, or where the
    model is live already.
    """
    present = state.canary
    if share == 0:
        return _next(state, author, canary=None)
    chosen = present.model if model is None and present is not None else model
    if chosen is None:
        raise ConfigurationError("MODEL", f"is needed: {state.pipeline} {state.role} has no canary")
    if chosen.digest == state.live.digest:
        raise ConfigurationError(str(chosen), f"is the live model of {state.pipeline} {state.role}")
    kept = present if present is not None and present.model.digest == chosen.digest else None
    split = by or (kept.by if kept is not None else "frame")
    salt = kept.salt if kept is not None and kept.by == split else uuid.uuid4().hex
    return _next(state, author, canary=Canary(model=chosen, share=share, by=split, salt=salt))


def set_shadow(state: Activation, model: ModelAddress | None, author: Author) -> Activation:
    """Let a model answer beside the live one; None ends it. Raises ConfigurationError where it is live already."""
    if model is not None and model.digest == state.live.digest:
        raise ConfigurationError(str(model), f"is the live model of {state.pipeline} {state.role}")
    return _next(state, author, shadow=model)


def promote(state: Activation, author: Author) -> Activation:
    """Make the canary live; a shadow stays. Raises ConfigurationError where there is no canary."""
    if state.canary is None:
        raise ConfigurationError("--promote", f"{state.pipeline} {state.role} has no canary")
    live = state.canary.model
    shadow = state.shadow if state.shadow is not None and state.shadow.digest != live.digest else None
    return _next(state, author, live=live, previous=state.live, canary=None, shadow=shadow)


def roll_back(state: Activation, author: Author) -> Activation:
    """Make the model live that was so before; canary and shadow end. Rolling back twice comes back to the state before.

    Raises ConfigurationError where no model was live before.
    """
    if state.previous is None:
        where = f"{state.pipeline} {state.role}"
        raise ConfigurationError(where, f"no model was live before {state.live}")
    return _next(state, author, live=state.previous, previous=state.live, canary=None, shadow=None)


def same_models(one: Activation | None, other: Activation) -> bool:
    """Tell whether two states ask for the same, whoever asked and when."""
    return one is not None and _asked(one) == _asked(other)


def _asked(state: Activation) -> tuple[ModelAddress, Canary | None, ModelAddress | None]:
    return state.live, state.canary, state.shadow


def _next(state: Activation, author: Author, **changes: Any) -> Activation:
    kept = {"live": state.live, "canary": state.canary, "shadow": state.shadow, "previous": state.previous}
    return _new(Place(state.pipeline, state.role), author, **(kept | changes))


def _new(place: Place, author: Author, **models: Any) -> Activation:
    return Activation(
        activation_id=str(uuid.uuid4()),
        pipeline=place.pipeline,
        role=place.role,
        activated_at=author.now,
        activated_by=author.who,
        **models,
    )
