from importlib.resources import files
from typing import Any

import pytest

from processors.pipelines import builtin_names, check_definition, load_builtin, summary_for
from processors.pipelines.summary import Options
from schemas.errors import ConfigurationError
from schemas.modelcard import Task
from schemas.pipeline import MIB, CheckName
from tests.unit.processors.pipelines.materials import with_changes

LANDMARKS = {"task": "landmarks", "keypoints": 21}
WITH_MODELS = ("banana", "classify", "deepfake", "detect", "gesture", "polyp", "pose", "segment")


def test_every_built_in_pipeline_passes_its_own_summary_check_and_has_a_page() -> None:
    assert set(WITH_MODELS) | {"civic", "civic-legacy"} == set(builtin_names())
    for name in builtin_names():
        check_definition(load_builtin(name))
        assert (
            files("processors.pipelines")
            .joinpath(name, "README.md")
            .read_text(encoding="utf-8")
            .startswith(f"# {name}")
        )


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("detect", {"detector": Task.DETECT}),
        ("segment", {"detector": Task.SEGMENT}),
        ("pose", {"detector": Task.POSE}),
        ("classify", {"classifier": Task.CLASSIFY}),
        ("banana", {"detector": Task.SEGMENT}),
        ("polyp", {"detector": Task.DETECT}),
        ("deepfake", {"classifier": Task.CLASSIFY}),
        ("gesture", {"detector": Task.POSE, "classifier": Task.LANDMARKS}),
        ("civic", {}),
    ],
)
def test_roles_and_tasks(name: str, roles: dict[str, Task]) -> None:
    assert {role: rules.task for role, rules in load_builtin(name).models.items()} == roles


@pytest.mark.parametrize("name", WITH_MODELS)
def test_with_models_only_blur_brightness_and_exposure_count(name: str) -> None:
    assert set(load_builtin(name).quality.checks) == {CheckName.BLUR, CheckName.BRIGHTNESS, CheckName.EXPOSURE}


def test_the_numbers_of_the_replaced_services() -> None:
    banana, polyp = load_builtin("banana"), load_builtin("polyp")
    deepfake, gesture = load_builtin("deepfake"), load_builtin("gesture")
    assert banana.inference.confidence == 0.75
    assert (banana.inference.confidence_bounds.least, banana.inference.confidence_bounds.most) == (0.1, 1.0)
    assert (banana.inference.iou_bounds.least, banana.inference.iou_bounds.most) == (0.1, 1.0)
    assert (banana.input.max_bytes, banana.overlay, banana.keep) == (50 * MIB, True, "picture")
    assert (polyp.inference.confidence, polyp.inference.max_detections) == (0.25, 50)
    assert (deepfake.input.max_bytes, gesture.input.max_bytes) == (50 * MIB, 20 * MIB)
    assert deepfake.cache is not None
    assert deepfake.cache.ttl_s == 3600
    gates = {name: load_builtin(name).gate for name in WITH_MODELS}
    assert gates == {
        "banana": "flag", "polyp": "flag", "deepfake": "flag", "gesture": "reject",
        "detect": "off", "segment": "off", "pose": "off", "classify": "off",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "changes", "where"),
    [
        ("detect", {"summary": "nonsense"}, "summary"),
        ("detect", {"options": {"x": 1}}, "options.x"),
        ("detect", {"models": {}}, "models.detector"),
        ("detect", {"models": {"other": {"task": "detect"}}}, "models.detector"),
        ("detect", {"models": {"detector": {"task": "segment"}}}, "models.detector.task"),
        ("civic", {"models": {"detector": {"task": "detect"}}}, "models.detector"),
        ("banana", {"options": {"grades": {"a": 99.0}}}, "options.grades"),
        ("banana", {"options": {"grades": {"a": "85"}}}, "options.grades.a"),
        ("banana", {"options": {"weights": {"confidence": 0, "geometry": 0, "picture": 0}}}, "options.weights"),
        ("banana", {"options": {"geometry": {"min_area_share": 0.95}}}, "options.geometry"),
        ("banana", {"models": {"detector": {"task": "segment"}}}, "models.detector.classes"),
        ("polyp", {"models": {"detector": {"task": "detect", "classes": ["lesion"]}}}, "models.detector.classes"),
        ("deepfake", {"options": {"threshold": 1.5}}, "options.threshold"),
        ("deepfake", {"options": {"threshold": float("nan")}}, "options.threshold"),
        ("gesture", {"models": {"detector": {"task": "pose", "classes": ["hand"]}}}, "models.classifier"),
        (
            "gesture",
            {"models": {"detector": {"task": "pose", "classes": ["hand"], "keypoints": 17}, "classifier": LANDMARKS}},
            "models.detector.keypoints",
        ),
        ("gesture", {"options": {"finger_ratio": 0}}, "options.finger_ratio"),
    ],
)
def test_a_definition_that_does_not_fit_its_summary_is_refused_with_where(
    name: str, changes: dict[str, Any], where: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_definition(with_changes(load_builtin(name), **changes))
    assert caught.value.where == where


def test_classes_may_stand_in_any_order() -> None:
    classes = ["Over Ripe", "Ripe", "Mature", "Not Mature"]
    check_definition(with_changes(load_builtin("banana"), models={"detector": {"task": "segment", "classes": classes}}))


def leaves(options: Options, prefix: str = "") -> dict[str, object]:
    """Flatten options to dotted names."""
    found: dict[str, object] = {}
    for name in type(options).model_fields:
        value = getattr(options, name)
        found |= leaves(value, f"{prefix}{name}.") if isinstance(value, Options) else {f"{prefix}{name}": value}
    return found


@pytest.mark.parametrize("name", WITH_MODELS)
def test_a_page_names_every_option_and_every_number_of_the_quality_checks(name: str) -> None:
    page = files("processors.pipelines").joinpath(name, "README.md").read_text(encoding="utf-8")
    definition = load_builtin(name)
    for option, value in leaves(summary_for(definition.summary).options(definition)).items():
        assert f"| `{option}` | {value:g} |" in page
    for check in definition.quality.checks:
        for setting in getattr(definition.quality, check).model_fields_set:
            value = getattr(getattr(definition.quality, check), setting)
            assert f"| `{check}.{setting}` | {'null' if value is None else format(value, 'g')} |" in page
    assert f"| `pass_score` | {definition.quality.pass_score:g} |" in page
