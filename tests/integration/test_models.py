"""The model store and activations on a real broker and a real S3, by the commands that an operator uses."""

import json
import logging
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from onnx import ModelProto
from prometheus_client import REGISTRY

from processors.infer.engine import EngineOptions
from processors.infer.loading import open_model
from processors.infer.model import LoadedModel
from schemas import topics
from schemas.activation import Activation, ModelAddress
from schemas.message import activation_message
from schemas.modelcard import ModelCard, Task
from schemas.pipeline import ModelRules
from sightline.cli.main import exit_code
from sightline.models.cache import ModelCache
from sightline.models.manager import ModelManager, Refusal
from sightline.models.store import PREFIX, ModelStore, open_model_store
from sightline.runtime.clock import SystemClock
from sightline.runtime.settings import Settings, load_settings
from streams.activations import ActivationReader, publish_activation, read_activation
from tests.models import always_nan, detector, save_model
from tests.services import S3, Kafka
from tests.world import World, read_topic, wait_for

pytestmark = pytest.mark.services
ROLE = "detector"
RULES = {ROLE: ModelRules(task=Task.DETECT)}
DETECT = Path(__file__).parents[2] / "processors/pipelines/detect/pipeline.yaml"


@dataclass(frozen=True)
class Place:
    """One pipeline with the topic of its role; `store` lies in a prefix of its own."""

    pipeline: str
    settings: Settings
    folder: Path
    capsys: pytest.CaptureFixture[str]

    @property
    def topic(self) -> str:
        return topics.activations(self.pipeline, ROLE)

    @property
    def store(self) -> ModelStore:
        return open_model_store(self.settings)

    def run(self, *arguments: str, expect: int = 0) -> tuple[str, str]:
        """Run `sightline models …`; return what it printed, and the last line of what it said beside that."""
        self.capsys.readouterr()
        code = exit_code(["models", *arguments])
        printed, said = self.capsys.readouterr()
        assert code == expect, (printed, said)
        return printed, said.splitlines()[-1] if said else ""

    def add(self, version: str, model: ModelProto | None = None, *options: str, task: str = "detect") -> ModelAddress:
        content = detector(boxes=((16, 16, 10 + int(version), 20),)) if model is None else model
        folder = save_model(self.folder / version, content, name="shapes", version=version, task=task)
        answer = json.loads(self.run("add", str(folder), "--json", *options)[0])
        return ModelAddress(name=answer["name"], version=answer["version"], digest=answer["digest"])

    def state(self) -> Activation:
        state = read_activation(self.settings.kafka, self.pipeline, ROLE, timeout_s=30)
        assert state is not None
        return state

    def publish(self, live: ModelAddress, activation_id: str = "i") -> Activation:
        state = Activation(
            activation_id=activation_id,
            pipeline=self.pipeline,
            role=ROLE,
            live=live,
            activated_at=SystemClock().now(),
            activated_by="tests",
        )
        publish_activation(self.settings.kafka, state, timeout_s=60)
        return state

    def create_topic(self) -> None:
        admin = AdminClient({"bootstrap.servers": self.settings.kafka.bootstrap_servers})
        wanted = NewTopic(self.topic, 1, 1, config={"cleanup.policy": "compact"})
        for done in admin.create_topics([wanted]).values():
            done.result(30)

    @contextmanager
    def reader(self, on_activation: Callable[[str, Activation], None]) -> Iterator[ActivationReader]:
        reader = ActivationReader(self.settings.kafka, self.pipeline, [ROLE], on_activation, SystemClock())
        reader.start()
        try:
            yield reader
        finally:
            reader.stop()
        assert reader.failure() is None


@pytest.fixture
def bare(
    tmp_path: Path, kafka: Kafka, s3: S3, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Place:
    """A pipeline like `detect`, without any topic."""
    pipeline = f"detect-{uuid.uuid4().hex[:8]}"
    definition = DETECT.read_text(encoding="utf-8").replace("name: detect\n", f"name: {pipeline}\n")
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / f"{pipeline}.yaml").write_text(definition, encoding="utf-8")
    env = {
        "SIGHTLINE_KAFKA_BOOTSTRAP_SERVERS": kafka.bootstrap,
        "SIGHTLINE_OBJECTS_URL": f"s3://{s3.bucket}/{pipeline}",
        "SIGHTLINE_S3_ENDPOINT_URL": s3.endpoint_url,
        "AWS_ACCESS_KEY_ID": s3.access_key,
        "AWS_SECRET_ACCESS_KEY": s3.secret_key,
        "SIGHTLINE_PIPELINES_DIR": str(tmp_path / "pipelines"),
        "SIGHTLINE_MODELS_CACHE": str(tmp_path / "operators-cache"),
        "SIGHTLINE_WORKER_DEVICE": "cpu",
    }
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    # Each command sets up the log anew, for the standard error of this test.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    return Place(pipeline, load_settings(env), tmp_path, capsys)


@pytest.fixture
def place(bare: Place) -> Place:
    bare.create_topic()
    return bare


def _address(version: str) -> ModelAddress:
    return ModelAddress(name="shapes", version=version, digest=version * 64)


def _load(card: ModelCard, weights: Path, rules: ModelRules) -> LoadedModel:
    return open_model(card, weights, rules, EngineOptions(device="cpu"))


class Worker:
    """A reader, a manager, a cache and the real engine: what of a worker has to do with models."""

    def __init__(self, place: Place) -> None:
        self.refused: list[Refusal] = []
        cache = ModelCache(place.folder / "cache", 1024 * 1024, place.store.download)
        self.manager = ModelManager(place.pipeline, RULES, cache.use, _load, SystemClock(), self.refused.append)
        self.reader = ActivationReader(place.settings.kafka, place.pipeline, [ROLE], self.manager.apply, SystemClock())

    def __enter__(self) -> Self:
        self.manager.start()
        self.reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.reader.stop()
        self.manager.stop()
        assert self.reader.failure() is None
        assert self.manager.failure() is None

    def live(self) -> str | None:
        lineup = self.manager.lineup()
        return None if lineup is None else lineup.live[ROLE].card.version

    def wait_for(self, version: str) -> None:
        wait_for(lambda: self.live() == version, 60, f"version {version}; {self.manager.problem()}")


def test_the_topic_of_a_role_is_made_compacted(world_like: Callable[[str], World]) -> None:
    world = world_like("detect")
    topic = topics.activations(world.pipeline, ROLE)
    assert len(world.partitions(topic)) == 1
    world.set_topic(topic, "cleanup.policy", "delete")
    findings = [json.loads(line) for line in world.run("doctor", world.pipeline, "--json", expect=1).splitlines()]
    assert [finding["says"] for finding in findings if finding["status"] == "fail"] == [
        f"{topic} is not compacted: after some time a worker would not find its models"
    ]
    world.run("topics", "apply", world.pipeline, "--yes")
    world.run("doctor", world.pipeline)


def test_models_lie_in_the_object_store(place: Place) -> None:
    one, two = place.add("1", None, "--pipeline", place.pipeline), place.add("2")
    assert place.store.addresses() == [one, two]
    place.run("verify", "--all")
    objects = place.store.objects
    objects.put(f"{PREFIX}shapes/2/{two.digest}/model.onnx", b"damaged", "text/plain")
    printed, _ = place.run("verify", "--all", "--json", expect=1)
    assert {entry["version"]: entry["ok"] for entry in map(json.loads, printed.splitlines())} == {"1": True, "2": False}
    objects.delete(f"{PREFIX}shapes/1/{one.digest}/card.yaml")
    assert [json.loads(line)["version"] for line in place.run("list", "--json")[0].splitlines()] == ["2"]


def test_a_role_goes_through_its_states(place: Place) -> None:
    one, two, three = (place.add(version) for version in ("1", "2", "3"))
    activate = ("activate", place.pipeline)
    for wrong, says in (
        ((*activate, "shapes@1", "--canary", "0.1"), "no model is live yet"),
        (("rollback", place.pipeline), "no model is live yet"),
        (activate, "MODEL: is needed"),
    ):
        assert says in place.run(*wrong, expect=2)[1]

    first = json.loads(place.run(*activate, "shapes@1", "--json")[0])
    assert first["live"] == one.model_dump()
    assert "@" in first["activated_by"]
    assert "nothing to change" in place.run(*activate, "shapes@1")[1]
    assert place.state().activation_id == first["activation_id"]

    place.run(*activate, two.digest[:12], "--canary", "0.1", "--by", "source")
    canary = place.state().canary
    assert canary is not None
    assert (canary.model, canary.share, canary.by) == (two, 0.1, "source")
    place.run(*activate, "--canary", "0.5")
    assert place.state().canary == canary.model_copy(update={"share": 0.5})
    place.run(*activate, "shapes@3", "--shadow")
    assert place.state().shadow == three
    assert "shapes@2 0.5 by source" in place.run("status", place.pipeline)[0]
    place.run(*activate, "--no-shadow")
    place.run(*activate, "--promote")
    state = place.state()
    assert (state.live, state.previous, state.canary, state.shadow) == (two, one, None, None)
    place.run(*activate, "shapes@3", "--canary", "0.2")
    place.run(*activate, "--canary", "0")
    assert place.state().canary is None
    assert place.run("rollback", place.pipeline)[0].startswith(f"{place.pipeline} {ROLE}: live shapes@1, rollback")
    assert place.state().live == one
    shown = json.loads(place.run("status", place.pipeline, "--json")[0])
    assert Activation.model_validate(shown) == place.state()
    # Compaction keeps one message because each has the same key.
    messages = read_topic(place.settings.kafka.bootstrap_servers, place.topic)
    assert len(messages) == 9
    assert {message.key() for message in messages} == {ROLE.encode()}


def test_a_wrong_model_is_refused_before_any_worker_hears_of_it(place: Place) -> None:
    place.add("1", always_nan(), "--force", task="classify")
    place.add("2", detector(classes=3), "--force")
    for version, code in (("1", "model_task_wrong"), ("2", "model_shape_wrong")):
        assert code in place.run("activate", place.pipeline, f"shapes@{version}", expect=2)[1]
    assert read_topic(place.settings.kafka.bootstrap_servers, place.topic) == []


def test_a_reader_that_starts_late_hands_over_the_newest_state_alone(place: Place) -> None:
    for version in ("1", "2"):
        place.publish(_address(version))
    seen: list[Activation] = []
    with place.reader(lambda _, state: seen.append(state)) as reader:
        assert reader.wait_read(30)
        assert [state.live.version for state in seen] == ["2"]
        assert reader.current(ROLE) == seen[0]
        assert reader.problem() is None
        later = place.publish(_address("3"))
        wait_for(lambda: seen[-1] == later, 30, "the next state")


def test_a_role_without_any_state_is_read_as_well(place: Place) -> None:
    seen: list[Activation] = []
    with place.reader(lambda _, state: seen.append(state)) as reader:
        assert reader.wait_read(30)
        assert reader.current(ROLE) is None
    assert seen == []
    assert json.loads(place.run("status", place.pipeline, "--json")[0])["live"] is None


def test_the_end_lies_behind_transaction_markers(place: Place) -> None:
    state = place.publish(_address("1"))
    producer = Producer({
        "bootstrap.servers": place.settings.kafka.bootstrap_servers, "transactional.id": place.pipeline,
    })  # fmt: skip
    producer.init_transactions(30)
    for version, commit in (("2", True), ("3", False)):
        message = activation_message(state.model_copy(update={"live": _address(version)}))
        producer.begin_transaction()
        producer.produce(message.topic, message.value, message.key, headers=list(message.headers))
        producer.flush(30)
        (producer.commit_transaction if commit else producer.abort_transaction)(30)
    with place.reader(lambda *_: None) as reader:
        assert reader.wait_read(30)
        current = reader.current(ROLE)
        assert current is not None
        assert current.live.version == "2"


def test_what_cannot_be_read_is_counted_and_changes_nothing(place: Place) -> None:
    state = place.publish(_address("1"))
    elsewhere = state.model_copy(update={"pipeline": "another"}).to_json()
    wrong = [None, b"", b"\xff", b"{}", b'{"live": "shapes@1"}', b"[" * 100_000, elsewhere]
    producer = Producer({"bootstrap.servers": place.settings.kafka.bootstrap_servers})
    for content in wrong:
        producer.produce(place.topic, content, ROLE.encode())
    assert producer.flush(30) == 0
    with place.reader(lambda *_: None) as reader:
        assert reader.wait_read(30)
        assert reader.current(ROLE) == state
    labels = {"pipeline": place.pipeline, "role": ROLE}
    assert REGISTRY.get_sample_value("sightline_activations_malformed_total", labels) == len(wrong)
    assert place.state() == state


def test_a_missing_topic_is_waited_for_and_named(bare: Place) -> None:
    assert "sightline topics apply" in bare.run("status", bare.pipeline, expect=2)[1]
    with bare.reader(lambda *_: None) as reader:
        wait_for(lambda: f"topic {bare.topic} is missing" in (reader.problem() or ""), 30, "the missing topic's name")
        assert not reader.wait_read(0)
        bare.create_topic()
        assert reader.wait_read(60)
        assert reader.problem() is None


def test_an_outage_of_the_broker_is_waited_out(place: Place, kafka: Kafka) -> None:
    state = place.publish(_address("1"))
    seen: list[Activation] = []
    with place.reader(lambda _, new: seen.append(new)) as reader:
        assert reader.wait_read(30)
        kafka.kill()  # as one that shuts down leaves, a client may forget it for good: a process ends by that
        assert reader.current(ROLE) == state
        assert reader.problem() is None
        kafka.start()
        later = place.publish(_address("2"))
        wait_for(lambda: seen[-1] == later, 60, "the state after the outage")


def test_a_worker_follows_refuses_what_is_broken_and_outlives_the_store(place: Place, s3: S3) -> None:
    one, two = place.add("1"), place.add("2")
    broken = place.add("3", detector(boxes=((float("nan"), 16, 16, 16),)), "--force")
    with Worker(place) as worker:
        assert worker.reader.wait_read(30)
        assert "none is activated" in (worker.manager.problem() or "")
        place.run("activate", place.pipeline, "shapes@1")
        worker.wait_for("1")
        assert worker.manager.problem() is None
        batch = worker.manager.lineup()
        assert batch is not None

        place.run("activate", place.pipeline, "shapes@3", "--force")
        wait_for(lambda: worker.refused, 60, "the refusal")
        assert [(refusal.model, refusal.error.code.value) for refusal in worker.refused] == [
            (broken, "model_output_invalid")
        ]
        assert worker.manager.lineup() is batch

        # The store is away: the old one stays, and the new one comes as soon as it can.
        s3.stop()
        place.publish(two)
        labels = {"pipeline": place.pipeline, "role": ROLE}
        wait_for(lambda: REGISTRY.get_sample_value("sightline_model_waiting", labels) == 1, 30, "the wait")
        assert (worker.live(), worker.manager.problem()) == ("1", None)
        s3.start()
        worker.wait_for("2")
        assert batch.live[ROLE].digest == one.digest
        assert len(worker.refused) == 1
    # Whoever starts now has the model in its cache, and needs no store.
    s3.stop()
    with Worker(place) as worker:
        worker.wait_for("2")
    s3.start()


def test_a_worker_that_starts_with_a_broken_model_takes_the_one_before(place: Place) -> None:
    place.add("1")
    gone = place.add("2")
    for version in ("1", "2"):
        place.run("activate", place.pipeline, f"shapes@{version}")
    place.store.objects.delete(f"{PREFIX}shapes/2/{gone.digest}/model.onnx")
    with Worker(place) as worker:
        worker.wait_for("1")
        assert [refusal.error.code.value for refusal in worker.refused] == ["model_missing"]
