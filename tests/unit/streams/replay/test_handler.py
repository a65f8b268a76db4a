"""A worker's handler for replays: ids, overrides, cancellation, and what is broken."""

from collections.abc import Callable, Sequence
from typing import cast

import pytest

from processors.infer.model import LoadedModel
from processors.outcome import Context
from processors.pipelines import load_builtin
from schemas import topics
from schemas.deadletter import parse_dead_letter
from schemas.errors import ConfigurationError, InputError, OutageError, UnclearError
from schemas.frame import Origin, parse_frame
from schemas.headers import Headers
from schemas.identity import result_id
from schemas.message import Message
from schemas.replay import Overrides, OverridesReference
from schemas.result import Result
from sightline.runtime.clock import SystemClock
from sightline.runtime.faults import Faults
from sightline.runtime.objectstore import ObjectStore
from streams.alerts import Alarm
from streams.claims import Claims
from streams.deadletters import DeadLetters
from streams.flood import FloodGuard, FloodHaltError, FloodRules, Verdict
from streams.guarded import GuardedHandler
from streams.offload import Offload
from streams.publisher import Outgoing
from streams.replay.contexts import ReplayContexts
from streams.replay.documents import Documents
from streams.replay.frames import parse_replayed
from streams.replay.handler import ReplayHandler
from streams.tracker import Record
from streams.worker import WorkerHandler
from tests.pictures import TEN_WAYS, headers, jpeg, truncated_jpeg
from tests.unit.processors.lineups import context, definition
from tests.unit.streams.replay.samples import APPENDED_MS, NOW, Records

STRICT = Overrides(definition=definition("civic", quality={"pass_score": 100}))
SAID: dict[str, str | int | float] = {"camera": "a", "iso": 100}
LEGACY = Overrides(definition=load_builtin("civic-legacy"))


class Table:
    """Documents in memory; `outage` is raised as long as it is there."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.outage: OutageError | None = None
        self.reads = 0

    def put_document(self, digest: str, document: bytes) -> None:
        self.documents[digest] = document

    def get_document(self, digest: str) -> bytes | None:
        self.reads += 1
        if self.outage is not None:
            raise self.outage
        return self.documents.get(digest)


class Bench:
    """A handler for replays of civic; `notes` has what is published."""

    def __init__(self) -> None:
        self.notes: list[Message] = []
        self.records = Records()
        self.cancelled: set[str] = set()
        self.unread: OutageError | None = None
        self.table = Table()
        self.away: list[int] = []
        self._store = Store(self.away)
        self.documents = Documents(None, lambda: self.table)
        live = context(load_builtin("civic"), {})
        contexts = ReplayContexts(live, self.documents, _no_model)
        self.handler = ReplayHandler("civic", contexts, self._worker, Cancelled(self), lambda: NOW)

    def publish(self, messages: Sequence[Outgoing], on_done: Callable[[], None]) -> None:
        self.notes += [outgoing.message for outgoing in messages]
        on_done()

    def _worker(self, made: Context) -> WorkerHandler:
        return WorkerHandler(
            made,
            claims=Claims({}),
            offload=self._store,
            publisher=self,
            dead_letters=DeadLetters(self, self._store, SystemClock(), "unit"),
            faults=Faults(None),
            check_models=lambda: None,
            parse=parse_replayed,
        )

    def work(self, *records: Record) -> list[Result]:
        """Answer the records and return the results, in the order in which they were published."""
        self.handler.deliver(records, self.handler.prepare(records))
        return self.results()

    def results(self) -> list[Result]:
        topic = topics.results_replay("civic")
        return [Result.model_validate_json(one.value or b"") for one in self.notes if one.topic == topic]

    def letters(self) -> list[str]:
        return [parse_dead_letter(one.headers).code for one in self.notes if one.topic == topics.dead_letters("civic")]


class Store(Offload):
    """Where kept pictures go; those whose numbers are `away` are not taken at the first try."""

    def __init__(self, away: list[int]) -> None:
        super().__init__(None)
        self._away = away
        self._asked = 0

    def artifact(self, message: Message, key: str, media_type: str) -> Message:
        self._asked += 1
        if self._asked in self._away:
            raise OutageError("objects", "away")
        return super().artifact(message, key, media_type)


class NothingNew:
    """A topic to which nothing comes."""

    def mark(self) -> None:
        pass

    def since_mark(self) -> list[Verdict]:
        return []

    latest = since_mark


class Cancelled:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def check(self) -> None:
        if self._bench.unread is not None:
            raise self._bench.unread

    def cancelled(self, replay_id: str) -> bool:
        return replay_id in self._bench.cancelled


def _no_model(*_: object) -> LoadedModel:
    raise ConfigurationError("model", "there is none")


def _photo(number: int) -> tuple[bytes, Headers]:
    return jpeg(number, 800, 640), headers(f"e{number}", "/c")


def test_a_frame_is_what_it_was_and_its_result_is_the_replays() -> None:
    bench = Bench()
    value, fields = _photo(1)
    first = parse_frame(value, fields, Origin("frames.civic", 0, 7), APPENDED_MS)
    (result,) = bench.work(bench.records.take(value, fields))
    assert result.frame_id == first.frame_id
    assert result.captured_at == NOW  # of a frame that names no time: when it was first appended
    assert result.result_id == result_id(first.frame_id, "civic", "r-1", "live")
    assert (result.replay_id, result.supersedes, result.archived) == ("r-1", None, None)
    assert result.origin is not None
    assert (result.origin.topic, result.origin.partition, result.origin.offset) == ("frames.civic", 0, 7)
    assert bench.records.unfinished == 0


def test_a_deadline_of_the_past_does_not_count() -> None:
    bench = Bench()
    value, fields = _photo(1)
    (result,) = bench.work(bench.records.take(value, [*fields, ("ce_deadline", b"2001-01-01T00:00:00Z")]))
    assert result.kind == "frame"


def test_a_kept_picture_has_the_frames_id_and_says_that_it_is_one() -> None:
    bench = Bench()
    value, fields = _photo(1)
    forced = "01234567-89ab-8def-8123-456789abcdef"
    (result,) = bench.work(bench.records.take(value, fields, frame_id=forced))
    assert (result.frame_id, result.archived) == (forced, True)
    (_, result) = bench.work(bench.records.take(value, fields, frame_id=forced, original=True))
    assert (result.frame_id, result.archived) == (forced, None)


def test_frames_of_several_replays_in_one_batch_are_answered_each_by_its_overrides() -> None:
    bench = Bench()
    strict, legacy = bench.documents.put(STRICT), bench.documents.put(LEGACY)
    value, fields = _photo(1)
    records = [
        bench.records.take(value, fields, replay_id=f"r-{n}", overrides=reference)
        for n, reference in enumerate([None, strict, legacy, strict])
    ]
    found = {result.replay_id: result for result in bench.work(*records)}
    assert [found[f"r-{n}"].verdict for n in range(4)] == ["accepted", "rejected", "rejected", "rejected"]
    assert found["r-0"].score == found["r-1"].score != found["r-2"].score  # another bar; other checks
    assert len({result.settings_digest for result in found.values()}) == 3
    assert {result.pipeline for result in found.values()} == {"civic"}
    assert bench.table.reads == 2  # each document once


def test_a_cancelled_replay_gives_skipped_results_and_hurts_no_other() -> None:
    bench = Bench()
    bench.cancelled.add("gone")
    value, fields = _photo(1)
    records = [bench.records.take(value, fields, replay_id=one) for one in ("gone", "stays")]
    found = {result.replay_id: result for result in bench.work(*records)}
    assert (found["gone"].kind, found["gone"].summary) == ("skipped", {"skipped": "replay-cancelled"})
    assert found["stays"].kind == "frame"
    assert found["gone"].frame_id == found["stays"].frame_id


def test_nothing_is_answered_before_it_is_known_what_is_cancelled() -> None:
    bench = Bench()
    bench.unread = OutageError("kafka", "not read yet")
    with pytest.raises(OutageError):
        bench.handler.prepare([bench.records.take(*_photo(1))])


def test_what_is_broken_leaves_as_a_dead_letter() -> None:
    bench = Bench()
    wrong = OverridesReference("b" * 64, "postgres:replay_overrides/" + "b" * 64)
    elsewhere = OverridesReference("b" * 64, "file:///etc/passwd")
    value, fields = _photo(1)
    results = bench.work(
        bench.records.take(value, fields, replay_id=None),
        bench.records.take(value, fields, overrides=wrong),
        bench.records.take(value, fields, overrides=elsewhere),
        bench.records.take(*TEN_WAYS[0].make(1, "e", "/c")),
        bench.records.take(value, fields),
    )
    assert len(results) == 1
    assert sorted(bench.letters()) == ["overrides_invalid", "overrides_invalid", "picture_truncated", "replay_invalid"]
    assert bench.records.unfinished == 0


def test_an_outage_of_the_documents_is_waited_out() -> None:
    bench = Bench()
    record = bench.records.take(*_photo(1), overrides=bench.documents.put(STRICT))
    bench.table.outage = OutageError("postgres", "away")
    with pytest.raises(OutageError):
        bench.handler.prepare([record])
    bench.table.outage = None
    assert [result.verdict for result in bench.work(record)] == ["rejected"]


def test_a_document_store_that_gives_no_clear_answer_is_waited_out() -> None:
    class Unclear:
        def address(self, key: str) -> str:
            return f"s3://bucket/{key}"

        def put(self, *_: object) -> None: ...

        def get(self, *_: object) -> bytes:
            raise UnclearError("418")

    documents = Documents(cast("ObjectStore", Unclear()), Table)
    with pytest.raises(OutageError):
        documents.get(documents.put(STRICT))


def test_a_document_that_was_changed_is_refused() -> None:
    bench = Bench()
    reference = bench.documents.put(STRICT)
    bench.table.documents[reference.digest] = LEGACY.document()
    with pytest.raises(InputError):
        bench.documents.get(reference)


def test_an_outage_while_answers_are_published_leaves_none_of_them_published() -> None:
    bench = Bench()
    bench.away.append(3)  # the third picture that is kept
    references = [None, bench.documents.put(STRICT)]
    records = [bench.records.take(*_photo(n), replay_id=f"r-{n}", overrides=references[n % 2]) for n in range(4)]
    prepared = bench.handler.prepare(records)
    with pytest.raises(OutageError):
        bench.handler.deliver(records, prepared)
    assert bench.notes == []
    bench.handler.deliver(records, prepared)
    assert [result.replay_id for result in bench.results()] == [f"r-{n}" for n in range(4)]
    assert bench.records.unfinished == 0


def test_a_replay_whose_frames_all_fail_alike_halts_until_it_is_cancelled() -> None:
    bench = Bench()
    rules = FloodRules(halt=True, count=10, sources=3, window_s=60)
    guard = FloodGuard("civic.replay", rules, SystemClock(), NothingNew())
    handler = GuardedHandler(bench.handler, guard, Alarm(bench, SystemClock(), "group", "civic"))
    records = [bench.records.take(truncated_jpeg(n), headers(f"e{n}", f"/c/{n % 5}")) for n in range(12)]
    prepared = handler.prepare(records)
    for _ in range(2):
        with pytest.raises(FloodHaltError):
            handler.deliver(records, prepared)
    assert bench.notes == []
    bench.cancelled.add("r-1")
    handler.deliver(records, prepared)
    assert bench.letters() == []
    assert {result.kind for result in bench.results()} == {"skipped"}
    assert len(bench.results()) == 12
    assert not guard.halted


def test_what_is_said_of_a_kept_pictures_metadata_counts() -> None:
    bench = Bench()
    value, fields = _photo(1)
    forced = "01234567-89ab-8def-8123-456789abcdef"
    cases: list[tuple[str, dict[str, str | int | float] | None]] = [("plain", None), ("told", SAID)]
    plain, told = (
        bench.records.take(value, fields, replay_id=name, frame_id=forced, metadata=metadata)
        for name, metadata in cases
    )
    found = {result.replay_id: result for result in bench.work(plain, told)}
    assert found["told"].summary is not None
    assert found["told"].summary["metadata"] == {"camera": "a", "iso": 100}
    assert (found["told"].score or 0) > (found["plain"].score or 0)
