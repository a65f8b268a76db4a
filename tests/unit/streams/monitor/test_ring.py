import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.monitor.ring import Ring


def test_an_empty_ring_has_nothing() -> None:
    ring = Ring(60_000, 12)
    assert ring.total(1_000_000) == (0, 0.0)
    assert ring.spread(1_000_000) == 0


@given(st.lists(st.integers(0, 400_000), max_size=60), st.integers(0, 500_000))
def test_it_counts_as_a_list_would(times: list[int], now_ms: int) -> None:
    """Read at any moment after the last event, it holds exactly the slots of the span."""
    ring, slot_ms = Ring(60_000, 12), 5000
    for at_ms in sorted(times):
        ring.add(at_ms, at_ms / 10)
    now_ms = max([now_ms, *(at_ms + 1 for at_ms in times)])
    last = (now_ms - 1) // slot_ms
    held = [at_ms for at_ms in times if last - 12 < at_ms // slot_ms <= last]
    count, total = ring.total(now_ms)
    assert count == len(held)
    assert total == pytest.approx(sum(held) / 10)
    earlier = [at_ms for at_ms in held if at_ms // slot_ms <= last - 4]
    assert ring.total(now_ms, 4)[0] == len(earlier)
    assert ring.total(now_ms, 0, 4)[0] == len(held) - len(earlier)
    assert ring.spread(now_ms) == (max(held) // slot_ms - min(held) // slot_ms + 1 if held else 0)


def test_late_events_count_in_their_own_slot_and_too_late_ones_nowhere() -> None:
    ring = Ring(60_000, 12)
    ring.add(100_000)
    ring.add(60_000)
    ring.add(1)
    assert ring.count(100_001) == 2
    assert ring.total(100_001, 0, 1)[0] == 1


def test_events_ahead_of_the_moment_do_not_count_yet() -> None:
    ring = Ring(60_000, 12)
    ring.add(100_000)
    ring.add(130_000)
    assert ring.count(105_000) == 1


def test_memory_does_not_grow_with_events() -> None:
    ring, chance = Ring(60_000, 12), random.Random(1)
    for at_ms in range(0, 600_000, 10):
        ring.add(at_ms, chance.random())
    assert ring.count(600_000) == 6000
    assert len(ring._counts) == 12
