"""The models of a worker: what is waited for, and as what."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from processors.infer.lineup import Lineup
from processors.infer.model import LoadedModel
from processors.pipelines import load_builtin
from schemas.activation import Activation, ModelAddress
from schemas.errors import ConfigurationError, ModelCode, ModelError, OutageError, SetupError
from schemas.modelcard import ModelCard
from schemas.pipeline import ModelRules
from sightline.models.local import LocalModel, read_model
from sightline.models.manager import Refusal
from sightline.models.pinned import PinnedModels
from sightline.runtime.clock import SystemClock
from sightline.runtime.settings import KafkaSettings
from streams import models as module
from streams.activations import OnActivation
from streams.models import ActivatedModels, FixedModels
from tests.scenes import LEFT, loaded, model_folders, polyp_model
from tests.world import wait_for

GESTURE = load_builtin("gesture")


class Reader:
    """Stands in for the reader of activations; a test says what it has read."""

    made: "Reader"

    def __init__(
        self, _: KafkaSettings, __: str, roles: tuple[str, ...], on_activation: OnActivation, *___: object
    ) -> None:
        self.roles = roles
        self.trouble: str | None = "not read yet"
        self.broken: BaseException | None = None
        self.hangs: str | None = None
        self.started = self.stopped = False
        self._states: dict[str, Activation] = {}
        self._on_activation = on_activation
        Reader.made = self

    def start(self) -> None:
        self.started = True

    def stop(self) -> None:
        self.stopped = True

    def reads(self, role: str, address: ModelAddress) -> None:
        self._states[role] = Activation(
            activation_id="a", pipeline="gesture", role=role, live=address, activated_at=datetime.now(UTC),
            activated_by="tests",
        )  # fmt: skip
        self._on_activation(role, self._states[role])

    def current(self, role: str) -> Activation | None:
        return self._states.get(role)

    def problem(self) -> str | None:
        return self.trouble

    def stalled(self) -> str | None:
        return self.hangs

    def failure(self) -> BaseException | None:
        return self.broken


class Store:
    """Models in folders, by digest; `away` makes it an outage."""

    def __init__(self, *folders: Path) -> None:
        self.models = {model.digest: model for model in map(read_model, folders)}
        self.away = False

    @contextmanager
    def use(self, address: ModelAddress) -> Iterator[LocalModel]:
        if self.away:
            raise OutageError("objects", "away")
        if address.digest not in self.models:
            raise ModelError(ModelCode.MISSING, str(address), "is not in the store")
        yield self.models[address.digest]


def _load(card: ModelCard, weights: Path, rules: ModelRules) -> LoadedModel:
    return loaded(weights.parent, rules if card.name else None)


def _address(folder: Path) -> ModelAddress:
    return ModelAddress.of(read_model(folder).card)


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    return model_folders("gesture", tmp_path)


@pytest.fixture
def store(folders: dict[str, Path]) -> Store:
    return Store(*folders.values())


@pytest.fixture
def refused() -> list[Refusal]:
    return []


@pytest.fixture
def models(store: Store, refused: list[Refusal], monkeypatch: pytest.MonkeyPatch) -> Iterator[ActivatedModels]:
    monkeypatch.setattr(module, "ActivationReader", Reader)
    made = ActivatedModels(GESTURE, KafkaSettings(), store.use, _load, SystemClock(), refused.append)
    made.start()
    yield made
    made.stop()
    assert Reader.made.stopped


def test_until_the_topics_are_read_that_is_an_outage(models: ActivatedModels) -> None:
    assert Reader.made.started
    assert Reader.made.roles == ("detector", "classifier")
    with pytest.raises(OutageError) as caught:
        models.check()
    assert not isinstance(caught.value, SetupError)
    assert models.problem() == "not read yet"
    assert models.lineup() == Lineup()


def test_a_role_without_an_activation_is_a_setup_that_somebody_must_mend(
    models: ActivatedModels, folders: dict[str, Path]
) -> None:
    Reader.made.trouble = None
    with pytest.raises(SetupError):
        models.check()
    Reader.made.reads("detector", _address(folders["detector"]))
    wait_for(lambda: "classifier" in (models.problem() or ""), 30, "the detector is loaded")
    with pytest.raises(SetupError):
        models.check()
    assert models.lineup() == Lineup()  # half a lineup is none


def test_with_every_role_in_force_the_worker_goes_on(models: ActivatedModels, folders: dict[str, Path]) -> None:
    Reader.made.trouble = None
    for role, folder in folders.items():
        Reader.made.reads(role, _address(folder))
    wait_for(lambda: models.problem() is None, 30, "both models in force")
    models.check()
    assert list(models.lineup().live) == ["detector", "classifier"]


def test_a_store_that_is_away_is_an_outage_and_ends_by_itself(
    models: ActivatedModels, folders: dict[str, Path], store: Store
) -> None:
    store.away = True
    Reader.made.trouble = None
    for role, folder in folders.items():
        Reader.made.reads(role, _address(folder))
    wait_for(lambda: "away" in (models.problem() or ""), 30, "the store was asked")
    with pytest.raises(OutageError) as caught:
        models.check()
    assert not isinstance(caught.value, SetupError)
    store.away = False
    wait_for(lambda: models.problem() is None, 30, "both models in force")


def test_a_broken_model_is_refused_and_the_old_one_stays(
    models: ActivatedModels, folders: dict[str, Path], refused: list[Refusal], tmp_path: Path, store: Store
) -> None:
    Reader.made.trouble = None
    for role, folder in folders.items():
        Reader.made.reads(role, _address(folder))
    wait_for(lambda: models.problem() is None, 30, "both models in force")
    before = models.lineup()
    wrong = polyp_model(tmp_path, "9", LEFT)
    store.models |= Store(wrong).models
    Reader.made.reads("detector", _address(wrong))
    wait_for(lambda: refused, 30, "the refusal")
    assert [(one.role, one.error.code) for one in refused] == [("detector", ModelCode.TASK_WRONG)]
    models.check()
    assert models.lineup() == before


@pytest.mark.parametrize("failure", [RuntimeError("dead"), ConfigurationError("device", "cuda is not there")])
def test_the_process_hears_what_ended_the_reader(models: ActivatedModels, failure: Exception) -> None:
    assert models.failure() is None
    Reader.made.broken = failure
    assert models.failure() is failure


def test_the_process_hears_that_the_reader_hangs(models: ActivatedModels) -> None:
    assert models.stalled() is None
    Reader.made.hangs = "no sign of life"
    assert models.stalled() == "no sign of life"


def test_models_from_files_are_there_from_the_start(folders: dict[str, Path]) -> None:
    fixed = FixedModels(PinnedModels(GESTURE.models, folders, _load))
    fixed.start()
    fixed.check()
    assert fixed.problem() is None  # type: ignore[func-returns-value]
    assert list(fixed.lineup().live) == ["detector", "classifier"]
    fixed.stop()


def test_a_pipeline_without_models_waits_for_nothing() -> None:
    fixed = FixedModels(PinnedModels({}, {}, _load))
    fixed.check()
    assert fixed.lineup() == Lineup()
