import socket
import subprocess
import sys
from pathlib import Path

import pytest

from infra import services
from infra.local import process
from infra.local.kafka import Membership, new_cluster_id
from infra.local.process import ProcessId, free_port, require_tool, spawn, wait_until_ready
from infra.local.tools import KAFKA_FOLDER, cache_folder
from schemas.errors import ConfigurationError, OutageError

FOREVER = [sys.executable, "-c", "import signal; signal.pause()"]


def _ephemeral_ports() -> range:
    low, high = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    return range(int(low), int(high) + 1)


def test_a_free_port_can_be_bound_and_is_not_one_that_clients_are_given() -> None:
    port = free_port()
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", port))
    if _ephemeral_ports().start > process._PORTS.stop:
        assert port not in _ephemeral_ports()


def test_a_missing_tool_is_named_with_what_to_install() -> None:
    with pytest.raises(ConfigurationError) as missing:
        require_tool("no-such-tool", "Kafka", "apt-get install it")
    assert str(missing.value) == "no-such-tool: not found; Kafka needs it: apt-get install it"


def test_a_process_is_known_by_its_id_and_its_start(tmp_path: Path) -> None:
    child = spawn(FOREVER, tmp_path / "log")
    mine = ProcessId.of(child.pid)
    stranger = ProcessId(child.pid, mine.created - 60)
    assert mine.find() is not None
    assert stranger.find() is None
    stranger.kill()
    assert mine.find() is not None, "an id that was given to another process must not be killed"
    mine.kill()
    assert mine.find() is None
    child.wait(timeout=10)


def test_a_program_that_ends_at_start_is_an_outage_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = spawn([sys.executable, "-c", "raise SystemExit('port in use')"], log)
    with pytest.raises(OutageError) as failed:
        wait_until_ready("thing", child, lambda: False, log, 30)
    assert "port in use" in failed.value.reason


def test_a_program_that_never_answers_is_an_outage(tmp_path: Path) -> None:
    child = spawn(FOREVER, tmp_path / "log")
    with pytest.raises(OutageError):
        wait_until_ready("thing", child, lambda: False, tmp_path / "log", 0)
    ProcessId.of(child.pid).kill()
    child.wait(timeout=10)


def test_the_cache_folder_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "elsewhere"))
    assert cache_folder() == tmp_path / "elsewhere"
    assert cache_folder().is_dir()


def test_the_broker_holds_the_largest_dead_letter_and_makes_no_topics() -> None:
    lines = (KAFKA_FOLDER / "server.properties").read_text().splitlines()
    properties = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    assert int(properties["message.max.bytes"]) == 18 * 2**20
    assert properties["auto.create.topics.enable"] == "false"
    assert properties["log.message.timestamp.type"] == "LogAppendTime"


def test_each_broker_of_a_cluster_knows_all_controllers_and_wants_two_copies_of_three() -> None:
    members = [Membership(number, [9001, 9002, 9003], new_cluster_id()).properties() for number in (1, 2, 3)]
    assert {one["controller.quorum.voters"] for one in members} == {
        "1@127.0.0.1:9001,2@127.0.0.1:9002,3@127.0.0.1:9003"
    }
    assert [one["node.id"] for one in members] == ["1", "2", "3"]
    template = (KAFKA_FOLDER / "server.properties").read_text()
    for name, value in members[0].items():
        assert f"\n{name}=" in template
        assert value in {"3", "2"} or name in {"node.id", "controller.quorum.voters"}


def test_status_of_an_empty_folder_and_down_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(tmp_path / "none")
    assert services.main(["down", "--dir", folder]) == 0
    assert services.main(["status", "--dir", folder]) == 3
    assert capsys.readouterr().out.count("stopped") == 3
    assert not Path(folder).exists()


def test_down_leaves_a_process_alone_that_is_not_the_one_it_started(tmp_path: Path) -> None:
    child = subprocess.Popen(FOREVER)
    state = f'{{"ports": {{}}, "processes": {{"kafka": {{"pid": {child.pid}, "created": 1.0}}}}}}'
    (tmp_path / "state.json").write_text(state)
    assert services.main(["down", "--dir", str(tmp_path)]) == 0
    assert child.poll() is None
    child.kill()
    child.wait(timeout=10)


def test_a_damaged_record_is_reported_and_nothing_is_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "state.json").write_text("{")
    assert services.main(["up", "--dir", str(tmp_path)]) == 2
    assert "state.json" in capsys.readouterr().err


def test_fetch_names_every_missing_tool_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SIGHTLINE_CACHE", str(tmp_path / "cache"))
    assert services.main(["fetch"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert all(f"{tool}: not found" in line for tool in ("java", "mvn", "go"))
