"""Frames that a replay chooses by what was said of them, in a real database."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Engine

from schemas.result import ModelReference
from sinks.postgres.replay_frames import FrameFilter, FrameRows
from sinks.postgres.sink import PostgresSink
from tests.unit.sinks.samples import make_result, result_record

pytestmark = pytest.mark.services
DETECTOR = ModelReference(role="detector", name="hands", version="1", digest="aa11")
CLASSIFIERS = [
    ModelReference(role="classifier", name="signs", version=str(number), digest=digest)
    for number, digest in enumerate(("bb22", "bb33"))
]


@pytest.mark.parametrize(
    ("digest", "offsets"),
    [("bb22", {1}), ("bb", {1, 2}), ("aa11", {1, 2}), ("b22", set()), ('bb"', set()), ("%", set())],
)
def test_results_by_any_of_their_models(engine: Engine, digest: str, offsets: set[int]) -> None:
    now = datetime.now(UTC)
    results = [make_result(number, models=[DETECTOR, one]) for number, one in enumerate(CLASSIFIERS, 1)]
    results.append(make_result(3, models=None))
    sink = PostgresSink(engine, lambda: now)
    sink.store([sink.read(result_record(result)) for result in results])
    wanted = FrameFilter("civic", "frames.civic", now + timedelta(hours=1), model=digest)
    assert {offset for _, offset, _ in FrameRows(engine).places(wanted)} == offsets
