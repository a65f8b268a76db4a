"""The monitor on a real broker: alerts begin once and end once, whatever happens to it meanwhile."""

import shutil
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from confluent_kafka import Producer

from schemas import topics
from schemas.deadletter import Failed, dead_letter_message
from schemas.errors import Code, InputError, Stage
from schemas.frame import Origin
from schemas.message import Message, result_message
from schemas.result import Result
from tests.background import in_background
from tests.services import Kafka
from tests.world import Running, World, wait_for

pytestmark = pytest.mark.services
# Windows of seconds, and a long memory: what happens while the monitor is away must be judged afterwards.
SHORT = {
    "SIGHTLINE_MONITOR_TICK_S": "0.5",
    "SIGHTLINE_MONITOR_CATCH_UP_S": "60",
    "SIGHTLINE_MONITOR_WINDOW_S": "6",
    "SIGHTLINE_MONITOR_CLEAR_AFTER_S": "1",
    "SIGHTLINE_MONITOR_FLOOD_DEAD_LETTERS": "30",
    "SIGHTLINE_MONITOR_ERROR_SHARE": "0.9",
    "SIGHTLINE_MONITOR_SILENT_AFTER_S": "2.5",
    "SIGHTLINE_MONITOR_QUALITY_WINDOW_S": "6",
    "SIGHTLINE_MONITOR_QUALITY_BASELINE_S": "12",
    "SIGHTLINE_MONITOR_ACCEPTANCE_WINDOW_S": "6",
    "SIGHTLINE_MONITOR_ACCEPTANCE_LOW": "0.3",
    "SIGHTLINE_MONITOR_ACCEPTANCE_HIGH": "0.6",
    "SIGHTLINE_MONITOR_ACCEPTANCE_MIN_FRAMES": "50",
}


class Cameras:
    """Publishes results and dead letters as a worker does, all the while: see `sending`."""

    def __init__(self, world: World, transactional_id: str | None = None) -> None:
        self.pipeline = world.pipeline
        self.accepted_of_ten = 5
        self.score = 80.0
        self.names = [f"/cameras/{n}" for n in range(8)]
        self._number = 0
        settings: dict[str, Any] = {"bootstrap.servers": world.bootstrap, "partitioner": "murmur2_random"}
        if transactional_id is not None:
            settings["transactional.id"] = transactional_id
        self.producer = Producer(settings)

    def result(self, source: str, variant: str = "live") -> None:
        self._number += 1
        now = datetime.now(UTC)
        long_ago = datetime(1970, 1, 1, tzinfo=UTC)  # the cameras' clocks are wrong, and nobody minds
        self._send(
            result_message(
                Result(
                    result_id=f"result-{self._number}",
                    frame_id=f"frame-{self._number}",
                    pipeline=self.pipeline,
                    variant=variant,
                    source=source,
                    captured_at=long_ago,
                    processed_at=now,
                    verdict="accepted" if self._number % 10 < self.accepted_of_ten else "rejected",
                    score=self.score,
                )
            )
        )

    def dead_letter(self, source: str, code: Code) -> None:
        self._number += 1
        origin = Origin(topics.frames(self.pipeline), 0, self._number)
        failed = Failed(source.encode(), b"x", [("ce_source", source.encode())], origin, 0)
        error = InputError(code, Stage.DECODE, "made for a test")
        self._send(dead_letter_message(self.pipeline, failed, error, now=datetime.now(UTC), worker="test"))

    def flush(self) -> None:
        assert self.producer.flush(30) == 0

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Send a result of each of `names` five times a second."""

        def run(ended: threading.Event) -> None:
            while not ended.wait(0.2):
                for name in self.names:
                    self.result(name)
                self.producer.poll(0)

        with in_background(run):
            yield
        self.flush()

    def _send(self, message: Message) -> None:
        self.producer.produce(message.topic, message.value, message.key, headers=list(message.headers))


def _alerts(world: World) -> list[dict[str, Any]]:
    found = world.alerts()
    return [alert for alert in found if alert.get("pipeline") == world.pipeline and "state" in alert.get("facts", {})]


def _said(world: World) -> Counter[tuple[str, str, str]]:
    """Count rule, subject and state of all alerts."""
    return Counter(
        (alert["rule"], alert["source"].partition("|")[2], alert["facts"]["state"]) for alert in _alerts(world)
    )


def _wait_for(world: World, *wanted: tuple[str, str, str], timeout_s: float = 40) -> None:
    def missing() -> list[tuple[str, str, str]]:
        said = _said(world)
        return [one for one in wanted if one not in said]

    wait_for(lambda: not missing(), timeout_s, f"alerts {wanted}")


def _start(world: World, env: Mapping[str, str] | None = None) -> Running:
    return world.start("monitor", world.pipeline, env={**SHORT, **(env or {})})


def test_each_alert_begins_once_and_ends_once_also_over_a_kill(world: World) -> None:
    """A second monitor waits meanwhile, and takes over; nobody watches for the seconds between."""
    cameras = Cameras(world)
    first = _start(world).wait_ready()
    with cameras.sending():
        time.sleep(4)
        cameras.accepted_of_ten = 10
        for n in range(60):
            cameras.dead_letter("/cameras/broken", Code.PICTURE_CORRUPT)
            cameras.dead_letter(f"/cameras/{n % 8}", Code.INFERENCE_FAILED)
        silent = cameras.names.pop()
        began = [
            ("source-flood", "/cameras/broken", "firing"),
            ("code-flood", "inference_failed", "firing"),
            ("camera-silent", silent, "firing"),
            ("acceptance-out-of-band", "", "firing"),
        ]
        second = _start(world)
        _wait_for(world, *began)
        wait_for(lambda: "members" in second.get("/health/ready")[1], 30, "the second waits")
        assert first.ready()
        first.kill()
        for _ in range(40):
            cameras.dead_letter("/cameras/meanwhile", Code.PICTURE_TRUNCATED)
        cameras.accepted_of_ten = 5
        cameras.names.append(silent)
        meanwhile = ("source-flood", "/cameras/meanwhile")
        ended = [(rule, subject, "resolved") for rule, subject, _ in began]
        _wait_for(world, *ended, (*meanwhile, "firing"), (*meanwhile, "resolved"))
        second.wait_ready()
        said = _said(world)
        assert said == Counter([*began, *ended, (*meanwhile, "firing"), (*meanwhile, "resolved")])
        assert second.metric("sightline_monitor_sources", pipeline=world.pipeline) >= 8
        assert second.terminate(10) == 0
    alerts = {alert["alert_id"]: alert for alert in _alerts(world)}
    assert len(alerts) == said.total()
    for alert in alerts.values():
        if alert["facts"]["state"] == "resolved":
            assert alerts[alert["facts"]["resolves"]]["facts"]["state"] == "firing"


def test_it_waits_for_a_broker_that_is_not_there(world: World, kafka: Kafka) -> None:
    """Not at its start, nor later: alive, not ready, and nobody is called silent for it."""
    cameras = Cameras(world)
    kafka.kill()
    monitor = _start(world)
    wait_for(lambda: "kafka" in monitor.get("/health/ready")[1], 30, "it says what it waits for")
    time.sleep(3)
    assert not monitor.ready()
    assert monitor.get("/health/live")[0] == 200
    kafka.start()
    monitor.wait_ready(120)
    with cameras.sending():
        time.sleep(3)
        kafka.kill()
        wait_for(lambda: not monitor.ready(), 30, "not ready without a broker")
        wait_for(lambda: '"faust"' in monitor.log.read_text(), 60, "the round is given up, its agents with it")
        assert monitor.get("/health/live")[0] == 200
        kafka.start()
        monitor.wait_ready(120)
        time.sleep(2)
    assert set(_said(world)) <= {("pipeline-silent", "", "firing"), ("pipeline-silent", "", "resolved")}
    assert monitor.process.poll() is None
    assert monitor.terminate(10) == 0


def test_what_is_aborted_or_hostile_changes_nothing(world: World) -> None:
    """Aborted records are not seen, markers are no lag, and a header that no client can read stops nobody."""
    quiet = {"SIGHTLINE_MONITOR_SILENT_AFTER_S": "0"}
    monitor = _start(world, quiet).wait_ready()
    cameras = Cameras(world, transactional_id=world.pipeline)
    cameras.producer.init_transactions(30)
    for end in ("abort", "commit"):
        cameras.producer.begin_transaction()
        for _ in range(30 if end == "abort" else 1):
            cameras.dead_letter(f"/cameras/{end}", Code.PICTURE_CORRUPT)
        cameras.flush()
        cameras.producer.abort_transaction() if end == "abort" else cameras.producer.commit_transaction()
    kcat = shutil.which("kcat")
    assert kcat is not None
    dead_letters = topics.dead_letters(world.pipeline)
    for arguments in (["-t", topics.results(world.pipeline)], ["-t", dead_letters, "-H", b"\xff\xfe=1"]):
        subprocess.run([kcat, "-b", world.bootstrap, "-P", *arguments], input=b"not JSON\n", check=True)
    labels = {"pipeline": world.pipeline}
    wait_for(lambda: monitor.metric("sightline_monitor_records_total", kind="unreadable", **labels) >= 2, 60, "both")
    plain = Cameras(world)
    for _ in range(30):
        plain.dead_letter("/cameras/after", Code.PICTURE_CORRUPT)
    plain.flush()
    _wait_for(world, ("source-flood", "/cameras/after", "firing"))
    monitor.wait_ready()
    assert {subject for rule, subject, _ in _said(world) if rule == "source-flood"} == {"/cameras/after"}
    assert monitor.metric("sightline_monitor_starts_total", after="faust") >= 1
