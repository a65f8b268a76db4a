"""The time left that `sightline replay status` says."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import cast

import pytest

from sightline.cli.replay_status import facts_of
from sinks.postgres.replays import (
    CANCELLED,
    PAUSED,
    PLANNED,
    PUBLISHED,
    RUNNING,
    Answered,
    PartitionProgress,
    ReplayBook,
    ReplayRow,
)


@pytest.mark.parametrize(
    ("state", "published", "answered", "left_s"),
    [
        (PLANNED, 0, 0, None),
        (RUNNING, 0, 0, None),
        (RUNNING, 50, 0, None),
        (RUNNING, 50, 10, 540),
        (RUNNING, 50, 25, 180),
        (RUNNING, 100, 75, 20),
        (PUBLISHED, 100, 75, 20),
        (PAUSED, 50, 25, 180),
        (CANCELLED, 50, 25, 60),  # what is not sent is not waited for
        (CANCELLED, 50, 50, 0),
        (PUBLISHED, 100, 100, 0),
        (PUBLISHED, 99, 99, 0),  # one was nowhere
    ],
)
def test_the_time_left_goes_by_the_answers_since_the_start(
    state: str, published: int, answered: int, left_s: float | None
) -> None:
    """A replay of 100 frames in two partitions, a minute after its start; answers of every kind count."""
    begun = datetime.now(UTC) - timedelta(minutes=1)
    started_at = None if state == PLANNED else begun
    row = ReplayRow("r-1", "civic", state, {}, {"frames": 100}, None, None, None, "me", begun, started_at)
    progress = [
        PartitionProgress(0, 0, 50, 0, frames=min(published, 50)),
        PartitionProgress(1, 0, 50, 0, frames=max(published - 50, 0)),
    ]
    letters, skipped = answered // 5, answered // 3
    answers = Answered(answered - letters - skipped, skipped, letters, None, None)
    book = SimpleNamespace(progress=lambda _: progress, answered=lambda _: answers)
    expected = left_s and pytest.approx(left_s, rel=0.05)
    assert facts_of(cast("ReplayBook", book), row)["left_s"] == expected
