"""`sightline config show`, and what commands print."""

import json

import pytest

from sightline.cli.main import exit_code
from sightline.cli.output import print_json, print_line, printable
from sightline.runtime.settings import describe_settings, variable_name


def test_every_setting_with_its_origin_and_no_secret(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIGHTLINE_DATABASE_URL", "postgresql://u:hunter2@h/d")
    monkeypatch.setenv("SIGHTLINE_SINK_MAX_ROWS", "7")
    monkeypatch.setenv("SIGHTLINE_SINK_MAX_ROW", "8")
    assert exit_code(["config", "show", "--json"]) == 0
    out, err = capsys.readouterr()
    shown = {row["variable"]: row for row in map(json.loads, out.splitlines())}
    assert set(shown) == {variable_name(section, name) for section, name, _ in describe_settings()}
    assert shown["SIGHTLINE_SINK_MAX_ROWS"]["value"] == "7"
    assert shown["SIGHTLINE_SINK_MAX_ROWS"]["origin"] == "SIGHTLINE_SINK_MAX_ROWS"
    assert shown["SIGHTLINE_SINK_MAX_BYTES"]["origin"] == "default"
    assert "hunter2" not in out + err
    assert err == "warning: SIGHTLINE_SINK_MAX_ROW is no setting of sightline, and does nothing\n"


def test_the_table_has_every_setting_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["config", "show"]) == 0
    out = capsys.readouterr().out
    assert all(variable_name(section, name) in out for section, name, _ in describe_settings())


def test_a_setting_out_of_bounds_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIGHTLINE_SINK_MAX_ROWS", "0")
    assert exit_code(["config", "show"]) == 2
    assert capsys.readouterr().err.startswith("sightline: SIGHTLINE_SINK_MAX_ROWS: ")


def test_control_characters_do_not_reach_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert printable("a\x1b[31mb") == "a\N{REPLACEMENT CHARACTER}[31mb"
    print_line("x\x07y")
    assert capsys.readouterr().out == "x\N{REPLACEMENT CHARACTER}y\n"


def test_json_survives_names_that_are_not_utf_8(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"file": "a\udcff.jpg"})
    assert json.loads(capsys.readouterr().out) == {"file": "a\udcff.jpg"}
