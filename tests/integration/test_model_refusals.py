"""Models that cannot be used: refused with a code, an alert and a metric, while the worker goes on with the old one."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from onnx import ModelProto

from schemas.activation import ModelAddress
from schemas.alert import RULE_MODEL_REFUSED
from schemas.modelcard import CARD_FILE, load_card
from sightline.models.store import PREFIX
from tests import models
from tests.audit import assert_sound
from tests.models import save_model
from tests.pictures import headers, jpeg
from tests.scenes import LEFT, SEEN, finds, polyp_model, put_in_force, store
from tests.world import World, wait_for

pytestmark = pytest.mark.services

# Puts a model of some version into the store, past every check that comes before a worker's own.
Plant = Callable[[World, str], ModelAddress]


def _plant(model: ModelProto | bytes, **card: Any) -> Plant:
    """Store a model as it is: nothing is checked that a worker would have to check."""

    def plant(world: World, version: str) -> ModelAddress:
        fields = {"name": "wrong", "version": version, "classes": ["polyp"], **card}
        folder = save_model(world.folder / f"wrong-{version}", model, None, **fields)
        address = ModelAddress.of(load_card((folder / CARD_FILE).read_text(encoding="utf-8"), CARD_FILE))
        for name in ("model.onnx", CARD_FILE):
            world.store.put(_key(address, name), (folder / name).read_bytes(), "application/octet-stream")
        return address

    return plant


def _key(address: ModelAddress, file: str) -> str:
    return f"{PREFIX}{address.name}/{address.version}/{address.digest}/{file}"


def _swapped_weights(world: World, version: str) -> ModelAddress:
    address = _plant(finds(LEFT))(world, version)
    world.store.delete(_key(address, "model.onnx"))
    world.store.put(_key(address, "model.onnx"), finds(LEFT, confidence=0.8).SerializeToString(), "application/x")
    return address


def _lost_weights(world: World, version: str) -> ModelAddress:
    address = _plant(finds(LEFT))(world, version)
    world.store.delete(_key(address, "model.onnx"))
    return address


def _nowhere(_: World, version: str) -> ModelAddress:
    return ModelAddress(name="wrong", version=version, digest="0" * 64)


WRONG: dict[str, tuple[Plant, str]] = {
    "wrong task": (_plant(models.classifier(), task="classify"), "model_task_wrong"),
    "unmappable classes": (_plant(finds(LEFT), classes=["adenoma"]), "model_classes_unmappable"),
    "a class too many": (_plant(finds(LEFT, 2), classes=["polyp", "fold"]), "model_classes_unmappable"),
    "NaN outputs": (_plant(finds((math.nan,) * 4)), "model_output_invalid"),
    "truncated file": (_plant(finds(LEFT).SerializeToString()[:-200]), "model_unreadable"),
    "no ONNX at all": (_plant(b"not a model"), "model_unreadable"),
    "digest mismatch": (_swapped_weights, "model_digest_mismatch"),
    "file missing": (_lost_weights, "model_missing"),
    "not in the store": (_nowhere, "model_missing"),
    "external data missing": (_plant(models.external()[0]), "model_external_data_missing"),
    "opset unknown": (_plant(models.unknown_opset()), "model_unsupported"),
    "operator unknown": (_plant(models.unknown_operator()), "model_unsupported"),
    "other output shape": (_plant(finds(LEFT, 3)), "model_shape_wrong"),
    "other input size": (_plant(finds(LEFT), input_wh=[96, 96]), "model_shape_wrong"),
}


def test_a_worker_outlives_every_wrong_model(world_like: Callable[[str], World]) -> None:
    world = world_like("polyp")
    good = store(world, polyp_model(world.folder, "1", LEFT))
    put_in_force(world, good)
    worker, *_ = world.start_all()
    published = world.publish((jpeg(n), headers(f"before{n}", "/c")) for n in range(20))
    codes: Counter[str] = Counter()
    refused = []
    for version, (what, (plant, code)) in enumerate(WRONG.items(), 2):
        wrong = plant(world, str(version))
        codes[code] += 1
        refused.append((wrong.digest, code))
        put_in_force(world, wrong, previous=good)
        wait_for(lambda: _refused(world) == codes, 60, f"{what} is refused as {code}")
        published += world.publish([(jpeg(1000 + version), headers(f"after{version}", "/c"))])
    assert worker.ready()
    world.wait_for_rows(len(published))
    evidence = assert_sound(world, published)
    assert world.count_rows() == (len(published), 0)
    for result in evidence.topic_results:
        assert result["models"][0]["digest"] == good.digest
        assert result["detections"][0]["bbox"] == SEEN[LEFT]
    assert worker.metric("sightline_model_loaded", digest=good.digest, side="live") == 1
    assert worker.metric("sightline_model_loaded") == 1
    assert sorted(_alerted(world)) == sorted(refused)


def test_a_wrong_canary_or_shadow_leaves_the_live_model_in_force(world_like: Callable[[str], World]) -> None:
    """Nor does a worker that starts while the newest live model is wrong stand still: it takes the one before."""
    world = world_like("polyp")
    good = store(world, polyp_model(world.folder, "1", LEFT))
    wrong = _plant(finds(LEFT, 2))(world, "2")
    put_in_force(world, good, shadow=wrong)
    worker = world.start_worker().wait_ready()
    wait_for(lambda: worker.metric("sightline_models_refused_total") == 1, 30, "the shadow is refused")
    worker.terminate()
    put_in_force(world, wrong, previous=good)
    world.start_all()
    published = world.publish((jpeg(n), headers(f"e{n}", "/c")) for n in range(20))
    world.wait_for_rows(20)
    evidence = assert_sound(world, published)
    assert {result["models"][0]["digest"] for result in evidence.topic_results} == {good.digest}


def _refused(world: World) -> Counter[str]:
    """Return how often the first process of a world has refused a model, by code."""
    codes = {code for _, code in WRONG.values()}
    counted = {code: world.processes[0].metric("sightline_models_refused_total", code=code) for code in codes}
    return Counter({code: int(count) for code, count in counted.items() if count})


def _alerted(world: World) -> list[tuple[str, str]]:
    alerts = world.alerts()
    return [
        (alert["facts"]["digest"], alert["facts"]["code"])
        for alert in alerts
        if alert["rule"] == RULE_MODEL_REFUSED and alert["pipeline"] == world.pipeline
    ]
