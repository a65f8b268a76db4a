"""Memory stays bounded, whatever the backlog."""

import pytest

from benchmarks.memory import peak_bytes
from tests.world import World

pytestmark = [pytest.mark.services, pytest.mark.timeout(1200)]


def test_a_backlog_of_1500_pictures_a_third_of_them_24_megapixels(world: World) -> None:
    peak = peak_bytes(world, 1500)
    print(f"peak: {peak / 1e6:.0f} MB")
    assert peak < 500_000_000
