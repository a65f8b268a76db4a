"""The export environment as a program of its own: found, run, bounded, and told nothing that is secret."""

import json
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from schemas.errors import ConfigurationError
from sightline.models.exporting import environment as module
from sightline.models.exporting import script
from sightline.models.exporting.environment import (
    SETTING,
    Environment,
    ExportFailedError,
    describe_failure,
    find_environment,
    run_script,
)

_HERE = Environment(Path(sys.executable), "8.4.190")


def _interpreter(folder: Path, line: str, name: str = "python") -> Path:
    """Write a program that answers any call with a shell line."""
    path = folder / name
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_the_one_that_is_asked_for_comes_first(tmp_path: Path) -> None:
    asked, setting = _interpreter(tmp_path, "echo 8.4.190"), _interpreter(tmp_path, "echo 9.0.0", "other")
    assert find_environment(asked, setting) == Environment(asked, "8.4.190")
    assert find_environment(None, setting) == Environment(setting, "9.0.0")


def test_without_ultralytics_it_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"pip install 'sightline\[export\]'") as caught:
        find_environment(None, _interpreter(tmp_path, "exit 1"))
    assert caught.value.where == SETTING
    with pytest.raises(ConfigurationError, match=r"8\.4 or newer"):
        find_environment(_interpreter(tmp_path, "echo 8.3.99"), None)
    with pytest.raises(ConfigurationError, match="cannot be run: FileNotFoundError"):
        find_environment(tmp_path / "nothing", None)


def test_our_own_interpreter_is_the_last_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(_interpreter(tmp_path, "echo 8.4.190")))
    assert find_environment(None, None).ultralytics == "8.4.190"


def _script(folder: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    path = folder / "script.py"
    path.write_text(f"import json, os, sys, time\nrequest = json.load(open(sys.argv[1]))\n{body}\n")
    monkeypatch.setattr(module, "SCRIPT", path)


def _answer(text: str) -> str:
    return f"open(request['answer'], 'w').write({text})"


def test_the_answer_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _script(tmp_path, monkeypatch, "print('noise'); " + _answer("json.dumps({'twice': 2 * request['number']})"))
    assert run_script(_HERE, {"number": 21}, tmp_path, 60) == {"twice": 42}


def test_it_sees_no_secret_and_writes_to_no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_DATABASE_URL", "postgresql://user:secret@host/name")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    _script(tmp_path, monkeypatch, _answer("json.dumps(dict(os.environ))"))
    seen = run_script(_HERE, {}, tmp_path, 60)
    assert not [name for name in seen if name.startswith(("SIGHTLINE_", "AWS_"))]
    assert seen["HOME"] == seen["YOLO_CONFIG_DIR"] == str(tmp_path)
    assert seen["YOLO_AUTOINSTALL"] == "false"


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("raise SystemError('broken')", "ended with code 1 and no answer"),
        ("os.kill(os.getpid(), 9)", "ended with code -9"),
        (_answer("'{'"), "ended with code 0 and no answer"),
    ],
)
def test_a_breakdown_is_an_error_with_the_last_words_in_the_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, problem: str
) -> None:
    logged: list[dict[str, Any]] = []
    monkeypatch.setattr(module, "_log_tail", lambda file: logged.append({"output": file.read_text()}))
    _script(tmp_path, monkeypatch, body)
    with pytest.raises(ExportFailedError, match=problem):
        run_script(_HERE, {}, tmp_path, 60)
    assert len(logged) == 1
    assert ("broken" in logged[0]["output"]) == ("SystemError" in body)


def test_what_takes_too_long_is_killed_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = tmp_path / "child"
    body = f"import subprocess; open({str(child)!r}, 'w').write(str(subprocess.Popen(['sleep', '600']).pid))"
    _script(tmp_path, monkeypatch, f"{body}; time.sleep(600)")
    with pytest.raises(ExportFailedError, match="not done after 2 s"):
        run_script(_HERE, {}, tmp_path, 2)
    deadline = time.monotonic() + 10
    while _runs(int(child.read_text())) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _runs(int(child.read_text()))


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text()
    except OSError:
        return False
    return state.rsplit(")", 1)[1].split()[0] != "Z"


def test_a_failure_is_one_line() -> None:
    assert describe_failure({"kind": "ValueError", "message": "two\nlines"}) == "ValueError: two lines"


def test_the_script_needs_nothing_of_ours(tmp_path: Path) -> None:
    """It runs as a file, elsewhere, without our packages; and a missing library is an answer, not a breakdown."""
    request = {"answer": str(tmp_path / "answer.json"), "variants": [], "recordings": [], "weights": "none.pt"}
    (tmp_path / "request.json").write_text(json.dumps(request))
    command = [sys.executable, "-I", "-S", str(script.__file__), str(tmp_path / "request.json")]
    assert subprocess.run(command, check=False, capture_output=True).returncode == 0
    answer = json.loads((tmp_path / "answer.json").read_text())
    assert answer["error"]["kind"] == "ModuleNotFoundError"


class _Node:
    def __init__(self, name: str, op_type: str, takes: list[str], gives: list[str]) -> None:
        self.name, self.op_type, self.input, self.output = name, op_type, takes, gives


def test_half_precision_ends_where_the_learned_weights_end() -> None:
    nodes = [
        _Node("first", "Conv", ["x"], ["a"]),
        _Node("act", "Sigmoid", ["a"], ["b"]),
        _Node("last", "Conv", ["b"], ["c"]),
        _Node("/model.22/dfl/conv/Conv", "Conv", ["c"], ["d"]),
        _Node("decode", "Sub", ["d"], ["y"]),
    ]
    assert set(script._after_the_last_weights(nodes)) == {"/model.22/dfl/conv/Conv", "decode"}
