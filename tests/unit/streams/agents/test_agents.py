import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import faust
import pytest

from schemas.errors import ConfigurationError
from sightline.runtime.settings import KafkaSettings
from streams.agents.app import Agents
from streams.agents.credentials import credentials
from streams.read import TopicRecord


class _Stream:
    def __init__(self, offsets: range) -> None:
        self._offsets = offsets

    async def events(self) -> AsyncIterator[Any]:
        for offset in self._offsets:
            headers = ((f"h{offset}", b"x"),)
            message = {"topic": "t", "partition": 1, "offset": offset, "timestamp": 1.5, "key": None, "value": b"v"}
            yield SimpleNamespace(message=SimpleNamespace(**message, headers=headers))


def test_whatever_happens_to_a_record_the_agent_goes_on() -> None:
    taken: list[TopicRecord] = []

    def take(record: TopicRecord) -> None:
        taken.append(record)
        if record.offset % 2:
            raise RuntimeError("made for a test")

    async def run() -> None:
        stream: Any = _Stream(range(4))
        await Agents(KafkaSettings(), "g", {"t": 8}, take)._watch(stream)

    asyncio.run(run())
    assert [record.offset for record in taken] == [0, 1, 2, 3]
    assert taken[0] == TopicRecord("t", 1, 0, 1500, None, b"v", [("h0", b"x")])


def test_the_app_keeps_clear_of_what_loses_records_or_opens_doors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def make() -> faust.App:
        queues = {"results.x": 256, "deadletters.x": 16}
        agents = Agents(KafkaSettings(bootstrap_servers="a:1, b:2"), "sightline.monitor.x", queues, lambda _: None)
        await agents._app.on_first_start()
        return agents._app

    app = asyncio.run(make())
    assert app.conf.id == "sightline.monitor.x"
    assert [str(url) for url in app.conf.broker] == ["kafka://a:1", "kafka://b:2"]
    assert not app.conf.web_enabled
    assert not app.conf.topic_allow_declare
    assert app.conf.topic_disable_leader
    assert app.conf.stream_wait_empty
    assert {name: topic.maxsize for name, topic in _topics(app).items()} == {"results.x": 256, "deadletters.x": 16}
    assert app.conf.consumer_auto_offset_reset == "earliest"
    assert [agent.concurrency for agent in app.agents.values()] == [1, 1]
    assert list(tmp_path.iterdir()) == []


def _topics(app: faust.App) -> dict[str, Any]:
    channels: list[Any] = [agent.channel for agent in app.agents.values()]
    return {channel.get_topic_name(): channel.clone() for channel in channels}


def test_no_properties_no_credentials() -> None:
    assert credentials({}) is None
    assert credentials({"security.protocol": "PLAINTEXT", "linger.ms": 5}) is None


def test_scram_over_tls() -> None:
    made = credentials({
        "security.protocol": "SASL_SSL", "sasl.mechanism": "SCRAM-SHA-512", "sasl.username": "u", "sasl.password": "p",
        "ssl.endpoint.identification.algorithm": "none",
    })  # fmt: skip
    assert isinstance(made, faust.SASLCredentials)
    assert (made.username, made.password, made.mechanism.value) == ("u", "p", "SCRAM-SHA-512")
    assert made.ssl_context is not None
    assert not made.ssl_context.check_hostname


def test_tls_alone_checks_the_name() -> None:
    made = credentials({"security.protocol": "ssl"})
    assert isinstance(made, faust.SSLCredentials)
    assert made.context is not None
    assert made.context.check_hostname


@pytest.mark.parametrize(
    "properties",
    [
        {"security.protocol": "SASL_SSL", "sasl.mechanism": "OAUTHBEARER"},
        {"security.protocol": "sasl_plaintext"},
        {"security.protocol": "quic"},
        {"security.protocol": "ssl", "ssl.ca.location": "/nowhere.pem"},
    ],
)
def test_what_it_cannot_do_is_refused(properties: dict[str, str | int | float | bool]) -> None:
    with pytest.raises(ConfigurationError):
        credentials(properties)


@pytest.mark.parametrize("arguments", [["--help"], ["worker", "--help"], ["sink", "postgres", "--help"]])
def test_other_commands_do_not_import_faust(arguments: list[str]) -> None:
    program = (
        "import sys; from sightline.cli.main import exit_code; exit_code(sys.argv[1:]); "
        "print({'faust', 'mode', 'aiokafka'} & {*sys.modules})"
    )
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.endswith("set()\n")
