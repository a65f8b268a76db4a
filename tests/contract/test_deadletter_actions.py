"""What is done to dead letters, as rows: claimed once, closed with the state that follows, resolved by their place."""

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from schemas.errors import Code, InputError, Stage
from schemas.frame import Origin
from schemas.result import OriginReference
from sightline.runtime.database import database_engine, transaction
from sinks.postgres.deadletter_actions import (
    Action,
    BusyError,
    Intent,
    Outcome,
    actions_of,
    begin_actions,
    end_actions,
    pending_actions,
    pipeline_lock,
    place_actions,
)
from sinks.postgres.deadletter_stats import choose_dead_letters, count_dead_letters
from sinks.postgres.reader import DeadLetterFilter, list_dead_letters
from sinks.postgres.replays import ReplayBook
from sinks.postgres.sink import PostgresSink
from sinks.protocol import SinkRecord
from tests.unit.sinks.samples import NOW, SOURCE, dead_letter_record, make_result, result_record

pytestmark = pytest.mark.services
OPEN = ("open",)
FRAMES = "frames.civic"


@pytest.fixture
def sink(engine: Engine) -> Iterator[PostgresSink]:
    made = PostgresSink(engine, lambda: NOW)
    yield made
    made.close()


def store(sink: PostgresSink, *records: SinkRecord) -> None:
    sink.store([sink.read(made) for made in records])


def letters(engine: Engine, sink: PostgresSink, count: int = 1, **facts: Any) -> list[str]:
    """Store dead letters and return their ids by offset."""
    store(sink, *(dead_letter_record(number, **facts) for number in range(count)))
    return choose_dead_letters(engine, DeadLetterFilter(), OPEN, None)["civic"]


def query(engine: Engine, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with transaction(engine) as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement, parameters or None)]


def states(engine: Engine) -> list[str]:
    return [state for (state,) in query(engine, "SELECT state FROM dead_letters ORDER BY dl_offset")]


def begin(engine: Engine, batch_id: str, *dl_ids: str, action: Action = Action.REDRIVE) -> set[str]:
    intents = [Intent(dl_id, action, FRAMES, {"attempt": 2}) for dl_id in dl_ids]
    return begin_actions(engine, batch_id, "anna", intents, OPEN)


def redrive(engine: Engine, dl_id: str, offset: int) -> None:
    batch_id = f"redrive-{dl_id}-{offset}"
    assert begin(engine, batch_id, dl_id) == {dl_id}
    place_actions(engine, batch_id, {dl_id: Origin(FRAMES, 0, offset)})
    end_actions(engine, batch_id, Outcome.DONE)


def test_a_claim_holds_until_it_is_closed(engine: Engine, sink: PostgresSink) -> None:
    first, second = letters(engine, sink, 2)
    assert begin(engine, "b1", first) == {first}
    assert begin(engine, "b1", first) == {first}  # the answer was lost, so it was asked again
    assert begin(engine, "b2", first, second, "nobody", action=Action.PURGE) == {second}
    assert [(one.dl_id, one.action, one.place) for one in pending_actions(engine, "civic")] == [
        (first, Action.REDRIVE, None),
        (second, Action.PURGE, None),
    ]
    end_actions(engine, "b1", Outcome.UNDONE)
    assert states(engine) == ["open", "open"]
    assert begin(engine, "b3", first) == {first}


def test_only_what_is_in_the_state_that_was_chosen_is_claimed(engine: Engine, sink: PostgresSink) -> None:
    [dl_id] = letters(engine, sink)
    redrive(engine, dl_id, 900)
    assert begin(engine, "again", dl_id) == set()


def test_the_table_itself_insists_on_one_action_at_a_time(engine: Engine, sink: PostgresSink) -> None:
    [dl_id] = letters(engine, sink)
    begin(engine, "b1", dl_id)
    with pytest.raises(InputError):
        query(
            engine,
            "INSERT INTO dead_letter_actions (dl_id, pipeline, action, batch_id, actor, answers)"
            " VALUES (%s, 'civic', 'park', 'b2', 'x', '{}') RETURNING 1",
            dl_id,
        )


@pytest.mark.parametrize(
    ("action", "state"), [(Action.REDRIVE, "redriven"), (Action.PARK, "parked"), (Action.PURGE, "purged")]
)
def test_the_state_follows_from_the_action(engine: Engine, sink: PostgresSink, action: Action, state: str) -> None:
    [dl_id] = letters(engine, sink)
    begin(engine, "b1", dl_id, action=action)
    place_actions(engine, "b1", {dl_id: Origin(FRAMES, 3, 41)})
    [pending] = pending_actions(engine, "civic")
    assert pending.place == Origin(FRAMES, 3, 41)
    end_actions(engine, "b1", Outcome.DONE)
    assert states(engine) == [state]
    [done] = actions_of(engine, dl_id)
    assert (done["actor"], done["action"], done["outcome"], done["details"]) == ("anna", action, "done", {"attempt": 2})
    assert done["ended_at"] >= done["acted_at"]
    [kept] = query(engine, "SELECT key IS NULL, headers IS NULL, object_key IS NULL, code FROM dead_letters")
    assert kept == (*[action is Action.PURGE] * 3, "picture_corrupt")


def test_what_nobody_can_tell_counts_as_sent(engine: Engine, sink: PostgresSink) -> None:
    [dl_id] = letters(engine, sink)
    begin(engine, "b1", dl_id)
    end_actions(engine, "b1", Outcome.UNCERTAIN)
    assert states(engine) == ["redriven"]


def test_a_result_of_the_record_that_was_sent_resolves_it(engine: Engine, sink: PostgresSink) -> None:
    """No frame id is needed: an envelope that was refused has none."""
    first, second = letters(engine, sink, 2)
    redrive(engine, first, 900)
    redrive(engine, second, 901)
    shadow = make_result(1, origin=OriginReference(topic=FRAMES, partition=0, offset=900), variant="shadow")
    elsewhere = make_result(2, origin=OriginReference(topic=FRAMES, partition=1, offset=900))
    replayed = make_result(4, origin=OriginReference(topic=FRAMES, partition=0, offset=900), replay_id="r1")
    store(sink, result_record(shadow), result_record(elsewhere), result_record(replayed))
    assert states(engine) == ["redriven", "redriven"]
    store(sink, result_record(make_result(3, origin=OriginReference(topic=FRAMES, partition=0, offset=900))))
    assert states(engine) == ["resolved", "redriven"]


def test_a_result_that_is_quicker_than_the_command_resolves_it_for_good(engine: Engine, sink: PostgresSink) -> None:
    [dl_id] = letters(engine, sink)
    begin(engine, "b1", dl_id)
    place_actions(engine, "b1", {dl_id: Origin(FRAMES, 0, 900)})
    store(sink, result_record(make_result(1, origin=OriginReference(topic=FRAMES, partition=0, offset=900))))
    assert states(engine) == ["resolved"]
    end_actions(engine, "b1", Outcome.DONE)
    assert states(engine) == ["resolved"]


def test_one_that_was_parked_is_resolved_by_a_result_that_is_quicker_too(engine: Engine, sink: PostgresSink) -> None:
    [dl_id] = letters(engine, sink)
    begin(engine, "b1", dl_id, action=Action.PARK)
    end_actions(engine, "b1", Outcome.DONE)
    assert begin_actions(engine, "b2", "anna", [Intent(dl_id, Action.REDRIVE, FRAMES)], ("parked",)) == {dl_id}
    place_actions(engine, "b2", {dl_id: Origin(FRAMES, 0, 900)})
    store(sink, result_record(make_result(1, origin=OriginReference(topic=FRAMES, partition=0, offset=900))))
    assert states(engine) == ["resolved"]
    end_actions(engine, "b2", Outcome.DONE)
    assert states(engine) == ["resolved"]


def test_a_place_that_was_taken_back_resolves_nothing(engine: Engine, sink: PostgresSink) -> None:
    [dl_id] = letters(engine, sink)
    begin(engine, "b1", dl_id)
    place_actions(engine, "b1", {dl_id: Origin(FRAMES, 0, 900)})
    end_actions(engine, "b1", Outcome.UNDONE)
    store(sink, result_record(make_result(1, origin=OriginReference(topic=FRAMES, partition=0, offset=900))))
    assert states(engine) == ["open"]


def test_the_third_attempt_answers_all_three(engine: Engine, sink: PostgresSink) -> None:
    """Each failure is a dead letter of its own; the place that it failed at links it to the one before."""
    [first] = letters(engine, sink)
    redrive(engine, first, 900)
    failed_at = 900
    for _ in range(2):
        record = dead_letter_record(failed_at)
        query(
            engine,
            "UPDATE dead_letter_actions SET target_partition = 1 WHERE target_offset = %s RETURNING 1",
            failed_at,
        )
        store(sink, record)
        [again] = choose_dead_letters(engine, DeadLetterFilter(), OPEN, None)["civic"]
        failed_at += 1
        redrive(engine, again, failed_at)
    assert states(engine) == ["redriven"] * 3
    store(sink, result_record(make_result(1, origin=OriginReference(topic=FRAMES, partition=0, offset=902))))
    assert states(engine) == ["resolved"] * 3


def test_a_result_that_the_sink_refused_is_resolved_by_itself(engine: Engine, sink: PostgresSink) -> None:
    [dl_id] = letters(engine, sink, stage=Stage.SINK_POSTGRES, topic="results.civic")
    batch = [Intent(dl_id, Action.REDRIVE, "results.civic")]
    assert begin_actions(engine, "b1", "anna", batch, OPEN) == {dl_id}
    place_actions(engine, "b1", {dl_id: Origin("results.civic", 0, 77)})
    end_actions(engine, "b1", Outcome.DONE)
    made = result_record(make_result(1))
    store(sink, SinkRecord(made.topic, 0, 77, made.timestamp_ms, made.key, made.value, made.headers))
    assert states(engine) == ["resolved"]


def test_what_failed_in_a_replay_is_resolved_by_that_replay_alone(engine: Engine, sink: PostgresSink) -> None:
    result = make_result(1)
    letters(engine, sink, 2, frame_id=result.frame_id, topic="frames.civic.replay")
    query(engine, "UPDATE dead_letters SET replay_id = 'r' || dl_offset RETURNING 1")
    store(sink, result_record(result))
    assert states(engine) == ["open", "open"]
    store(sink, result_record(make_result(1, replay_id="r1")))
    assert states(engine) == ["open", "resolved"]


def test_one_at_a_time_for_each_pipeline(engine: Engine, database_url: str) -> None:
    other = database_engine(database_url, application_name="contract")
    with pipeline_lock(engine, "civic"):
        with pytest.raises(BusyError), pipeline_lock(other, "civic"):
            pass
        with pipeline_lock(other, "banana"):
            pass
    with pipeline_lock(other, "civic"):
        pass
    other.dispose()


def test_filters_choose_the_same_everywhere(engine: Engine, sink: PostgresSink) -> None:
    """Each field has a case with another count than all five: none can be left out unnoticed."""
    ids, later = letters(engine, sink, 3), NOW + timedelta(seconds=1)
    store(sink, dead_letter_record(3, stage=Stage.INSPECT))
    store(sink, dead_letter_record(4, stage=Stage.INSPECT, code=Code.PICTURE_TRUNCATED))
    redrive(engine, ids[0], 900)
    for wanted, count in (
        (DeadLetterFilter(stage="decode"), 3),
        (DeadLetterFilter(stage="decode", state="open"), 2),
        (DeadLetterFilter(code="picture_corrupt"), 4),
        (DeadLetterFilter(code="picture_truncated", stage="decode"), 0),
        (DeadLetterFilter(dl_ids=tuple(ids[:2])), 2),
        (DeadLetterFilter(pipeline="civic", source=SOURCE, since=NOW, until=later), 5),
        (DeadLetterFilter(source="/farms/7/cameras/south"), 0),
        (DeadLetterFilter(since=later), 0),
        (DeadLetterFilter(until=NOW), 0),
        (DeadLetterFilter(pipeline="banana"), 0),
    ):
        assert len(list_dead_letters(engine, wanted, 50)) == count
        assert sum(one.count for one in count_dead_letters(engine, wanted)) == count
        chosen = choose_dead_letters(engine, wanted, ("open", "redriven"), None)
        assert sum(map(len, chosen.values())) == count
    assert choose_dead_letters(engine, DeadLetterFilter(stage="decode"), OPEN, 1) == {"civic": [ids[1]]}


def test_counts_by_day_code_stage_and_source(engine: Engine, sink: PostgresSink) -> None:
    ids = letters(engine, sink, 3)
    store(sink, dead_letter_record(3, stage=Stage.INSPECT))
    redrive(engine, ids[0], 900)
    query(engine, "UPDATE dead_letters SET dl_time = dl_time - interval '1 day' WHERE dl_offset = 2 RETURNING 1")
    counted = [
        (one.day, one.code, one.stage, one.source, one.count, one.states)
        for one in count_dead_letters(engine, DeadLetterFilter())
    ]
    day = date(2026, 11, 21)
    assert counted == [
        (day, "picture_corrupt", "decode", SOURCE, 2, {"open": 1, "redriven": 1}),
        (day, "picture_corrupt", "inspect", SOURCE, 1, {"open": 1}),
        (date(2026, 11, 20), "picture_corrupt", "decode", SOURCE, 1, {"open": 1}),
    ]


def test_a_replays_frame_counts_once_as_it_stands(engine: Engine, sink: PostgresSink) -> None:
    store(sink, result_record(make_result(0, replay_id="r")))
    for number in range(3):
        letters(engine, sink, number + 1, frame_id=make_result(number).frame_id, topic="frames.civic.replay")
    query(engine, "UPDATE dead_letters SET replay_id = 'r' RETURNING 1")
    counted = ReplayBook(engine).answered("r")
    assert (counted.results, counted.dead_letters, counted.total) == (1, 2, 3)  # 0 has its answer after all
    query(engine, "UPDATE dead_letters SET state = 'redriven' WHERE dl_offset = 1 RETURNING 1")
    assert ReplayBook(engine).answered("r").total == 2
