"""The reference pages say what the code says."""

from pathlib import Path

import pytest

from schemas.errors import Code, ModelCode, ReplayCode, Stage
from sightline.cli.lazy import COMMANDS, load_command
from sightline.cli.reference import main, pages
from sightline.runtime.metrics import metric_names
from sightline.runtime.settings import describe_settings, variable_name

_FOLDER = Path(__file__).parents[3] / "docs/reference"


def _page(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def test_the_pages_are_what_the_code_says() -> None:
    assert main(["--check", str(_FOLDER)]) == 0


def test_a_page_that_is_stale_or_missing_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 0
    (tmp_path / "cli.md").write_text("stale")
    (tmp_path / "metrics.md").unlink()
    assert main(["--check", str(tmp_path)]) == 1
    assert [Path(line.split()[0]).name for line in capsys.readouterr().out.splitlines()] == ["cli.md", "metrics.md"]
    assert (tmp_path / "cli.md").read_text() == "stale"


def test_every_setting_is_described() -> None:
    page = _page("settings.md")
    for section, name, description in describe_settings():
        assert f"`{variable_name(section, name)}`" in page
        assert description


def test_every_error_code_and_stage_is_described() -> None:
    page = _page("error-codes.md")
    codes = (*Code, *ModelCode, *ReplayCode)
    assert [code for code in codes if f"| `{code.value}` | {code.explanation} |" not in page] == []
    assert [stage for stage in Stage if f"`{stage.value}`" not in page] == []


def test_every_metric_is_described() -> None:
    page = _page("metrics.md")
    assert [name for name, *_ in metric_names() if f"`{name}`" not in page] == []


def test_every_command_and_option_is_described() -> None:
    page = _page("cli.md")
    for name in COMMANDS:
        command = load_command(name)
        singles = {f"{name} {sub}": single for sub, single in getattr(command, "commands", {}).items()}
        for title, single in (singles or {name: command}).items():
            assert f"## `sightline {title}`" in page
            assert single.help, title
            for parameter in single.params:
                assert parameter.help, (title, parameter.name)
                assert all(f"`{option}`" in page for option in parameter.opts if option.startswith("-"))


def test_table_cells_stay_in_their_column() -> None:
    for name, page in pages().items():
        rows = [line for line in page.splitlines() if line.startswith("| ")]
        assert all(line.replace("\\|", "").count("|") in {3, 4, 5} for line in rows), name
