"""From activations to the models in force, with a store and an engine that fail on demand."""

import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

from processors.infer.lineup import Lineup
from processors.infer.model import LoadedModel
from schemas.activation import Activation, ModelAddress
from schemas.errors import ConfigurationError, ModelCode, ModelError, OutageError, UnclearError
from schemas.modelcard import ModelCard, Task, model_digest
from schemas.pipeline import ModelRules
from sightline.models.local import LocalModel
from sightline.models.manager import ModelManager, Refusal
from sightline.runtime.clock import SystemClock
from tests.unit.models.samples import activation, loaded, make_card
from tests.world import wait_for

RULES = {"detector": ModelRules(task=Task.DETECT), "classifier": ModelRules(task=Task.CLASSIFY)}
PIPELINE = "shapes"


class Shelf:
    """A store and a loader in one: what they were asked, and which models they fail on."""

    def __init__(self) -> None:
        self.cards: dict[str, ModelCard] = {}
        self.loads: list[str] = []
        self.failing: dict[str, Exception] = {}
        self.engines: list[weakref.ref[Any]] = []
        self.gate = threading.Event()
        self.gate.set()

    def address(self, version: str) -> ModelAddress:
        card = make_card(version=version)
        self.cards[model_digest(card)] = card
        return ModelAddress.of(card)

    @contextmanager
    def use(self, place: ModelAddress) -> Iterator[LocalModel]:
        yield LocalModel(self.cards[place.digest], {"model.onnx": Path(place.version)})

    def load(self, card: ModelCard, weights: Path, rules: ModelRules) -> LoadedModel:
        assert rules in RULES.values()
        assert weights.name == card.version
        assert self.gate.wait(10)
        self.loads.append(card.version)
        if card.version in self.failing:
            raise self.failing[card.version]
        model = loaded(card)
        self.engines.append(weakref.ref(model.engine))
        return model


class Managed:
    """A manager that works when the test says so."""

    def __init__(self, roles: tuple[str, ...] = ("detector",), pipeline: str = PIPELINE) -> None:
        self.shelf = Shelf()
        self.refused: list[Refusal] = []
        rules = {role: RULES[role] for role in roles}
        self.manager = ModelManager(
            pipeline, rules, self.shelf.use, self.shelf.load, SystemClock(), self.refused.append
        )

    def apply(self, live: str, role: str = "detector", **changes: Any) -> float:
        self.manager.apply(role, self.state(live, role, **changes))
        return self.manager.carry_out()

    def state(self, live: str, role: str = "detector", **changes: Any) -> Activation:
        canary = changes.pop("canary", None)
        if canary is not None:
            changes["canary"] = {"model": self.shelf.address(canary), "share": 0.5, "salt": "s", "by": "source"}
        for side in ("shadow", "previous"):
            if side in changes:
                changes[side] = self.shelf.address(changes[side])
        return activation(self.shelf.address(live), role=role, **changes)

    def lineup(self) -> Lineup:
        lineup = self.manager.lineup()
        assert lineup is not None
        return lineup

    def live(self, role: str = "detector") -> str:
        return self.lineup().live[role].card.version


def _sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"pipeline": PIPELINE, "role": "detector", **labels}) or 0.0


def test_there_is_no_lineup_before_every_role_has_a_model() -> None:
    managed = Managed(("detector", "classifier"))
    assert managed.manager.lineup() is None
    assert managed.manager.problem() == "no model for role detector of shapes: none is activated"
    managed.apply("1")
    assert managed.manager.lineup() is None
    assert managed.manager.problem() == "no model for role classifier of shapes: none is activated"
    managed.apply("2", "classifier")
    assert managed.manager.problem() is None
    assert {role: model.card.version for role, model in managed.lineup().live.items()} == {
        "detector": "1", "classifier": "2",
    }  # fmt: skip
    assert list(managed.lineup().live) == ["detector", "classifier"]


def test_a_change_loads_only_what_is_not_loaded() -> None:
    managed = Managed()
    managed.apply("1", canary="2", shadow="3")
    lineup = managed.lineup()
    canary = lineup.canary["detector"]
    assert (canary.model.card.version, canary.share, canary.by_source, canary.salt) == ("2", 0.5, True, "s")
    assert lineup.shadow["detector"].card.version == "3"
    managed.apply("2", previous="1")
    assert managed.lineup().live["detector"] is canary.model
    assert not managed.lineup().canary
    assert not managed.lineup().shadow
    assert managed.shelf.loads == ["1", "2", "3"]


def test_a_batch_keeps_its_models_and_the_last_one_frees_them() -> None:
    managed = Managed()
    managed.apply("1")
    batch = managed.lineup()
    managed.apply("2")
    assert managed.live() == "2"
    assert batch.live["detector"].card.version == "1"
    first, second = managed.shelf.engines
    assert first() is not None
    del batch
    assert first() is None
    assert second() is not None


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (ModelError(ModelCode.TASK_WRONG, "x", "y"), "model_task_wrong"),
        (ValueError("a bug of an engine"), "model_unsupported"),
        (MemoryError(), "model_unsupported"),
    ],
)
def test_a_broken_model_is_refused_and_the_old_one_stays(failure: Exception, code: str) -> None:
    managed = Managed()
    managed.apply("1", canary="2")
    before, refused = managed.lineup(), _sample("sightline_models_refused_total", code=code)
    managed.shelf.failing["3"] = failure
    delay_s = managed.apply("3", canary="4")
    assert managed.lineup() is before
    assert managed.manager.problem() is None
    assert delay_s > 30
    assert [(refusal.role, refusal.model.version, refusal.error.code) for refusal in managed.refused] == [
        ("detector", "3", code)
    ]
    assert _sample("sightline_models_refused_total", code=code) == refused + 1
    # It is not tried again, until somebody asks again.
    managed.manager.carry_out()
    assert managed.shelf.loads.count("3") == 1
    del managed.shelf.failing["3"]
    managed.apply("3")
    assert managed.live() == "3"


@pytest.mark.parametrize("side", ["canary", "shadow"])
def test_a_broken_second_model_does_not_hold_up_the_live_one(side: str) -> None:
    managed = Managed()
    managed.apply("1")
    managed.shelf.failing["3"] = ModelError(ModelCode.OUTPUT_INVALID, "x", "y")
    managed.apply("2", **{side: "3"})
    assert managed.live() == "2"
    assert not managed.lineup().canary
    assert not managed.lineup().shadow
    assert [refusal.model.version for refusal in managed.refused] == ["3"]


def test_a_worker_that_starts_with_a_broken_model_takes_what_the_others_still_have() -> None:
    managed = Managed()
    managed.shelf.failing["2"] = ModelError(ModelCode.UNREADABLE, "x", "truncated")
    managed.apply("2")
    assert managed.manager.lineup() is None
    assert "model_unreadable: truncated" in (managed.manager.problem() or "")
    managed.apply("2", previous="1")
    assert managed.live() == "1"
    # A later broken one goes back no further.
    managed.shelf.failing["3"] = managed.shelf.failing["2"]
    managed.apply("3", previous="0")
    assert managed.live() == "1"
    assert "0" not in managed.shelf.loads


@pytest.mark.parametrize("outage", [OutageError("objects", "away"), UnclearError("objects: odd")])
def test_a_store_that_is_away_is_waited_for(outage: Exception) -> None:
    managed = Managed()
    managed.shelf.failing["1"] = outage
    delays = [managed.apply("1")] + [managed.manager.carry_out() for _ in range(8)]
    assert delays[0] <= 0.2
    assert 5 <= delays[-1] <= 10
    assert str(outage) in (managed.manager.problem() or "")
    assert _sample("sightline_model_waiting") == 1
    del managed.shelf.failing["1"]
    assert managed.manager.carry_out() > 30
    assert managed.live() == "1"
    assert managed.refused == []
    assert _sample("sightline_model_waiting") == 0
    # Away again: the old one answers, and that is no problem.
    managed.shelf.failing["2"] = outage
    assert managed.apply("2") <= 0.2
    assert managed.live() == "1"
    assert managed.manager.problem() is None


def test_one_role_that_waits_does_not_hold_up_another() -> None:
    managed = Managed(("detector", "classifier"))
    managed.shelf.failing["1"] = OutageError("objects", "away")
    managed.apply("1")
    managed.apply("2", "classifier")
    assert managed.shelf.loads[-1] == "2"
    assert managed.manager.problem() == "no model for role detector of shapes: objects: away"


def test_the_gauges_show_what_is_loaded_and_nothing_else() -> None:
    managed = Managed(pipeline="gauged")

    def shown() -> dict[str, str]:
        samples = [sample for family in REGISTRY.collect() for sample in family.samples]
        return {
            sample.labels["side"]: sample.labels["version"]
            for sample in samples
            if sample.name == "sightline_model_loaded" and sample.labels["pipeline"] == "gauged" and sample.value == 1
        }

    managed.apply("1", canary="2")
    assert shown() == {"live": "1", "canary": "2"}
    managed.apply("3", shadow="2", previous="1")
    assert shown() == {"live": "3", "shadow": "2"}
    labels = {"pipeline": "gauged", "role": "detector"}
    assert REGISTRY.get_sample_value("sightline_model_load_seconds_count", labels) == 2
    provider = {**labels, "provider": "CPUExecutionProvider"}
    assert REGISTRY.get_sample_value("sightline_inference_provider", provider) == 1


def test_in_its_thread_the_newest_of_many_wins() -> None:
    managed = Managed()
    managed.manager.start()
    try:
        managed.shelf.gate.clear()
        for version in ("1", "2", "3", "4"):
            managed.manager.apply("detector", managed.state(version))
        managed.shelf.gate.set()
        wait_for(lambda: managed.manager.lineup() is not None and managed.live() == "4", 10, "the newest model")
        assert len(managed.shelf.loads) <= 2
        managed.manager.apply("detector", managed.state("5"))
        wait_for(lambda: managed.live() == "5", 10, "the next model")
        assert managed.manager.failure() is None
    finally:
        managed.manager.stop()


def test_an_outage_ends_without_a_new_activation() -> None:
    managed = Managed()
    managed.shelf.failing["1"] = OutageError("objects", "away")
    managed.manager.start()
    try:
        managed.manager.apply("detector", managed.state("1"))
        wait_for(lambda: len(managed.shelf.loads) > 1, 10, "a second try")
        del managed.shelf.failing["1"]
        wait_for(lambda: managed.manager.lineup() is not None, 10, "a lineup")
    finally:
        managed.manager.stop()


@pytest.mark.parametrize(
    "wrong",
    [
        ModelError(ModelCode.DEVICE_UNAVAILABLE, "x", "no such device"),
        ConfigurationError("onnxruntime", "not installed"),
    ],
)
def test_settings_that_no_model_can_satisfy_end_the_manager(wrong: ConfigurationError) -> None:
    managed = Managed()
    managed.shelf.failing["1"] = wrong
    managed.manager.start()
    managed.manager.apply("detector", managed.state("1"))
    wait_for(lambda: managed.manager.failure() is wrong, 10, "the failure")
    assert managed.manager.problem() == f"models: {wrong}"
    assert managed.refused == []
    managed.manager.stop()


def test_a_device_that_goes_later_is_no_reason_to_end() -> None:
    managed = Managed()
    managed.apply("1")
    managed.shelf.failing["2"] = ModelError(ModelCode.DEVICE_UNAVAILABLE, "x", "no such device")
    managed.apply("2")
    assert managed.live() == "1"
    assert [refusal.error.code for refusal in managed.refused] == [ModelCode.DEVICE_UNAVAILABLE]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_manager_that_ends_says_so() -> None:
    managed = Managed()
    managed.shelf.failing["1"] = ModelError(ModelCode.UNREADABLE, "x", "y")
    managed.manager._on_refused = lambda _: 1 / 0  # type: ignore[assignment]  # a bug of the caller's
    managed.manager.start()
    managed.manager.apply("detector", managed.state("1"))
    wait_for(lambda: managed.manager.failure() is not None, 10, "the failure")
    assert managed.manager.problem() == "models: ZeroDivisionError"
    managed.manager.stop()
