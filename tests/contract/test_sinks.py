"""What every sink promises: see `sinks.protocol.Sink`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine

from schemas.errors import InputError, Stage
from sightline.runtime.objectstore.folder import FolderStore
from sinks.isolate import store_isolating
from sinks.objects.sink import ObjectsSink
from sinks.postgres.sink import PostgresSink
from sinks.protocol import Sink, SinkRecord, VersionUnknownError
from tests.unit.sinks.samples import (
    NOW,
    artifact_record,
    dead_letter_record,
    make_result,
    picture_key,
    result_record,
    with_headers,
    with_type,
)


@dataclass(frozen=True, slots=True)
class Case:
    """A sink, how to make good records for it, how many things it holds."""

    sink: Sink[Any]
    stage: Stage
    good: Callable[[int], SinkRecord]
    unstorable: SinkRecord  # can be read, and is refused when stored
    count: Callable[[], int]


@pytest.fixture(params=["objects", pytest.param("postgres", marks=pytest.mark.services)])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    made = _objects(tmp_path) if request.param == "objects" else _postgres(request.getfixturevalue("engine"))
    yield made
    made.sink.close()


def _postgres(engine: Engine) -> Case:
    def count() -> int:
        with engine.connect() as connection:
            found = connection.exec_driver_sql(
                "SELECT (SELECT count(*) FROM results) + (SELECT count(*) FROM dead_letters)"
            ).scalar_one()
            return int(found)

    nul = result_record(make_result(999, note="a"), replace=(b'"note":"a"', b'"note":"\\u0000"'))
    sink = PostgresSink(engine, lambda: NOW)
    return Case(sink, Stage.SINK_POSTGRES, lambda number: result_record(make_result(number)), nul, count)


def _objects(folder: Path) -> Case:
    def good(number: int) -> SinkRecord:
        value = f"picture {number}".encode()
        return artifact_record(picture_key(value), value)

    def count() -> int:
        return sum(path.is_file() for path in folder.rglob("*"))

    sink = ObjectsSink(FolderStore(folder), threads=4)
    return Case(sink, Stage.SINK_OBJECTS, good, artifact_record("e" * 300, b"x"), count)


def test_its_stage(case: Case) -> None:
    assert case.sink.stage is case.stage


def test_a_batch_goes_in(case: Case) -> None:
    report = case.sink.store([case.sink.read(case.good(number)) for number in range(20)])
    assert (report.stored, report.repeated, report.alerts) == (20, 0, ())
    assert case.count() == 20


def test_nothing_is_nothing(case: Case) -> None:
    assert case.sink.store([]).stored == 0


def test_storing_twice_changes_nothing(case: Case) -> None:
    entries = [case.sink.read(case.good(number)) for number in range(5)]
    case.sink.store(entries)
    report = case.sink.store([*entries, *entries])
    assert (report.stored + report.repeated, report.differing) == (10, 0)
    assert case.count() == 5


def test_what_cannot_be_read_is_named_by_stage(case: Case) -> None:
    made = case.good(1)
    for wrong in (with_headers(made, None), with_headers(made, []), with_type(made, b"com.example.other")):
        with pytest.raises(InputError) as caught:
            case.sink.read(wrong)
        assert caught.value.stage is case.stage


def test_a_later_version_waits(case: Case) -> None:
    made = case.good(1)
    kind = dict(made.headers or [])["ce_type"] or b""
    with pytest.raises(VersionUnknownError):
        case.sink.read(with_type(made, kind.replace(b".v1", b".v2")))


def test_poison_leaves_alone(case: Case) -> None:
    records = [case.good(number) for number in range(16)]
    records[11] = case.unstorable
    entries = [case.sink.read(made) for made in records]
    with pytest.raises(InputError):
        case.sink.store(entries)
    _, rejected = store_isolating(case.sink, entries)
    assert [(entry is entries[11], error.stage) for entry, error in rejected] == [(True, case.stage)]
    assert case.count() == 15


@pytest.mark.parametrize("headers", [None, [], [("dl_id", b"../../../tmp/x")], [("dl_id", b"\xff"), ("\x00", b"\x00")]])
def test_no_dead_letter_is_refused(case: Case, headers: list[tuple[str, bytes | None]] | None) -> None:
    entry = case.sink.read(with_headers(dead_letter_record(), headers))
    assert case.sink.store([entry]).stored == 1
    assert case.count() == 1
