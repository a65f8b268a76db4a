from importlib.resources import files

import pytest

from processors.digest import SettingsDigest
from processors.pipelines import builtin_names, load_builtin, summary_for
from schemas.errors import ConfigurationError
from schemas.modelcard import Thresholds
from schemas.pipeline import MIB, MediaType, PipelineDefinition


def test_the_built_in_pipelines_are_there_under_their_folders_names() -> None:
    assert {"civic", "civic-legacy"} <= set(builtin_names())
    for name in builtin_names():
        assert load_builtin(name).name == name
        summary_for(load_builtin(name).summary).check(load_builtin(name))
        assert files("processors.pipelines").joinpath(name, "README.md").is_file()


@pytest.mark.parametrize("name", ["civic", "civic-legacy"])
def test_civic_takes_what_phones_send(name: str) -> None:
    definition = load_builtin(name)
    assert set(definition.input.media_types) == {MediaType.JPEG, MediaType.PNG, MediaType.HEIC, MediaType.WEBP}
    assert definition.input.max_bytes == 32 * MIB
    assert (definition.gate, definition.keep, definition.quality.pass_score) == ("off", "picture", 65)


def test_an_unknown_pipeline_and_an_unknown_summary_are_configuration_errors() -> None:
    with pytest.raises(ConfigurationError):
        load_builtin("../civic")
    with pytest.raises(ConfigurationError):
        summary_for("nonsense")


def test_the_page_of_civic_names_every_number_of_its_rules() -> None:
    page = files("processors.pipelines").joinpath("civic", "README.md").read_text(encoding="utf-8")
    rules = load_builtin("civic").quality
    for check in rules.checks:
        for setting, value in getattr(rules, check).model_dump().items():
            shown = str(value).lower() if isinstance(value, bool) else f"{value:g}"
            assert f"| `{check}.{setting}` | {shown} |" in page


def test_the_settings_digest_follows_the_rules_and_nothing_else() -> None:
    civic = load_builtin("civic")
    assert _digest(civic) == _digest(civic.model_copy(update={"description": "other", "keep": "nothing"}))
    assert len(_digest(civic)) == 64
    changed = civic.model_dump() | {"quality": {"blur": {"min_variance": 101}}}
    assert _digest(civic) != _digest(PipelineDefinition.model_validate(changed))
    assert _digest(civic) != _digest(load_builtin("civic-legacy"))


@pytest.mark.parametrize("changed", [{"confidence": 0.3}, {"iou": 0.6}, {"max_detections": 10}])
def test_the_settings_digest_follows_the_thresholds_of_a_frame(changed: dict[str, float]) -> None:
    polyp, asked = load_builtin("polyp"), Thresholds()
    assert _digest(polyp, asked) == _digest(polyp, Thresholds())
    assert _digest(polyp, asked) != _digest(polyp)
    assert _digest(polyp, asked) != _digest(polyp, asked.model_copy(update=changed))


def _digest(definition: PipelineDefinition, asked: Thresholds | None = None) -> str:
    return SettingsDigest(definition, summary_for(definition.summary).options(definition)).of(asked)


def test_the_settings_digest_follows_the_options_however_they_are_written() -> None:
    banana = load_builtin("banana")
    written = [{}, {"grades": {"a": 85}}, {"grades": {"a": 85.0}}, {"grades": {"a": 84}}]
    plain, same, decimal, other = (_digest(banana.model_copy(update={"options": options})) for options in written)
    assert plain == same == decimal != other
