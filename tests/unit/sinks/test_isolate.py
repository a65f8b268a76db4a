from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import Code, InputError, OutageError, Stage, UnclearError
from sinks.isolate import UNCLEAR_TRIES, store_isolating
from sinks.protocol import Sink, SinkRecord, StoreReport


class Shelf:
    """A sink of numbers that stores all of a batch or nothing."""

    def __init__(
        self,
        poison: frozenset[int] = frozenset(),
        unclear: frozenset[int] = frozenset(),
        stage: Stage = Stage.SINK_POSTGRES,
    ) -> None:
        self.poison = poison
        self.unclear = unclear
        self.stage = stage
        self.stored: list[int] = []
        self.calls = 0
        self.outage_at: int | None = None

    def read(self, record: SinkRecord) -> int:
        return record.offset

    def store(self, entries: Sequence[int]) -> StoreReport:
        self.calls += 1
        if self.calls == self.outage_at:
            raise OutageError("shelf", "fell down")
        if self.poison.intersection(entries):
            raise InputError(Code.ROW_REJECTED, self.stage, "poison")
        if self.unclear.intersection(entries):
            raise UnclearError("who knows")
        self.stored += entries
        return StoreReport(stored=len(entries))

    def close(self) -> None:
        pass


def test_nothing_is_stored_for_nothing() -> None:
    shelf = Shelf()
    assert store_isolating(shelf, []) == (StoreReport(), [])
    assert shelf.calls == 0


def test_a_good_batch_is_one_call() -> None:
    shelf = Shelf()
    assert store_isolating(shelf, range(500)) == (StoreReport(stored=500), [])
    assert shelf.calls == 1


@given(count=st.integers(1, 60), poison=st.frozensets(st.integers(0, 59), max_size=8))
def test_poison_leaves_alone_and_all_others_go_in_once(count: int, poison: frozenset[int]) -> None:
    shelf: Sink[int] = Shelf(poison)
    report, rejected = store_isolating(shelf, range(count))
    assert [entry for entry, _ in rejected] == sorted(number for number in poison if number < count)
    assert isinstance(shelf, Shelf)
    assert sorted(shelf.stored) == [number for number in range(count) if number not in poison]
    assert report.stored == len(shelf.stored)


def test_one_poison_entry_costs_a_logarithm_of_calls() -> None:
    shelf = Shelf(frozenset({333}))
    store_isolating(shelf, range(512))
    assert shelf.calls == 2 * 9 + 1


@pytest.mark.parametrize(
    ("stage", "code"), [(Stage.SINK_POSTGRES, Code.ROW_REJECTED), (Stage.SINK_OBJECTS, Code.OBJECT_REJECTED)]
)
def test_an_unclear_entry_is_tried_again_and_then_leaves(stage: Stage, code: Code) -> None:
    shelf = Shelf(unclear=frozenset({7}), stage=stage)
    report, [(entry, error)] = store_isolating(shelf, [7])
    assert (entry, error.code, error.stage, shelf.calls) == (7, code, stage, UNCLEAR_TRIES)
    assert report == StoreReport()


def test_an_outage_passes_through() -> None:
    shelf = Shelf(frozenset({3}))
    shelf.outage_at = 3
    with pytest.raises(OutageError):
        store_isolating(shelf, range(8))
