"""Something that goes on beside a test."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager


@contextmanager
def in_background(run: Callable[[threading.Event], None]) -> Iterator[None]:
    """Run `run(ended)` in a thread as long as the block lasts; then `ended` is set. Raises what `run` raised."""
    ended = threading.Event()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run, ended)
        try:
            yield
        finally:
            ended.set()
        running.result()
