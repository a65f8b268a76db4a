"""The page on guarantees names tests; each is there, and no failure stands without one."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.chaos.scenarios import SCENARIOS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "guarantees.md"
# Its file, its function, and which of its cases.
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)(?:\[(\w+)\])?`")
_CASES = {
    "tests/chaos/test_scenarios.py": {"", *(scenario.name for scenario in SCENARIOS if scenario.tested_in is None)}
}
_SCENARIO = re.compile(r"scenario `(\w+)` of `make chaos`")
# Sections whose tables promise something in each row.
_PROMISING = ("Hop by hop", "Under which failures", "Frames that are skipped")


def _named(text: str) -> list[tuple[str, str, str]]:
    return _TEST.findall(text)


@cache
def _functions(file: str) -> frozenset[str]:
    tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def _section(title: str) -> str:
    found = re.search(
        rf"^(#+) {title}\n(.*?)(?=^#{{2,3}} |\Z)", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert found is not None, title
    return found[2]


def _is_there(file: str, function: str, case: str = "") -> bool:
    return (ROOT / file).is_file() and function in _functions(file) and case in _CASES.get(file, {""})


def test_every_test_that_is_named_exists() -> None:
    named = _named(PAGE.read_text(encoding="utf-8"))
    assert len(named) > 50
    assert [one for one in named if not _is_there(*one)] == []


def test_nothing_in_test_files_is_named_in_another_way() -> None:
    """A name that the pattern overlooks would not be checked."""
    text = PAGE.read_text(encoding="utf-8")
    assert text.count("tests/") == len(_named(text))
    assert text.count("::test_") == len(_named(text))


@pytest.mark.parametrize("title", _PROMISING)
def test_every_row_says_which_test_shows_it(title: str) -> None:
    rows = [line for line in _section(title).splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 5
    assert [row for row in rows if not _named(row)] == []


def test_every_scenario_of_chaos_is_named() -> None:
    text = PAGE.read_text(encoding="utf-8")
    in_tests = {scenario.name for scenario in SCENARIOS if scenario.tested_in is None}
    assert {case for _, _, case in _named(text)} == {"", *in_tests}
    assert set(_SCENARIO.findall(text)) == {scenario.name for scenario in SCENARIOS} - in_tests


def test_a_test_that_is_not_there_is_noticed() -> None:
    assert not _is_there("tests/unit/test_guarantees.py", "test_that_nobody_wrote")
    assert not _is_there("tests/unit/test_nowhere.py", "test_every_test_that_is_named_exists")
    assert not _is_there("tests/chaos/test_scenarios.py", "test_nothing_is_lost_doubled_or_blamed", "nothing")
    assert _is_there("tests/unit/test_guarantees.py", "test_every_test_that_is_named_exists")
