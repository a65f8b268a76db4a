import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from infra.local.tools import KAFKA_FOLDER, VERSITYGW, kafka_version
from sightline.cli.main import app
from sightline.cli.pipelines import load_definition
from sightline.runtime.settings import AWS_VARIABLES, load_settings, unknown_variables
from streams.topics import load_topics_file

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("sightline:")}
PROCESSES = {
    "worker": "1g",
    "worker-models": "2g",
    "worker-gpu": "6g",
    "sink-postgres": "1g",
    "sink-objects": "1g",
    "monitor": "1g",
    "replays": "1g",
}
WITH_MODELS = ("worker-models", "worker-gpu")
DOCKERFILE = (ROOT / "infra/docker/Dockerfile").read_text()
LOCKS = ("requirements.lock", "requirements-gpu.lock")
COPIES = re.findall(r"^COPY (?!--from)(?:--\S+ )*(.+) \S+$", DOCKERFILE, re.MULTILINE)


def _with_defaults(text: str) -> str:
    """Fill in variables as compose does where no .env is."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", text)


def _command(name: str) -> list[str]:
    command = OURS[name]["command"]
    return shlex.split(_with_defaults(command)) if isinstance(command, str) else [str(word) for word in command]


def test_every_setting_is_one_that_sightline_reads() -> None:
    variables = {name for service in OURS.values() for name in service["environment"]}
    assert "SIGHTLINE_KAFKA_BOOTSTRAP_SERVERS" in variables
    assert unknown_variables(dict.fromkeys(variables, "x")) == []
    assert {name for name in variables if not name.startswith("SIGHTLINE_")} <= set(AWS_VARIABLES)


@pytest.mark.parametrize("name", sorted(name for name, service in OURS.items() if "command" in service))
def test_every_command_line_is_one_that_sightline_takes(name: str) -> None:
    command: Any = typer.main.get_command(app)
    arguments = _command(name)
    while hasattr(command, "resolve_command"):
        _, command, arguments = command.resolve_command(command.make_context(name, list(arguments)), arguments)
    command.make_context(name, arguments)


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_images_are_pinned(name: str) -> None:
    tag = SERVICES[name]["image"].partition(":")[2]
    assert tag
    assert tag != "latest"
    assert name in OURS or re.match(r"v?\d+\.\d+", tag)


def test_the_services_are_those_that_tests_run_on() -> None:
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{kafka_version()}"
    assert SERVICES["s3"]["image"].partition(":")[2] == VERSITYGW.partition("@")[2]
    assert SERVICES["s3-folders"]["image"] == SERVICES["s3"]["image"]


def test_nothing_is_reachable_from_outside_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", ())]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("name", sorted(PROCESSES))
def test_processes_are_bounded_watched_and_given_time_to_end(name: str) -> None:
    service = OURS[name]
    assert service["mem_limit"] == PROCESSES[name]
    assert service["restart"] == "unless-stopped"
    assert service["stop_grace_period"] == "15s"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["healthcheck"]["test"] == ["CMD", "healthcheck", "/health/ready"]
    assert _command(name)[-2:] == ["--http-port", "8080"]


@pytest.mark.parametrize("name", WITH_MODELS)
def test_workers_with_models_start_only_when_asked_and_keep_what_they_fetch(name: str) -> None:
    service = OURS[name]
    assert service["profiles"] == [name.removeprefix("worker-")]
    folder = re.findall(r"SIGHTLINE_MODELS_CACHE=(\S+)", DOCKERFILE)
    assert service["volumes"] == [f"models:{folder[0]}"]
    assert f"install -d -o sightline {folder[0]}" in DOCKERFILE


def test_sinks_take_what_the_workers_with_models_answer() -> None:
    answered = {word for name in ("worker", *WITH_MODELS) for word in _command(name)[1:-2]}
    assert set(_command("sink-postgres")[2:-2]) == answered
    assert set(_command("sink-objects")[2:-2]) == answered
    assert set(_command("monitor")[1:-2]) == answered
    definitions = [load_definition(pipeline, load_settings({})) for pipeline in sorted(answered)]
    assert len([definition for definition in definitions if definition.models]) == 4


def test_only_the_gpu_worker_takes_a_gpu_and_insists_on_it() -> None:
    worker = OURS["worker-gpu"]
    [device] = worker["deploy"]["resources"]["reservations"]["devices"]
    assert (device["driver"], device["capabilities"]) == ("nvidia", ["gpu"])
    assert worker["environment"]["SIGHTLINE_WORKER_DEVICE"] == "cuda"
    assert worker["build"]["args"] == {"REQUIREMENTS": LOCKS[1]}
    others = [service for name, service in OURS.items() if name != "worker-gpu"]
    assert not any("deploy" in service or "args" in service["build"] for service in others)
    assert {service["image"] for service in others}.isdisjoint({worker["image"]})
    assert load_settings({name: str(value) for name, value in worker["environment"].items()}).worker.device == "cuda"


def test_what_is_waited_for_exists_and_can_be_waited_for() -> None:
    waits = [(name, *wait) for name, service in SERVICES.items() for wait in service.get("depends_on", {}).items()]
    assert waits
    for name, target, wait in waits:
        assert target in SERVICES, name
        healthy = wait["condition"] == "service_healthy"
        assert not healthy or "test" in SERVICES[target]["healthcheck"], f"{name} waits for {target}"
        assert healthy or SERVICES[target].get("restart") != "unless-stopped", f"{target} never completes"


def test_mounted_files_exist() -> None:
    mounts = [volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", ())]
    files = [mount for mount in mounts if mount.startswith("./")]
    assert files
    assert all((ROOT / file).is_file() for file in files)
    assert {mount for mount in mounts if mount not in files} == set(COMPOSE["volumes"])


def test_every_secret_can_be_set_in_the_env_file() -> None:
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    lines = (ROOT / "infra/docker/env.example").read_text().splitlines()
    assert used == {line.partition("=")[0] for line in lines if line and not line.startswith("#")}


def test_the_pipelines_in_the_env_file_are_the_default_ones() -> None:
    defaults = set(re.findall(r"\$\{MODEL_PIPELINES:-([^}]+)\}", (ROOT / "docker-compose.yml").read_text()))
    assert len(defaults) == 1
    assert f'MODEL_PIPELINES="{defaults.pop()}"' in (ROOT / "infra/docker/env.example").read_text()


def test_topics_for_one_broker_differ_from_the_built_in_ones_in_size_only() -> None:
    path = KAFKA_FOLDER / "topics-one-broker.yaml"
    load_topics_file(path)
    ours = yaml.safe_load(path.read_text())["kinds"]
    built_in = yaml.safe_load((ROOT / "streams/topics.yaml").read_text())["kinds"]
    assert {kind: one["max_message_bytes"] for kind, one in ours.items()} == {
        kind: one["max_message_bytes"] for kind, one in built_in.items()
    }
    assert {(kind["replication"], kind["min_insync_replicas"]) for kind in ours.values()} == {(1, 1)}


def test_the_image_is_pinned_unprivileged_and_watched() -> None:
    assert re.search(r"^ARG PYTHON_IMAGE=python:3\.11\.\d+-slim", DOCKERFILE, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)) == {"${PYTHON_IMAGE}"}
    last_stage = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :]
    assert re.search(r"^USER 10001$", last_stage, re.MULTILINE)
    assert "HEALTHCHECK" in last_stage
    installs = re.findall(r"pip install (.+)", DOCKERFILE)
    assert installs
    assert all("--require-hashes" in install or "--no-index" in install for install in installs)


def test_the_image_is_built_from_files_that_exist_and_are_let_through() -> None:
    assert re.search(rf"^ARG REQUIREMENTS={LOCKS[0]}$", DOCKERFILE, re.MULTILINE)
    copies = {copy.replace("${REQUIREMENTS}", lock) for copy in COPIES for lock in LOCKS}
    files = [file for copy in copies for file in copy.split()]
    assert {"schemas", "processors", "sinks", "streams", "sightline"} <= set(files)
    let_through = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    for file in files:
        assert (ROOT / file).exists(), file
        assert any(file == allowed or file.startswith(f"{allowed}/") for allowed in let_through), file
