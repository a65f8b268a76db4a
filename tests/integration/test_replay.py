"""Replays: the same frames once more, apart from the live results, and each of them once."""

import contextlib
import itertools
import os
import pty
import random
import re
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from schemas import topics
from schemas.headers import last_text
from schemas.replaycommand import CommandName
from sightline.runtime.objectstore import open_store
from sightline.runtime.settings import load_settings
from sinks.postgres.replay_frames import FrameRows
from streams.messages import headers_of
from streams.replay.archive import Archive
from streams.replay.plan import Plan, Planner
from streams.replay.selection import Selection
from tests.integration.planner import OtherSystem
from tests.integration.replaying import BROKEN, FRAMES, GOOD, Replaying, make_replaying, photos, rows
from tests.pictures import headers, jpeg
from tests.quick import make_host
from tests.services import S3, Kafka, Postgres
from tests.world import SIGHTLINE, World, wait_for

pytestmark = pytest.mark.services
POINTS = ("replay-acknowledged:10", "replay-saved:2", "replay-acknowledged:1", "replay-saved:1")
RANDOM_KILLS = 6
SEED = 5
LATE = 3


@pytest.fixture(scope="module")
def replaying(
    tmp_path_factory: pytest.TempPathFactory, kafka: Kafka, postgres: Postgres, s3: S3
) -> Iterator[Replaying]:
    with make_replaying(tmp_path_factory.mktemp("replaying"), kafka, postgres, s3) as made:
        yield made


def test_killed_again_and_again_each_row_stands_once(replaying: Replaying) -> None:
    world, chance = replaying.world, random.Random(SEED)
    replaying.answer_replays()
    planned = replaying.replay("plan", world.pipeline, "--id", "killed")
    assert (planned["frames"], planned["archived_frames"], planned["missing_frames"]) == (FRAMES, 0, 0)
    assert planned["seconds"] > 0
    replaying.run("start", "killed", "--no-archive", expect=2)  # a plan says already which frames
    for number, point in enumerate((*POINTS, *[None] * RANDOM_KILLS)):
        doomed = replaying.begin("resume", "killed", "--rate", "12", point=point)
        if point is None:
            time.sleep(chance.uniform(0.1, 0.9))
            doomed.kill()
        assert doomed.wait() == -9
        if not number:
            replaying.kill_worker()
    before = replaying.replay("status", "killed")
    assert before["state"] == "running"
    assert 0 < before["published"] < FRAMES
    assert replaying.replay("resume", "killed")["published"] == FRAMES
    status = replaying.answered("killed", FRAMES)
    assert (status["results"], status["dead_letters"], status["state"]) == (GOOD, BROKEN, "published")
    live = rows(world, None)
    assert len(live) == GOOD
    assert rows(world, "killed") == live
    letters = world.sql("SELECT code, replay_id, origin_topic FROM dead_letters ORDER BY code")
    codes = {of: [code for code, whose, _ in letters if whose == of] for of in ("killed", None)}
    assert codes["killed"] == codes[None]
    assert {topic for _, of, topic in letters if of} == {topics.frames_replay(world.pipeline)}
    assert len(world.results()) == GOOD  # nothing of it stands among the live ones
    print(f"seed {SEED}; frames sent twice: {world.count(topics.frames_replay(world.pipeline)) - FRAMES}")
    replaying.run("resume", "killed", expect=2)


def test_two_side_by_side_one_paused_one_cancelled(replaying: Replaying) -> None:
    world, frames = replaying.world, [f"--camera=/cameras/{number}" for number in range(3)]
    count = sum(n % 5 < 3 for n in range(GOOD))
    replaying.hold_replays()
    strict = replaying.begin(
        "start", world.pipeline, "--id", "stricter", "--set", "quality.pass_score=100", *frames, "--rate", "25"
    )
    wait_for(lambda: replaying.sent("stricter") > 0, 30, "first frames")
    replaying.run("pause", "stricter")
    wait_for(lambda: "paused" in strict.said("err"), 30, "its process has heard of it")
    time.sleep(1)  # what was on its way is acknowledged and counted
    paused = replaying.sent("stricter")
    lax = ("start", world.pipeline, "--id", "lax", "--set", "quality.pass_score=1", *frames, "--max-backlog", "0")
    assert replaying.replay(*lax)["published"] == count
    assert replaying.sent("stricter") == paused < count
    replaying.run("resume", "stricter")  # its process is there, and goes on
    assert strict.wait() == 0
    replaying.run("cancel", "stricter")
    replaying.answer_replays()
    status = replaying.answered("stricter", count)
    assert (status["state"], status["skipped"], status["results"]) == ("cancelled", count, 0)
    assert replaying.answered("lax", count)["results"] == count
    skipped, answers, live = rows(world, "stricter"), rows(world, "lax"), rows(world, None)
    assert skipped.keys() == answers.keys() < live.keys()
    said = {(body["kind"], body["summary"]["skipped"]) for body in skipped.values()}
    assert said == {("skipped", "replay-cancelled")}
    assert {body["verdict"] for body in answers.values()} == {"accepted"}
    assert {body["settings_digest"] for body in answers.values()}.isdisjoint(
        body["settings_digest"] for body in live.values()
    )


def test_two_at_the_same_time_are_each_answered_by_their_own_rules(replaying: Replaying) -> None:
    world, bars = replaying.world, {"hard": 100, "soft": 1}
    replaying.hold_replays()
    sending = [
        replaying.begin("start", world.pipeline, "--id", name, "--set", f"quality.pass_score={bar}", "--rate", "15",
                        "--max-backlog", "0")
        for name, bar in bars.items()
    ]  # fmt: skip
    assert [one.wait() for one in sending] == [0, 0]
    frames = world.read(topics.frames_replay(world.pipeline))
    sent = [last_text(headers_of(one) or [], "sightline_replay_id") for one in frames]
    order = [name for name in sent if name in bars]
    assert sum(one != other for one, other in itertools.pairwise(order)) > 20, "mixed on the topic"
    replaying.answer_replays()
    for name in bars:
        assert replaying.answered(name, FRAMES)["results"] == GOOD
    verdicts = {name: {body["verdict"] for body in rows(world, name).values()} for name in bars}
    assert verdicts == {"hard": {"rejected"}, "soft": {"accepted"}}
    assert rows(world, "hard").keys() == rows(world, "soft").keys() == rows(world, None).keys()


def test_sending_yields_to_live_frames(world: World) -> None:
    worker, _ = world.start_worker().wait_ready(), world.start_sink("postgres").wait_ready()
    world.publish(photos(20))
    world.wait_for_rows(20)
    assert worker.terminate() == 0
    world.publish(photos(100, start=20))
    with make_host() as host:
        polite = host.start(
            world, "replay", "start", world.pipeline, "--id", "polite", "--max-live-lag", "50", "--rate", "20"
        )
        wait_for(lambda: "polite: yields to live frames\n" in polite.said("err"), 30, "it yields")
        time.sleep(2)
        assert world.count(topics.frames_replay(world.pipeline)) == 0  # nor before the lag was known
        assert polite.poll() is None
        world.start_worker()
        assert polite.wait() == 0, polite.said("err")
    wait_for(lambda: len(rows(world, "polite")) == 120, 60, "all answered again")


def test_a_terminal_shows_how_far_it_is_and_the_time_left(replaying: Replaying) -> None:
    """Four seconds of sending; `status` says the same of the answers, at their pace."""
    world = replaying.world
    replaying.answer_replays()
    screen, terminal = pty.openpty()
    command = [SIGHTLINE, "replay", "start", world.pipeline, "--id", "shown", "--rate", "30"]
    env = {**world.env, "TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=terminal) as sending:
        os.close(terminal)
        shown = _read_to_its_end(screen)
    assert sending.returncode == 0
    states = [(int(done), left) for done, left in re.findall(rf"shown .* (\d+)/{FRAMES} (\S+)", shown)]
    counts = [done for done, _ in states]
    assert counts == sorted(counts)
    assert len(set(counts)) > 4
    assert states[-1] == (FRAMES, "0:00:00")
    seconds = [int(left[-2:]) for done, left in states if 0 < done < FRAMES and left[0].isdigit()]
    assert seconds == sorted(seconds, reverse=True)
    assert 1 <= seconds[0] <= 10
    assert replaying.answered("shown", FRAMES)["left_s"] == 0


def _read_to_its_end(screen: int) -> str:
    """Return what was written to a terminal, a line for each time it was written anew, without control sequences."""
    said = b""
    with open(screen, "rb", buffering=0) as file, contextlib.suppress(OSError):  # EIO: nobody has it open any more
        while part := file.read(4096):
            said += part
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said.decode()).replace("\r", "\n")


def test_sending_waits_while_the_workers_of_replays_have_enough_to_do(replaying: Replaying) -> None:
    world = replaying.world
    replaying.hold_replays()
    sending = replaying.begin("start", world.pipeline, "--id", "bounded", "--rate", "40", "--max-backlog", "20")
    wait_for(lambda: "waits for the workers of replays" in sending.said("err"), 30, "it waits")
    time.sleep(1)
    assert 20 < replaying.sent("bounded") < FRAMES
    assert sending.poll() is None
    replaying.answer_replays()
    assert sending.wait() == 0
    assert replaying.answered("bounded", FRAMES)["results"] == GOOD


def test_other_rules_then_promoted(replaying: Replaying) -> None:
    world = replaying.world
    replaying.answer_replays()
    accepted = {frame_id for frame_id, body in rows(world, None).items() if body["verdict"] == "accepted"}
    strict = ("start", world.pipeline, "--id", "strict", "--verdict", "accepted", "--set", "quality.pass_score=100")
    replaying.replay(*strict)
    replaying.answered("strict", len(accepted))
    assert {frame_id: body["verdict"] for frame_id, body in rows(world, "strict").items()} == dict.fromkeys(
        accepted, "rejected"
    )
    assert replaying.replay("promote", "strict")["promoted"] == len(accepted) > 0
    current = "SELECT count(*) FROM current_results WHERE verdict = 'rejected' AND replay_id = 'strict'"
    wait_for(lambda: world.sql(current)[0][0] == len(accepted), 30, "promoted results in the view")
    live = world.count(topics.results(world.pipeline))
    again = replaying.replay("promote", "strict")
    assert (again["promoted"], again["unchanged"]) == (0, len(accepted))
    assert world.count(topics.results(world.pipeline)) == live
    assert world.sql("SELECT count(*) FROM current_results")[0][0] == GOOD


def test_frames_are_chosen_in_every_way(replaying: Replaying) -> None:
    world = replaying.world
    query = (
        "SELECT frame_id, score, captured_at, origin_partition, origin_offset FROM results"
        " WHERE replay_id IS NULL ORDER BY 3"
    )
    found = world.sql(query)
    frame_id, score, captured_at, partition, offset = found[7]
    now = datetime.now(UTC)
    for expected, chosen in (
        (FRAMES, {"arrived_from": now - timedelta(hours=1), "arrived_to": now}),
        (0, {"arrived_from": now}),
        (0, {"captured_from": now + timedelta(hours=1)}),
        (sum(n % 5 == 1 for n in range(GOOD)), {"cameras": ["/cameras/1"]}),
        (1, {"offsets": {partition: (offset, offset + 1)}}),
        (1, {"frame_ids": [frame_id]}),
        (1, {"codes": ["picture_truncated"]}),
        (sum(row[1] == score for row in found), {"score_from": score, "score_to": score}),
        (0, {"verdict": "accepted", "captured_to": captured_at - timedelta(days=1)}),
    ):
        assert _plan(world, **chosen).counts.frames == expected, chosen
    # By their arrival, although all of them were answered later.
    frames = world.read(topics.frames(world.pipeline))
    (arrived_ms,) = [one.timestamp()[1] for one in frames if (one.partition(), one.offset()) == (partition, offset)]
    arrived = datetime.fromtimestamp(arrived_ms / 1000, UTC)
    by_arrival = {"arrived_from": arrived, "arrived_to": arrived + timedelta(milliseconds=1)}
    assert _plan(world, frame_ids=[frame_id], **by_arrival).counts.frames == 1


def test_commands_are_carried_out_once_whatever_happens(replaying: Replaying) -> None:
    world, slow = replaying.world, {"rate": 12, "overrides": {"set": {"quality.pass_score": 1}}}
    replaying.answer_replays()
    other, before = OtherSystem(world), world.sql("SELECT count(*) FROM replays")[0][0]
    doomed = world.start("replay", "serve", env={"SIGHTLINE_FAULT_POINT": "replay-command-done:1"})
    other.send(None, {"action": "status", "replay_id": "x"})
    other.send("first", {"action": "start", "pipeline": world.pipeline, **slow})
    assert doomed.process.wait(60) == -9  # the replay is made and may run; nobody was told

    name = CommandName("first", other.source).replay_id()
    killed = world.start("replay", "serve")
    assert other.answer("first")["replay_id"] == name
    wait_for(lambda: 0 < replaying.sent(name) < 80, 60, "first frames")
    other.send("first", {"action": "start", "pipeline": world.pipeline, **slow})
    other.send("first", {"action": "cancel", "replay_id": name})  # the id is taken
    killed.kill()

    serve = world.start("replay", "serve")
    assert other.ask("halt", action="pause", replay_id=name) == ("done", "paused")
    assert other.ask("early", action="promote", replay_id=name) == ("refused", "replay_unanswered")
    wait_for(lambda: serve.metric("sightline_replay_runs") == 0, 30, "a paused replay holds no thread")
    assert 0 < replaying.sent(name) < FRAMES
    other.send("first", {"action": "start", "pipeline": world.pipeline, **slow})  # again: it must not go on
    _oddities(other)
    wait_for(lambda: serve.metric("sightline_replay_commands_total", outcome="unreadable") == 1, 60, "it is counted")
    assert replaying.state(name) == "paused"
    assert other.ask("on", action="resume", replay_id=name, rate=1000)[0] == "done"
    replaying.answered(name, FRAMES)
    assert other.ask("look", action="status", replay_id=name) == ("done", "published")
    assert other.answer("look")["counts"]["results"] == len(rows(world, name)) == GOOD
    assert {body["verdict"] for body in rows(world, name).values()} == {"accepted"}
    assert other.ask("best", action="promote", replay_id=name) == ("done", "published")
    assert other.answer("best")["counts"]["promoted"] > 0
    assert other.ask("end", action="cancel", replay_id="planned") == ("done", "cancelled")
    assert world.sql("SELECT count(*) FROM replays")[0][0] == before + 2
    told = {command_id: len(answers) for command_id, answers in other.answers().items()}
    assert max(told.values()) == 1, told
    assert serve.wait_ready().terminate() == 0


def test_a_command_for_one_camera_sends_the_frames_of_that_camera(replaying: Replaying) -> None:
    world, chosen = replaying.world, {"cameras": ["/cameras/1"]}
    count = sum(n % 5 == 1 for n in range(GOOD))
    replaying.answer_replays()
    other, serve = OtherSystem(world), world.start("replay", "serve")
    start = {"action": "start", "pipeline": world.pipeline, "replay_id": "one-camera", "selection": chosen}
    assert other.ask("camera", **start)[0] == "done"
    assert other.answer("camera")["counts"]["frames"] == count
    wait_for(lambda: replaying.state("one-camera") == "published", 60, "all is sent")
    assert replaying.answered("one-camera", count)["published"] == count
    live = rows(world, None)
    assert rows(world, "one-camera") == {key: body for key, body in live.items() if body["source"] == "/cameras/1"}
    assert serve.wait_ready().terminate() == 0


def _oddities(other: OtherSystem) -> None:
    """Send what cannot be carried out; each gets its code, and the agent goes on, also over what breaks its client."""
    other.send("noise", b"\xff\xfe")
    other.send_unreadable_header()
    pipeline = other.pipeline
    said = {
        "plan": other.ask("plan", action="plan", pipeline=pipeline, replay_id="planned"),
        "taken": other.ask("taken", action="plan", pipeline=pipeline, replay_id="planned"),
        "unknown": other.ask("unknown", action="pause", replay_id="none"),
        "state": other.ask("state", action="pause", replay_id="planned"),
        "pipeline": other.ask("pipeline", action="start", pipeline="nothing"),
        "rule": other.ask("rule", action="plan", pipeline=pipeline, overrides={"set": {"no.such.rule": 1}}),
        "typo": other.ask("typo", action="start", pipelin="civic"),
    }
    assert said.pop("plan") == ("done", "planned")
    assert {outcome for outcome, _ in said.values()} == {"refused"}
    assert {what: code for what, (_, code) in said.items()} == {
        "taken": "replay_exists", "unknown": "replay_unknown", "state": "replay_state_wrong",
        "pipeline": "request_invalid", "rule": "request_invalid", "typo": "command_invalid",
    }  # fmt: skip
    assert other.answer("noise")["code"] == "command_invalid"
    alerts = other.world.alerts()
    assert any(alert["rule"] == "command-unreadable" for alert in alerts)


def test_what_retention_took_comes_from_kept_pictures(replaying: Replaying) -> None:
    """It stands behind those that want all frames: from here on the topic has few."""
    world = replaying.world
    replaying.answer_replays()
    world.wait_until_settled()
    world.empty(topics.frames(world.pipeline))
    held = world.publish(photos(10, start=GOOD))
    wait_for(lambda: len(rows(world, None)) == GOOD + 10, 60, "new frames are answered")
    live = rows(world, None)
    [[gone, frame_id]] = world.sql(
        "SELECT key, frame_id FROM artifacts JOIN results USING (result_id)"
        " WHERE event_id = 'e0' AND replay_id IS NULL AND artifacts.kind = 'picture'"
    )
    world.store.delete(gone)
    facts = replaying.replay("plan", world.pipeline, "--id", "old")
    assert (facts["kafka_frames"], facts["archived_frames"], facts["missing_frames"]) == (10, FRAMES - 1, 1)
    assert facts["kafka_bytes"] == sum(len(one.value or b"") for one in held)
    assert facts["bytes"] - facts["kafka_bytes"] == facts["archived_bytes"] > 0
    world.publish(photos(LATE, start=GOOD + 10))  # behind the end that the plan fixed
    started = replaying.replay("start", "old")
    assert (started["published"], started["archived"], started["missing"]) == (FRAMES + 9, FRAMES - 1, 1)
    assert started["published_bytes"] == facts["bytes"]
    assert replaying.answered("old", FRAMES + 9)["dead_letters"] == BROKEN
    del live[frame_id]
    assert rows(world, "old") == live
    marked = world.sql("SELECT count(*) FROM results WHERE replay_id = 'old' AND (body->>'archived')::boolean")
    assert marked[0][0] == GOOD - 1
    assert _plan(world, archive=False).counts.frames == 10 + LATE
    strangers = replaying.replay("plan", world.pipeline, "--frame-id", frame_id, "--frame-id", "never-seen")
    assert (strangers["frames"], strangers["missing_frames"], strangers["unknown_ids"]) == (0, 1, 1)


def test_a_frame_that_a_camera_sent_twice_has_one_answer_and_holds_up_no_promotion(replaying: Replaying) -> None:
    world = replaying.world
    replaying.answer_replays()
    told = headers("again", "/cameras/again", captured_at=datetime(2026, 3, 1, tzinfo=UTC))
    world.publish([(jpeg(77, 800, 640), told)] * 2)
    world.wait_until_settled()
    arguments = (world.pipeline, "--id", "again", "--camera", "/cameras/again", "--set", "quality.pass_score=100")
    assert replaying.replay("start", *arguments)["published"] == 2
    replaying.answered("again", 1)
    world.wait_until_settled()
    assert replaying.replay("promote", "again")["promoted"] == 1
    settled = "SELECT count(*) FROM current_results WHERE source = '/cameras/again' AND replay_id = 'again'"
    wait_for(lambda: world.sql(settled)[0][0] == 1, 30, "the promoted result in the view")


def _plan(world: World, **chosen: Any) -> Plan:
    settings = load_settings(world.env)
    archive = Archive(open_store(settings.objects_url(), settings.s3))
    planner = Planner(settings.kafka, FrameRows(world.engine), archive, timeout_s=30)
    return planner.plan(Selection.model_validate({"pipeline": world.pipeline, **chosen}), datetime.now(UTC))
