import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from processors.budget import PixelBudget


class Gauge:
    """Remembers how much was held at once, and by how many."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: list[int] = []
        self.most = 0
        self.company_of: dict[int, int] = {}

    def enter(self, pixels: int) -> None:
        with self._lock:
            self._held.append(pixels)
            self.most = max(self.most, sum(self._held))
            self.company_of[pixels] = max(self.company_of.get(pixels, 0), len(self._held))

    def leave(self, pixels: int) -> None:
        with self._lock:
            self._held.remove(pixels)


def test_many_threads_never_hold_more_than_the_total() -> None:
    budget, gauge = PixelBudget(100), Gauge()

    def work(pixels: int) -> None:
        for _ in range(50):
            with budget.hold(pixels):
                gauge.enter(pixels)
                gauge.leave(pixels)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, [10, 20, 30, 40, 50, 60, 70, 100], timeout=60))
    assert 0 < gauge.most <= 100


def test_what_is_larger_than_the_total_goes_alone_and_nobody_waits_for_ever() -> None:
    budget, gauge = PixelBudget(100), Gauge()

    def work(pixels: int) -> None:
        for _ in range(50):
            with budget.hold(pixels):
                gauge.enter(pixels)
                gauge.leave(pixels)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, [10, 500, 90, 1000], timeout=60))
    assert gauge.company_of[500] == gauge.company_of[1000] == 1


def test_two_that_fit_run_at_the_same_time() -> None:
    budget, meeting = PixelBudget(100), threading.Barrier(2)

    def work(_: int) -> None:
        with budget.hold(50):
            meeting.wait(timeout=30)  # breaks unless both are inside

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, range(2), timeout=60))


def test_an_error_inside_gives_the_pixels_back() -> None:
    budget = PixelBudget(100)
    with pytest.raises(KeyError), budget.hold(100):
        raise KeyError
    with budget.hold(100):
        pass
