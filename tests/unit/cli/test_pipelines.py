"""Finding a pipeline's definition."""

import json
from pathlib import Path

import pytest
import yaml

from processors.pipelines import builtin_names
from schemas.errors import ConfigurationError
from sightline.cli.main import exit_code
from sightline.cli.pipelines import check_name, load_definition, pipeline_names
from sightline.runtime.settings import PipelinesSettings, Settings

_MINE = "name: {name}\nsummary: civic\ninput: {{media_types: [image/jpeg]}}\nquality: {{pass_score: 12}}\n"


def _settings(folder: Path) -> Settings:
    return Settings(pipelines=PipelinesSettings(dir=folder))


def test_a_folder_of_ones_own_stands_beside_the_built_in_ones(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(_MINE.format(name="mine"))
    (tmp_path / "ours").mkdir()
    (tmp_path / "ours/pipeline.yaml").write_text(_MINE.format(name="ours"))
    settings = _settings(tmp_path)
    assert pipeline_names(settings) == sorted([*builtin_names(), "mine", "ours"])
    assert load_definition("mine", settings).quality.pass_score == 12
    assert load_definition("ours", settings).name == "ours"
    assert load_definition("civic", settings).quality.pass_score == 65


def test_ones_own_comes_first(tmp_path: Path) -> None:
    (tmp_path / "civic.yaml").write_text(_MINE.format(name="civic"))
    assert load_definition("civic", _settings(tmp_path)).quality.pass_score == 12


def test_a_path_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "other.yml"
    path.write_text(_MINE.format(name="mine"))
    assert load_definition(str(path), Settings()).name == "mine"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name: other\nsummary: civic\ninput: {media_types: [image/jpeg]}\n", "calls itself other"),
        ("name: mine\nsummary: nope\ninput: {media_types: [image/jpeg]}\n", "mine.yaml: summary"),
        ("name: mine\nsummary: civic\ncolour: red\ninput: {media_types: [image/jpeg]}\n", "mine.yaml:3: colour"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    with pytest.raises(ConfigurationError, match=says):
        load_definition("mine", _settings(tmp_path))


def test_a_folder_that_is_missing_names_the_setting(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="SIGHTLINE_PIPELINES_DIR"):
        pipeline_names(_settings(tmp_path / "missing"))


def test_missing_files_and_wrong_names() -> None:
    with pytest.raises(ConfigurationError, match=r"missing\.yaml: cannot be read"):
        load_definition("missing.yaml", Settings())
    with pytest.raises(ConfigurationError, match="not a pipeline's name"):
        check_name("Upper_case")


def test_what_show_prints_can_be_used_as_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["pipelines", "show", "civic"]) == 0
    text = capsys.readouterr().out
    path = tmp_path / "again.yaml"
    path.write_text(text)
    assert load_definition(str(path), Settings()) == load_definition("civic", Settings())
    assert yaml.safe_load(text)["quality"]["blur"]["min_variance"] == 100


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["pipelines", "list", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["name"], row["origin"]) for row in rows] == [(name, "built-in") for name in builtin_names()]
    assert {"banana", "civic", "civic-legacy", "detect", "polyp"} <= {row["name"] for row in rows}
    assert all(row["description"] for row in rows)
