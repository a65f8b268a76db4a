"""Every query that the documentation shows runs, and finds what it says it finds."""

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from schemas.message import alert_message
from sinks.postgres.sink import PostgresSink
from tests.unit.sinks.samples import SOURCE, dead_letter_record, gap_record, make_result, record, result_record

pytestmark = pytest.mark.services
PAGE = Path(__file__).parents[2] / "docs/queries.md"
QUERIES = re.findall(r"^```sql\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)


def test_the_page_has_its_queries() -> None:
    assert len(QUERIES) >= 10
    assert PAGE.read_text().count("```") == 2 * len(QUERIES)


@pytest.fixture
def filled(engine: Engine) -> Engine:
    """A row for each question: two verdicts, replay, shadow, reused id, a camera in 1970, dead letter, gap."""
    now = datetime.now(UTC)
    at: dict[str, Any] = {"captured_at": now - timedelta(seconds=2), "processed_at": now}
    results = [
        make_result(1, **at),
        make_result(2, verdict="rejected", **at),
        make_result(2, verdict="accepted", replay_id="r1", **at),
        make_result(1, verdict="rejected", variant="shadow", **at),
        make_result(3, event_id="again", **at),
        make_result(4, event_id="again", **at),
        make_result(5, captured_at=datetime(1970, 1, 1, tzinfo=UTC)),
    ]
    sink = PostgresSink(engine, lambda: now)
    report = sink.store([sink.read(result_record(result)) for result in results])
    records = [dead_letter_record(), gap_record(), *(record(alert_message(alert)) for alert in report.alerts)]
    sink.store([sink.read(made) for made in records])
    return engine


@pytest.mark.parametrize("query", QUERIES, ids=lambda query: query.split("\n")[0][:40])
def test_a_query_finds_rows(filled: Engine, query: str) -> None:
    with filled.connect() as connection:
        assert connection.exec_driver_sql(query).all()


def test_the_first_query_counts_right(filled: Engine) -> None:
    with filled.connect() as connection:
        [(source, _, photos, percent)] = connection.exec_driver_sql(QUERIES[0]).all()
    assert (source, photos, float(percent)) == (SOURCE, 4, 75.0)
