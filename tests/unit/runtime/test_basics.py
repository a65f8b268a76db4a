"""Back-off, fault points, health pages, metrics, Kafka's errors."""

import json
import random
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest
from confluent_kafka import KafkaError

from schemas.errors import ConfigurationError, OutageError, SetupError
from sightline.runtime import metrics
from sightline.runtime.backoff import Backoff
from sightline.runtime.faults import POINTS, Faults
from sightline.runtime.health import HealthServer
from sightline.runtime.kafka import is_refused, make_consumer, make_producer, make_reader, map_kafka_error
from sightline.runtime.settings import KafkaSettings


def test_delays_double_up_to_the_longest_and_begin_again() -> None:
    backoff = Backoff(first_s=1, longest_s=10, chance=random.Random(1))
    delays = [backoff.next_delay_s() for _ in range(40)]
    for delay, bound in zip(delays, [1, 2, 4, 8, *[10] * 36], strict=True):
        assert bound / 2 <= delay <= bound
    backoff.reset()
    assert backoff.next_delay_s() <= 1


@pytest.mark.parametrize("point", ["nonsense:1", "after-produce", "after-produce:0", "after-produce:x", ":1"])
def test_a_fault_point_that_does_not_exist_is_refused(point: str) -> None:
    with pytest.raises(ConfigurationError):
        Faults(point)


@pytest.mark.parametrize("point", POINTS)
def test_a_fault_point_kills_at_the_pass_that_was_asked_for(point: str) -> None:
    program = (
        "from sightline.runtime.faults import Faults\n"
        f"faults = Faults('{point}:3')\n"
        f"for n in range(5): print(n, flush=True); faults.passing('other'); faults.passing('{point}')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.split() == [b"0", b"1", b"2"]


def test_without_a_fault_point_nothing_happens() -> None:
    for point in POINTS:
        Faults(None).passing(point)


def _get(server: HealthServer, path: str) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=5) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_health_pages() -> None:
    problems: dict[str, str | None] = {"live": None, "ready": "kafka: away"}
    server = HealthServer(0, live=lambda: problems["live"], ready=lambda: problems["ready"], host="127.0.0.1")
    try:
        assert _get(server, "/health/live")[0] == 200
        status, body = _get(server, "/health/ready")
        assert (status, json.loads(body)["reason"]) == (503, "kafka: away")
        problems["ready"] = None
        assert _get(server, "/health/ready")[0] == 200
        assert b"sightline_records_read" in _get(server, "/metrics")[1]
        assert _get(server, "/other")[0] == 404
        with pytest.raises(ConfigurationError, match="cannot be used"):
            HealthServer(server.port, live=lambda: None, ready=lambda: None, host="127.0.0.1")
    finally:
        server.stop()


def test_every_metric_is_ours_and_explained() -> None:
    listed = metrics.metric_names()
    assert len(listed) > 20
    assert all(name.startswith("sightline_") and meaning for name, _, meaning, _ in listed)
    assert ("sightline_consumer_lag", "gauge", "Log end minus position.", ("group", "topic", "partition")) in listed


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (KafkaError._TRANSPORT, OutageError),
        (KafkaError._ALL_BROKERS_DOWN, OutageError),
        (KafkaError._MSG_TIMED_OUT, OutageError),
        (KafkaError.NOT_ENOUGH_REPLICAS, OutageError),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, SetupError),
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, SetupError),
        (KafkaError.SASL_AUTHENTICATION_FAILED, SetupError),
    ],
)
def test_what_a_kafka_error_means(code: int, kind: type[OutageError]) -> None:
    assert type(map_kafka_error(KafkaError(code))) is kind
    assert not is_refused(KafkaError(code))


def test_every_kafka_error_is_waited_for_or_refused() -> None:
    codes = {value for value in vars(KafkaError).values() if isinstance(value, int)}
    refused = {code for code in codes if is_refused(KafkaError(code))}
    assert refused == {
        KafkaError.MSG_SIZE_TOO_LARGE, KafkaError._INVALID_ARG, KafkaError.INVALID_RECORD, KafkaError.INVALID_TIMESTAMP,
    }  # fmt: skip
    assert all(isinstance(map_kafka_error(KafkaError(code)), OutageError) for code in codes)


def test_a_property_of_the_other_kind_of_client_is_left_out(capfd: pytest.CaptureFixture[str]) -> None:
    """librdkafka would warn of each at every start."""
    properties: dict[str, str | int | float | bool] = {"max.poll.interval.ms": 20_000, "message.timeout.ms": 10_000}
    settings = KafkaSettings(bootstrap_servers="127.0.0.1:1", properties=properties)
    make_consumer(settings, "g").close()
    make_reader(settings).close()
    make_producer(settings).flush(0)
    assert "CONFWARN" not in capfd.readouterr().err
