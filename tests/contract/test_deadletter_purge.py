"""Purging, broken off and run again; Kafka's side of it is faked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine

from schemas.errors import ConfigurationError, OutageError
from sightline.runtime.clock import SystemClock
from sightline.runtime.faults import Faults
from sightline.runtime.objectstore import ObjectStore
from sightline.runtime.objectstore.folder import FolderStore
from sightline.runtime.settings import KafkaSettings
from sinks.postgres.deadletter_stats import choose_dead_letters
from sinks.postgres.reader import DeadLetterFilter, list_dead_letters, read_dead_letters
from sinks.postgres.sink import PostgresSink
from streams import redrive_purge
from streams.redrive import Limits, Services
from streams.redrive_plan import Handled
from tests.unit.sinks.samples import NOW, dead_letter_record

pytestmark = pytest.mark.services
LIMITS = Limits("anna", ("open",), 1, 15)


class _Breaking(FolderStore):
    """Goes away once it has deleted so many."""

    def __init__(self, root: Path, left: int) -> None:
        super().__init__(root)
        self._left = left

    def delete(self, key: str) -> None:
        if self._left == 0:
            raise OutageError("objects", "gone")
        self._left -= 1
        super().delete(key)


@pytest.fixture
def ids(engine: Engine, tmp_path: Path) -> Iterator[list[str]]:
    """Three dead letters, their objects in `tmp_path`."""
    sink = PostgresSink(engine, lambda: NOW)
    sink.store([sink.read(dead_letter_record(number)) for number in range(3)])
    chosen = choose_dead_letters(engine, DeadLetterFilter(), ("open",), None)["civic"]
    for row in read_dead_letters(engine, chosen):
        FolderStore(tmp_path).put(row["object_key"], b"value", "image/jpeg")
    yield chosen
    sink.close()


def _purge(
    monkeypatch: pytest.MonkeyPatch,
    engine: Engine,
    store: ObjectStore | None,
    ids: list[str],
    committed: dict[int, int] | None = None,
) -> list[Handled]:
    monkeypatch.setattr(redrive_purge, "_stored_offsets", lambda *_: committed or {})
    services = Services(engine, KafkaSettings(), store, SystemClock(), Faults(None))
    return list(redrive_purge.purge(services, LIMITS, "civic", ids))


def _states(engine: Engine) -> set[str]:
    return {row["state"] for row in list_dead_letters(engine, DeadLetterFilter(), None)}


def _objects(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def test_broken_off_it_is_finished_by_the_next(
    engine: Engine, ids: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(OutageError):
        _purge(monkeypatch, engine, _Breaking(tmp_path, 1), ids)
    assert (_objects(tmp_path), _states(engine)) == (2, {"open"})
    again = _purge(monkeypatch, engine, FolderStore(tmp_path), ids)
    assert {one.step.dl_id for one in again if one.step.action is not None} == set(ids)
    assert len(again) == len(ids)
    assert (_objects(tmp_path), _states(engine)) == (0, {"purged"})


def test_what_the_object_sink_has_not_come_to_is_left_alone(
    engine: Engine, ids: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {row["dl_id"]: row for row in read_dead_letters(engine, ids)}
    first = rows[ids[0]]
    handled = _purge(monkeypatch, engine, FolderStore(tmp_path), ids, {first["dl_partition"]: first["dl_offset"] + 1})
    assert {one.step.dl_id for one in handled if one.step.action is None} == set(ids[1:])
    assert _objects(tmp_path) == 2


def test_without_a_store_objects_are_not_forgotten(
    engine: Engine, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigurationError):
        _purge(monkeypatch, engine, None, ids)
    assert _states(engine) == {"open"}
