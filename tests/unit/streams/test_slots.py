"""Names of processes that those who come after take over."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from streams.slots import take_slot

HOLD = "import sys\nfrom streams.slots import take_slot\nprint(take_slot(sys.argv[1]), flush=True)\nsys.stdin.read()"


@pytest.fixture(autouse=True)
def _locks_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)


def _hold(group: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, group], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_a_killed_process_leaves_its_name_to_the_next() -> None:
    first, name = _hold("unit")
    second, other = _hold("unit")
    try:
        assert name.endswith("-0")
        assert other.endswith("-1")
        first.kill()
        first.communicate()
        assert take_slot("unit") == name
    finally:
        for process in (first, second):
            process.kill()
            process.communicate()


def test_groups_do_not_share_names() -> None:
    names = [take_slot(group) for group in ("one", "two", "one")]
    assert names[0] == names[1] != names[2]
