"""The test suite's own safeguards."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def ours(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A test run with the warning filters and markers of this project, which can import its conftest."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    options = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    lists = {name: "\n    ".join(options[name]) for name in ("filterwarnings", "markers")}
    pytester.makeini("[pytest]\n" + "".join(f"{name} =\n    {lines}\n" for name, lines in lists.items()))
    return pytester


def test_an_unhandled_exception_in_a_thread_fails_the_test(ours: pytest.Pytester) -> None:
    ours.makepyfile("""
        import threading

        def test_quiet():
            thread = threading.Thread(target=lambda: 1 / 0)
            thread.start()
            thread.join()
    """)
    ours.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(failed=1)


def test_a_file_left_open_fails_the_test(ours: pytest.Pytester) -> None:
    ours.makepyfile("""
        def test_leaky(tmp_path):
            (tmp_path / "file").open("w").write("x")
    """)
    ours.runpytest_subprocess("-p", "no:cacheprovider").assert_outcomes(failed=1)


def test_what_uses_a_service_is_marked(ours: pytest.Pytester) -> None:
    ours.makeconftest("from tests.conftest import *\n")
    ours.makepyfile("""
        def test_with(s3): pass
        def test_without(): pass
    """)
    ran = ours.runpytest_subprocess("-m", "not services", "-p", "no:cacheprovider")
    ran.assert_outcomes(passed=1, deselected=1)


def test_a_missing_tool_fails_in_one_line(ours: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    ours.makeconftest("from tests.conftest import *\n")
    ours.makepyfile("def test_with(kafka): pass\n")
    monkeypatch.setenv("PATH", str(ours.path))
    ran = ours.runpytest_subprocess("-m", "services", "-p", "no:cacheprovider")
    ran.assert_outcomes(errors=1)
    ran.stdout.fnmatch_lines(["java: not found; Kafka needs it: apt-get install default-jre-headless*"])
