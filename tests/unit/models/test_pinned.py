"""Models that the command line names."""

from pathlib import Path

import pytest

from processors.infer.model import LoadedModel
from schemas.errors import ConfigurationError, ModelCode, ModelError
from schemas.modelcard import ModelCard, Task
from schemas.pipeline import ModelRules
from sightline.models.pinned import PinnedModels, parse_pins
from tests.unit.models.samples import ULTRALYTICS, loaded, write_onnx

_RULES = {"detector": ModelRules(task=Task.DETECT), "classifier": ModelRules(task=Task.CLASSIFY)}


def test_one_role_needs_no_name() -> None:
    assert parse_pins(["a=b.onnx"], ["detector"]) == {"detector": Path("a=b.onnx")}
    assert parse_pins(["detector=b.onnx"], ["detector"]) == {"detector": Path("b.onnx")}
    both = parse_pins(["classifier=c", "detector=d=e"], _RULES)
    assert both == {"classifier": Path("c"), "detector": Path("d=e")}


@pytest.mark.parametrize(
    ("options", "roles", "says"),
    [
        (["a"], ["detector", "classifier"], "not ROLE=PATH; roles are detector, classifier"),
        (["hand=a"], ["detector", "classifier"], "not ROLE=PATH"),
        (["detector=a"], ["detector", "classifier"], "no model is given for classifier"),
        (["detector=a", "detector=b", "classifier=c"], ["detector", "classifier"], "detector is named twice"),
        (["a", "b"], ["detector"], "detector is named twice"),
        ([], ["detector"], "no model is given for detector"),
        (["a"], [], "roles are none"),
    ],
)
def test_wrong_pins(options: list[str], roles: list[str], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        parse_pins(options, roles)


def test_every_role_is_loaded_by_its_own_rules(tmp_path: Path) -> None:
    paths = {
        "detector": write_onnx(tmp_path / "d.onnx", ULTRALYTICS),
        "classifier": write_onnx(tmp_path / "c.onnx", ULTRALYTICS | {"task": "classify"}),
    }

    def load(card: ModelCard, weights: Path, rules: ModelRules) -> LoadedModel:
        if card.task is not rules.task:
            raise ModelError(ModelCode.TASK_WRONG, str(weights), "wrong")
        return loaded(card)

    models = PinnedModels(_RULES, paths, load)
    assert {role: model.card.name for role, model in models.lineup().live.items()} == {
        "detector": "d", "classifier": "c",
    }  # fmt: skip
    assert list(models.lineup().live) == ["detector", "classifier"]
    with pytest.raises(ModelError):
        PinnedModels(_RULES, {"detector": paths["classifier"], "classifier": paths["detector"]}, load)
