"""Read by every Python that the scenario of jumping clocks starts.

Under libfaketime with a real monotonic clock, `time.sleep` fails with "invalid argument": it takes an end on the
monotonic clock, which that library compares with the time of day. Waiting by `select` takes a length instead.
"""

import select
import time
from typing import SupportsIndex


def _sleep(seconds: float | SupportsIndex) -> None:
    select.select([], [], [], float(seconds))


time.sleep = _sleep
