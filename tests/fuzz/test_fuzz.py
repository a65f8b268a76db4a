"""The short form of `make fuzz`."""

from collections.abc import Callable

import pytest

from tests.fuzz.run import LIKE, fuzz
from tests.fuzz.stream import RAW_NAMES
from tests.world import World

pytestmark = pytest.mark.services
MESSAGES = 3000
SEED = 20260101


def test_malformed_messages_are_each_accounted_for(world_like: Callable[[str], World]) -> None:
    """Through one worker and both sinks; topics that other tests have too get none."""
    outcome = fuzz(world_like(LIKE), MESSAGES, SEED, wave=MESSAGES // 3, shared=False)
    assert not outcome.findings()
    assert outcome.sender.sent.total() == MESSAGES
    assert outcome.sender.unplaced.total() >= len(RAW_NAMES)
    assert len(outcome.books.codes) >= 20
