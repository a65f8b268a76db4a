"""What the options of `sightline replay` become, and what is refused before any service is asked."""

from pathlib import Path

import pytest

from schemas.errors import ConfigurationError
from sightline.cli.main import exit_code
from sightline.cli.replay_options import overrides_of
from sightline.runtime.settings import Settings

SETTINGS = Settings()


def test_without_options_nothing_is_otherwise() -> None:
    assert overrides_of("civic", None, [], [], SETTINGS) is None


def test_one_value_is_set_and_the_rest_is_the_pipelines() -> None:
    overrides = overrides_of("civic", None, ["quality.pass_score=70", "gate=flag"], [], SETTINGS)
    assert overrides is not None
    assert overrides.definition is not None
    assert (overrides.definition.quality.pass_score, overrides.definition.gate) == (70, "flag")
    plain = overrides_of("civic", "civic", [], [], SETTINGS)
    assert plain is not None
    assert plain.definition is not None
    assert overrides.definition.input == plain.definition.input


def test_another_pipelines_rules() -> None:
    overrides = overrides_of("civic", "civic-legacy", [], [], SETTINGS)
    assert overrides is not None
    assert overrides.definition is not None
    assert overrides.definition.name == "civic-legacy"


@pytest.mark.parametrize(
    "patch", ["quality.pass_score", "quality.nonsense=1", "nonsense.a=1", "name=other", "quality.pass_score=101"]
)
def test_what_is_no_setting_is_refused(patch: str) -> None:
    with pytest.raises(ConfigurationError, match="--set"):
        overrides_of("civic", None, [patch], [], SETTINGS)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plan", "civic", "--from", "yesterday"], "--from"),
        (["plan", "civic", "--offsets", "1"], "--offsets"),
        (["plan", "civic", "--score", "x"], "--score"),
        (["plan", "civic", "--code", "a", "--verdict", "b"], "choose by code, or by result"),
        (["plan", "civic", "--frame-ids", "{missing}"], "--frame-ids"),
        (["plan", "civic", "--set", "x=1"], "--set"),
        (["plan", "civic", "--with", "nonsense"], "unknown pipeline"),
        (["plan", "civic"], "SIGHTLINE_DATABASE_URL"),
        (["status", "r-1"], "SIGHTLINE_DATABASE_URL"),
    ],
)
def test_wrong_use_is_said_in_one_line(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("SIGHTLINE_DATABASE_URL", raising=False)
    assert exit_code(["replay", *(argument.format(missing=tmp_path / "missing") for argument in arguments)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("sightline: ")
    assert says in said
