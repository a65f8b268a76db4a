"""Models given as files, in force for the life of the process: without a broker or a store."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from processors.infer.lineup import Lineup
from schemas.errors import ConfigurationError
from schemas.pipeline import ModelRules
from sightline.models.local import read_model
from sightline.models.source import Load

_OPTION = "--model"


class PinnedModels:
    """A `ModelSource` of folders, or of ONNX files that say enough of themselves, one for each role."""

    def __init__(self, rules: Mapping[str, ModelRules], paths: Mapping[str, Path], load: Load) -> None:
        """Read, check and load every model; blocks. Raises ModelError as reading and loading do."""
        models = {role: read_model(paths[role]) for role in rules}
        self._lineup = Lineup(
            live={role: load(model.card, model.weights, rules[role]) for role, model in models.items()}
        )

    def lineup(self) -> Lineup:
        """See `ModelSource.lineup`; there always is one."""
        return self._lineup

    def problem(self) -> None:
        """See `ModelSource.problem`; there never is one."""


def parse_pins(options: Iterable[str], roles: Iterable[str]) -> dict[str, Path]:
    """Read `ROLE=PATH`, or PATH alone where there is one role, into a path for every role.

    Raises ConfigurationError for an unknown role, one that is named twice, and one that is left out.
    """
    known = list(roles)
    pins: dict[str, Path] = {}
    for option in options:
        role, equals, path = option.partition("=")
        if not equals or role not in known:
            if len(known) != 1:
                raise ConfigurationError(_OPTION, f"{option!r} is not ROLE=PATH; roles are {_listed(known)}")
            role, path = known[0], option
        if role in pins:
            raise ConfigurationError(_OPTION, f"role {role} is named twice")
        pins[role] = Path(path)
    missing = [role for role in known if role not in pins]
    if missing:
        raise ConfigurationError(_OPTION, f"no model is given for {_listed(missing)}")
    return pins


def _listed(roles: list[str]) -> str:
    return ", ".join(roles) or "none"
