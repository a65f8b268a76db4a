"""The process ends with its exit code, whatever a thread of it is doing."""

import subprocess
import sys

import pytest

SCRIPT = """
import atexit, sys, threading, time
from sightline.runtime.ending import end_process, note_native

atexit.register(lambda: print("at exit"))
thread = threading.Thread(target=lambda: time.sleep({seconds}), daemon=True)
note_native(thread)
thread.start()
time.sleep(0.2)
print("leaving")
end_process(3)
"""


@pytest.mark.parametrize(("seconds", "said"), [(60, ["leaving"]), (0, ["leaving", "at exit"])])
def test_a_thread_in_native_code_is_not_torn_down(seconds: int, said: list[str]) -> None:
    run = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(seconds=seconds)],
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stdout.split("\n")[:-1], run.stderr) == (3, said, "")
