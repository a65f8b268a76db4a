"""Fault points that freeze: the process stands still until somebody continues it."""

import os
import signal
import subprocess
import sys

import pytest

from schemas.errors import ConfigurationError
from sightline.runtime.faults import Faults


def test_a_frozen_process_goes_on_when_it_is_continued() -> None:
    program = (
        "from sightline.runtime.faults import Faults\n"
        "faults = Faults('before-commit:2:freeze')\n"
        "for n in range(3): faults.passing('before-commit'); print(n, flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    try:
        _, status = os.waitpid(process.pid, os.WUNTRACED)
        assert os.WIFSTOPPED(status)
        process.send_signal(signal.SIGCONT)
        output, _ = process.communicate(timeout=30)
        assert output.split() == [b"0", b"1", b"2"]
        assert process.returncode == 0
    finally:
        process.kill()


@pytest.mark.parametrize("point", ["before-commit:1:", "before-commit:1:melt", "before-commit:freeze"])
def test_other_endings_are_refused(point: str) -> None:
    with pytest.raises(ConfigurationError):
        Faults(point)
