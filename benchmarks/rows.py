"""Rows a second of the postgres sink, against COPY of the same rows into the same tables with the same indexes.

The sink is driven as its runner drives it: one batch is read while another is stored. COPY gets its lines ready
made, outside the clock. Both take turns, batch by batch, on the same growing tables.
"""

import hashlib
import io
import random
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from statistics import median
from time import perf_counter

from sqlalchemy import Engine

from benchmarks.figures import Figure
from schemas import identity
from schemas.message import result_message
from schemas.result import Check, Image, OriginReference, Quality, Result
from sinks.postgres import rows
from sinks.postgres.entries import ResultEntry
from sinks.postgres.sink import PostgresSink
from sinks.protocol import SinkRecord

BATCH = 500
TURNS = 20
BATCHES_A_TURN = 4
CHECKS = ("blur", "resolution", "brightness", "exposure", "metadata")


def measure(engine: Engine) -> list[Figure]:
    """Take turns, 20,000 results and more in all; the ratio is that of the medians."""
    sink = PostgresSink(engine, lambda: datetime.now(UTC))
    size = BATCH * BATCHES_A_TURN
    _store(sink, _records("warm", size))
    ours: list[float] = []
    copies: list[float] = []
    chance = random.Random(1)
    for turn in range(TURNS):
        steps = [("ours", ours), ("copy", copies)]
        chance.shuffle(steps)
        for name, taken in steps:
            records = _records(f"{name}-{turn}", size)
            taken.append(_store(sink, records) if name == "ours" else _copy(engine, sink, records))
    rate, bare = size / median(ours), size / median(copies)
    note = f"{TURNS} turns of {BATCHES_A_TURN} batches of {BATCH} results with 5 checks each; parsing is part of ours"
    return [
        Figure(
            "postgres sink ÷ COPY, results per second", rate / bare, "", "≥ 0.6", "COPY, same rows and indexes", note
        ),
        Figure("postgres sink, results per second", rate, "1/s", "", None, note),
    ]


def _store(sink: PostgresSink, records: Sequence[SinkRecord]) -> float:
    batches = [records[n : n + BATCH] for n in range(0, len(records), BATCH)]
    with ThreadPoolExecutor(1) as reader:
        began = perf_counter()
        for entries in reader.map(lambda batch: [sink.read(record) for record in batch], batches):
            if sink.store(entries).stored != BATCH:
                raise RuntimeError("a row of the benchmark was not new")
        return perf_counter() - began


def _copy(engine: Engine, sink: PostgresSink, records: Sequence[SinkRecord]) -> float:
    entries = [entry for record in records if isinstance(entry := sink.read(record), ResultEntry)]
    ready = [_lines(entries[n : n + BATCH]) for n in range(0, len(entries), BATCH)]
    began = perf_counter()
    for results, checks in ready:
        with engine.begin() as connection:
            cursor = connection.connection.cursor()
            for table, columns, data in (
                ("results", rows.RESULT_COLUMNS, results),
                ("quality_checks", rows.CHECK_COLUMNS, checks),
            ):
                cursor.copy_expert(f"COPY {table} ({', '.join(columns)}) FROM STDIN", io.BytesIO(data))
    return perf_counter() - began


def _lines(entries: Sequence[ResultEntry]) -> tuple[bytes, bytes]:
    results = "".join(rows.result_row(entry.result, entry.body) for entry in entries)
    return results.encode(), "".join(rows.check_rows(entry.result) for entry in entries).encode()


def _records(run: str, count: int) -> list[SinkRecord]:
    messages = [result_message(_result(run, number)) for number in range(count)]
    return [
        SinkRecord(message.topic, 0, number, 0, message.key, message.value, message.headers)
        for number, message in enumerate(messages)
    ]


def _result(run: str, number: int) -> Result:
    source, event_id = f"/cities/{number % 50}/phones", f"{run}-{number}"
    moment = datetime.now(UTC) - timedelta(seconds=number % 3600)
    content = hashlib.sha256(event_id.encode()).hexdigest()
    frame = identity.frame_id(source, event_id, moment, content)
    reason = "The sharpness (variance of the Laplacian) is 283.3; 100 is wanted."
    return Result(
        result_id=identity.result_id(frame, "civic", None, "live"),
        frame_id=frame,
        event_id=event_id,
        pipeline="civic",
        source=source,
        captured_at=moment,
        processed_at=datetime.now(UTC),
        verdict="accepted",
        score=85.0,
        image=Image(width=1900, height=1420, media_type="image/jpeg", size_bytes=739_719, sha256=content),
        quality=Quality(
            score=85.0,
            level="excellent",
            checks=[
                Check(name=name, passed=True, value=123.456 + number, score=100.0, weight=20.0, reason=reason)
                for name in CHECKS
            ],
        ),
        summary={"pass_score": 65.0, "checks_passed": 5, "checks_failed": 0, "failed": []},
        settings_digest=content,
        origin=OriginReference(topic="frames.civic", partition=number % 4, offset=number),
        timings_ms={"inspect": 0.6, "decode": 9.2, "quality": 3.4},
    )
