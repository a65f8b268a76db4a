"""Finds the export environment's interpreter, runs the script in it, and reads what it answers.

Loading a `.pt` file runs code that is in it, so the process gets no secret of ours: an environment of few
variables, a home of its own, and a time limit after which it and its children are killed.
"""

import contextlib
import json
import os
import signal
import subprocess  # the export environment is a program of its own by design
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from schemas.errors import ConfigurationError, SightlineError
from sightline.runtime.log import get_logger

SETTING: Final = "SIGHTLINE_EXPORT_PYTHON"
SCRIPT: Final = Path(__file__).with_name("script.py")
# The first that takes `quantize=` for ONNX.
_OLDEST: Final = (8, 4)
_HOW: Final = (
    "make an environment for it with `python3 -m venv export-env` and "
    "`export-env/bin/pip install 'sightline[export]'`, then pass --python export-env/bin/python"
)
_PASSED_ON: Final = ("PATH", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "OMP_NUM_THREADS")
_VERSION_OF: Final = "import importlib.metadata as m; print(m.version('ultralytics'))"
_LOG_TAIL_CHARACTERS: Final = 4000


class ExportFailedError(SightlineError):
    """The export environment broke down, or took too long; its last words are in the log."""


@dataclass(frozen=True, slots=True)
class Environment:
    """An interpreter that has ultralytics."""

    python: Path
    ultralytics: str


def find_environment(asked: Path | None, setting: Path | None) -> Environment:
    """Choose the interpreter: the one asked for, else the setting's, else our own where it has ultralytics.

    Starts each candidate for a moment. Raises ConfigurationError that says how to make such an environment.
    """
    if asked is not None:
        return _environment(asked, "--python")
    if setting is not None:
        return _environment(setting, SETTING)
    return _environment(Path(sys.executable), "this environment")


def run_script(environment: Environment, request: Mapping[str, Any], folder: Path, timeout_s: float) -> dict[str, Any]:
    """Run the script on a request; returns its answer. Blocks until it ends.

    `folder` takes the request, the answer, the script's output, and whatever ultralytics writes. Raises
    ExportFailedError when the process dies, or is not done in `timeout_s`: then it is killed.
    """
    answer_file, request_file, output_file = folder / "answer.json", folder / "request.json", folder / "output.log"
    request_file.write_text(json.dumps({**request, "answer": str(answer_file)}), encoding="utf-8")
    with output_file.open("wb") as output:
        code = _run([str(environment.python), str(SCRIPT), str(request_file)], folder, output.fileno(), timeout_s)
    if code is None:
        _log_tail(output_file)
        raise ExportFailedError(f"{environment.python}: not done after {timeout_s:.0f} s")
    try:
        answer: dict[str, Any] = json.loads(answer_file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        _log_tail(output_file)
        raise ExportFailedError(f"{environment.python}: ended with code {code} and no answer; see the log") from None
    if "error" in answer or any("error" in part for part in answer.get("variants", {}).values()):
        _log_tail(output_file)
    return answer


def describe_failure(error: Mapping[str, str]) -> str:
    """Say in a line what the script wrote down about an exception."""
    return f"{error['kind']}: {' '.join(error['message'].split())}"


def _environment(python: Path, where: str) -> Environment:
    try:
        found = subprocess.run(  # noqa: S603  # the interpreter is the operator's choice
            [str(python), "-c", _VERSION_OF], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ConfigurationError(where, f"{python} cannot be run: {type(error).__name__}") from None
    version = found.stdout.strip()
    if found.returncode or not version:
        raise ConfigurationError(where, f"{python} has no ultralytics; {_HOW}")
    if _numbers(version) < _OLDEST:
        raise ConfigurationError(where, f"{python} has ultralytics {version}; 8.4 or newer is needed")
    return Environment(python, version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdigit())


def _run(command: Sequence[str], folder: Path, output: int, timeout_s: float) -> int | None:
    """Return the exit code, or None when the time is over; leaves no process behind, whatever happens."""
    process = subprocess.Popen(  # noqa: S603  # see _environment
        command, cwd=folder, env=_variables(folder), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        start_new_session=True,
    )  # fmt: skip
    try:
        return process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _variables(folder: Path) -> dict[str, str]:
    ours = {
        "HOME": str(folder),
        "YOLO_CONFIG_DIR": str(folder),
        "YOLO_AUTOINSTALL": "false",  # it would call pip by itself
        "YOLO_OFFLINE": "true",
        "MPLBACKEND": "Agg",
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONNOUSERSITE": "1",
    }
    return {name: os.environ[name] for name in _PASSED_ON if name in os.environ} | ours


def _log_tail(file: Path) -> None:
    text = file.read_text(encoding="utf-8", errors="replace")
    get_logger(__name__).error("the export environment failed", output=text[-_LOG_TAIL_CHARACTERS:])
