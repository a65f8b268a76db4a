"""Memory stays bounded, whatever the backlog."""

import pytest

from benchmarks.memory import GOALS, peak_bytes
from tests.world import World

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]


def test_a_backlog_of_1500_pictures_a_third_of_them_24_megapixels(world: World) -> None:
    peaks = peak_bytes(world, 1500)
    print({name: f"{peak / 1e6:.0f} MB" for name, peak in peaks.items()})
    assert peaks.keys() == GOALS.keys()
    assert {name for name, peak in peaks.items() if peak >= GOALS[name]} == set()
