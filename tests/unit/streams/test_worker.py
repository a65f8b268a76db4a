"""The worker's handler between the loop and the data path, with a publisher that only notes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import pytest
from prometheus_client import REGISTRY

from processors import pipeline as data_path
from processors.infer.model import LoadedModel
from processors.outcome import Context, Failure, Success
from schemas import topics
from schemas.deadletter import parse_dead_letter
from schemas.errors import Code, OutageError, SetupError, Stage
from schemas.frame import Frame, Origin, parse_frame
from schemas.headers import Headers, last_text
from schemas.message import EMR_TYPE, Message
from schemas.pipeline import PipelineDefinition
from schemas.result import Result
from sightline.runtime.clock import SystemClock
from sightline.runtime.faults import Faults
from streams import worker as module
from streams.claims import Claims
from streams.deadletters import DeadLetters
from streams.offload import Offload
from streams.publisher import Outgoing, Publisher
from streams.tracker import Record, Tracker
from streams.worker import Rejected, WorkerHandler
from tests.pictures import TEN_WAYS, headers, jpeg
from tests.scenes import LEFT, RIGHT, SEEN, loaded, polyp_model
from tests.unit.processors.lineups import BrokenEngine, CountingEngine, context, definition, with_engine

PIPELINE = "polyp-unit"


class Notes:
    """Stands in for the publisher: what is handed over is acknowledged at once."""

    def __init__(self) -> None:
        self.groups: list[list[Message]] = []

    def publish(self, messages: Sequence[Outgoing], on_done: Callable[[], None]) -> None:
        self.groups.append([outgoing.message for outgoing in messages])
        on_done()

    @property
    def messages(self) -> list[Message]:
        return [message for group in self.groups for message in group]

    def on(self, topic: str) -> list[Message]:
        return [message for message in self.messages if message.topic == topic]

    def results(self) -> list[Result]:
        return [Result.model_validate_json(message.value or b"") for message in self.on(topics.results(PIPELINE))]


class Bench:
    """A handler, and records of one partition for it."""

    def __init__(
        self,
        made: Context,
        check_models: Callable[[], None] = lambda: None,
        skip: Callable[[Frame, Record], str | None] | None = None,
    ) -> None:
        self.notes = Notes()
        self.finished: list[str] = []
        self._tracker = Tracker(self.finished.append)
        self._tracker.assign(topics.frames(PIPELINE), 0)
        publisher, offload, clock = cast("Publisher", self.notes), Offload(None), SystemClock()
        self.handler = WorkerHandler(
            made,
            claims=Claims({}),
            offload=offload,
            publisher=publisher,
            dead_letters=DeadLetters(publisher, offload, clock, "unit"),
            faults=Faults(None),
            check_models=check_models,
            skip=skip,
        )
        self._next = 0

    def records(self, *frames: tuple[bytes | None, Headers]) -> list[Record]:
        partition = self._tracker.get(topics.frames(PIPELINE), 0)
        assert partition is not None
        taken = []
        for value, header in frames:
            taken.append(partition.take(self._next, 1_700_000_000_000, b"/c", value, header, len(value or b"")))
            self._next += 1
        return taken

    def work(self, *frames: tuple[bytes | None, Headers]) -> list[module.Answer]:
        records = self.records(*frames)
        prepared = self.handler.prepare(records)
        self.handler.deliver(records, prepared)
        return prepared

    def revoke(self) -> None:
        self._tracker.revoke(topics.frames(PIPELINE), 0)


def _frames(count: int) -> list[tuple[bytes | None, Headers]]:
    return [(jpeg(n), headers(f"e{n}", "/c")) for n in range(count)]


def _definition(**changes: object) -> PipelineDefinition:
    return definition("polyp", name=PIPELINE, **changes)


@pytest.fixture
def left(tmp_path: Path) -> LoadedModel:
    return loaded(polyp_model(tmp_path, "1", LEFT))


@pytest.fixture
def right(tmp_path: Path) -> LoadedModel:
    return loaded(polyp_model(tmp_path, "2", RIGHT))


def _counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"pipeline": PIPELINE, **labels}) or 0.0


def test_every_record_has_an_answer_and_is_finished(left: LoadedModel) -> None:
    bench = Bench(context(_definition(), {"detector": left}))
    frames = _frames(4)
    frames[2] = TEN_WAYS[0].make(2, "e2", "/c")
    answers = bench.work(*frames)
    assert [type(answer) for answer in answers] == [Success, Success, Failure, Success]
    assert len(bench.finished) == 4
    assert [result.event_id for result in bench.notes.results()] == ["e0", "e1", "e3"]
    (message,) = bench.notes.on(topics.dead_letters(PIPELINE))
    assert message.value == frames[2][0]
    assert parse_dead_letter(message.headers).code == "picture_truncated"


def test_without_the_models_nothing_is_prepared_and_nobody_blamed(left: LoadedModel) -> None:
    missing: list[OutageError] = [SetupError("models", "none is activated"), OutageError("models", "not read yet")]

    def check() -> None:
        if missing:
            raise missing.pop(0)

    bench = Bench(context(_definition(), {"detector": left}), check)
    records = bench.records(*_frames(2))
    for expected in (SetupError, OutageError):
        with pytest.raises(expected):
            bench.handler.prepare(records)
    assert (bench.notes.messages, bench.finished) == ([], [])
    bench.handler.deliver(records, bench.handler.prepare(records))
    assert len(bench.notes.results()) == 2


def test_an_engine_that_is_broken_waits_and_makes_no_dead_letter(left: LoadedModel) -> None:
    bench = Bench(context(_definition(), {"detector": with_engine(left, BrokenEngine(left))}))
    with pytest.raises(OutageError):
        bench.work(*_frames(2))
    assert bench.notes.messages == []


def test_the_shadows_result_goes_with_the_live_one(left: LoadedModel, right: LoadedModel) -> None:
    bench = Bench(context(_definition(), {"detector": left}, shadow={"detector": right}))
    before = {kind: _counted("sightline_shadow_differences_total", kind=kind) for kind in ("gained", "lost", "failed")}
    bench.work(*_frames(3))
    assert [[message.topic for message in group] for group in bench.notes.groups] == [
        [topics.results(PIPELINE)] * 2
    ] * 3
    results = bench.notes.results()
    assert [result.variant for result in results] == ["live", "shadow"] * 3
    assert [(result.detections or [])[0].bbox for result in results] == [SEEN[LEFT], SEEN[RIGHT]] * 3
    assert len({result.result_id for result in results}) == 6
    assert len(bench.finished) == 3
    for kind, difference in (("gained", 3), ("lost", 3), ("failed", 0)):
        assert _counted("sightline_shadow_differences_total", kind=kind) == before[kind] + difference


def test_a_shadow_that_fails_is_counted_and_no_more(left: LoadedModel, right: LoadedModel) -> None:
    broken = {"detector": with_engine(right, BrokenEngine(right))}
    bench = Bench(context(_definition(), {"detector": left}, shadow=broken))
    before = _counted("sightline_shadow_differences_total", kind="failed")
    bench.work(*_frames(2))
    assert [result.variant for result in bench.notes.results()] == ["live", "live"]
    assert bench.notes.on(topics.dead_letters(PIPELINE)) == []
    assert _counted("sightline_shadow_differences_total", kind="failed") == before + 2


@pytest.mark.parametrize("emr", [True, False])
def test_the_emr_form_is_a_message_of_its_own_where_it_is_asked_for(emr: bool, left: LoadedModel) -> None:  # noqa: FBT001
    bench = Bench(context(_definition(emr=emr), {"detector": left}))
    bench.work(*_frames(2))
    messages = bench.notes.on(topics.emr(PIPELINE))
    assert len(messages) == (2 if emr else 0)
    for message, result in zip(messages, bench.notes.results(), strict=False):
        assert last_text(message.headers, "ce_type") == EMR_TYPE
        assert last_text(message.headers, "ce_id") == result.result_id
        assert message.key == b"/c"


def test_a_shadow_has_no_emr_form(left: LoadedModel, right: LoadedModel) -> None:
    bench = Bench(context(_definition(emr=True), {"detector": left}, shadow={"detector": right}))
    bench.work(*_frames(1))
    assert len(bench.notes.on(topics.emr(PIPELINE))) == 1
    assert b"test-polyp/1" in (bench.notes.on(topics.emr(PIPELINE))[0].value or b"")


def test_a_frame_at_which_the_code_breaks_leaves_and_the_others_are_answered(
    left: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = data_path.process
    tries: list[int] = []

    def failing(batch: Sequence[object], made: Context) -> list[object]:
        if any(getattr(frame, "event_id", "") == "e1" for frame in batch):
            tries.append(len(batch))
            raise ZeroDivisionError
        return list(process(batch, made))  # type: ignore[arg-type]

    monkeypatch.setattr(module, "process", failing)
    bench = Bench(context(_definition(), {"detector": left}))
    answers = bench.work(*_frames(3))
    assert [type(answer) for answer in answers] == [Success, Failure, Success]
    assert tries == [3, 1, 1, 1]
    failed = answers[1]
    assert isinstance(failed, Failure)
    assert (failed.error.code, failed.error.stage) == (Code.PROCESSING_FAILED, Stage.PROCESS)


def test_a_setting_out_of_bounds_is_a_dead_letter_of_its_own_frame(left: LoadedModel) -> None:
    bounded = _definition(inference={"confidence_bounds": {"least": 0.1, "most": 0.5}})
    bench = Bench(context(bounded, {"detector": left}))
    frames = [
        (value, [*header, ("ce_confidence", b"0.6")] if n else header) for n, (value, header) in enumerate(_frames(2))
    ]
    bench.work(*frames)
    (message,) = bench.notes.on(topics.dead_letters(PIPELINE))
    letter = parse_dead_letter(message.headers)
    assert (letter.code, letter.stage) == ("setting_invalid", "frame")
    assert len(bench.notes.results()) == 1


def test_a_skipped_frame_is_answered_and_neither_fetched_nor_looked_at(left: LoadedModel) -> None:
    engine = CountingEngine(left)
    made = context(_definition(), {"detector": with_engine(left, engine)})
    bench = Bench(made, skip=lambda frame, _: "thinned" if frame.event_id in {"e1", "claimed"} else None)
    before = {reason: _counted("sightline_frames_skipped_total", reason=reason) for reason in ("thinned", "gate")}
    claim: Headers = [*headers("claimed", "/c"), ("ce_dataref", b"s3://nowhere/at-all.jpg")]
    bench.work(*_frames(3), (None, claim))
    kinds = {result.event_id: result.kind for result in bench.notes.results()}
    assert kinds == {"e0": "frame", "e1": "skipped", "e2": "frame", "claimed": "skipped"}
    assert sum(engine.batches) == 2
    assert bench.notes.on(topics.artifacts(PIPELINE)) == []
    assert len(bench.finished) == 4
    assert _counted("sightline_frames_skipped_total", reason="thinned") == before["thinned"] + 2
    assert _counted("sightline_frames_skipped_total", reason="gate") == before["gate"]


def test_an_envelope_that_is_wrong_never_reaches_the_models(left: LoadedModel) -> None:
    engine = BrokenEngine(left)
    bench = Bench(context(_definition(), {"detector": with_engine(left, engine)}))
    (answer,) = bench.work((None, headers("e", "/c")))
    assert isinstance(answer, Rejected)
    assert answer.error.code is Code.VALUE_NULL
    assert engine.runs == 0


def test_what_was_given_back_is_not_published(left: LoadedModel) -> None:
    bench = Bench(context(_definition(), {"detector": left}))
    records = bench.records(*_frames(2))
    prepared = bench.handler.prepare(records)
    bench.revoke()
    bench.handler.deliver(records, prepared)
    assert bench.notes.messages == []


def test_ids_are_those_of_the_frame(left: LoadedModel) -> None:
    bench = Bench(context(_definition(), {"detector": left}))
    (value, header) = _frames(1)[0]
    bench.work((value, header))
    frame = parse_frame(value, header, Origin(topics.frames(PIPELINE), 0, 0), 1_700_000_000_000)
    assert bench.notes.results()[0].frame_id == frame.frame_id


def test_a_result_that_no_message_can_hold_is_a_dead_letter(left: LoadedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(context(_definition(), {"detector": left}))
    monkeypatch.setattr(module, "ARTIFACT_LIMIT_BYTES", 100)
    bench.work(*_frames(2))
    assert bench.notes.results() == []
    letters = [parse_dead_letter(message.headers) for message in bench.notes.on(topics.dead_letters(PIPELINE))]
    assert [(letter.code, letter.stage) for letter in letters] == [("result_too_large", "summarise")] * 2
    assert len(bench.finished) == 2


def test_a_shadow_whose_result_is_too_large_says_nothing(
    left: LoadedModel, right: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(context(_definition(), {"detector": left}, shadow={"detector": right}))
    records = bench.records(*_frames(1))
    prepared = bench.handler.prepare(records)
    (answer,) = prepared
    assert isinstance(answer, Success)
    assert answer.shadow is not None
    assert answer.shadow.result is not None
    answer.shadow.result.summary = {"long": "x" * 5000}
    monkeypatch.setattr(module, "ARTIFACT_LIMIT_BYTES", 5000)
    bench.handler.deliver(records, prepared)
    assert [result.variant for result in bench.notes.results()] == ["live"]
