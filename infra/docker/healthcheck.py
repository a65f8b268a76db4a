#!/usr/bin/env python3
"""Exit 0 when a page of this container's own HTTP port answers 200: `healthcheck /health/ready [PORT]`."""

import http.client
import sys

TIMEOUT_S = 2.0


def main(path: str, port: str = "8080") -> int:
    """Ask once; 1 for anything but 200."""
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=TIMEOUT_S)
    try:
        connection.request("GET", path)
        return 0 if connection.getresponse().status == http.HTTPStatus.OK else 1
    except (OSError, http.client.HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
