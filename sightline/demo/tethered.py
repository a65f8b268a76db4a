"""A sightline command that ends with its parent: `python -m sightline.demo.tethered NAME=VALUE… -- COMMAND…`.

Its standard input is the tether: at its end, when the parent closes it or dies in any way, the command gets
SIGTERM. The settings are those given; none of the caller's own may lead the demo to somebody's real services.
"""

import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence

_SETTINGS = ("SIGHTLINE_", "AWS_")


def arguments(settings: Mapping[str, str], command: Sequence[str]) -> list[str]:
    """Return the arguments of this module that run `command` with `settings`."""
    return [*(f"{name}={value}" for name, value in settings.items()), "--", *command]


def main(given: Sequence[str]) -> int:
    """Run the command in this process; return its exit code."""
    separator = given.index("--")
    settings = dict(pair.split("=", 1) for pair in given[:separator])
    for name in [name for name in os.environ if name.startswith(_SETTINGS)]:
        del os.environ[name]
    os.environ.update(settings)
    threading.Thread(target=_hold, name="tether", daemon=True).start()

    from sightline.cli.main import exit_code  # noqa: PLC0415 -- the settings come first

    return exit_code(list(given[separator + 1 :]))


def _hold() -> None:
    # Not sys.stdin.read(): os.read holds no lock that the interpreter would want at exit.
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
