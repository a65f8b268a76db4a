"""Live and shadow answers, and which model gave them."""

from dataclasses import replace
from pathlib import Path

import pytest

from processors import conclude
from processors.infer.interface import EngineError
from processors.infer.lineup import CanaryModel
from processors.infer.model import LoadedModel
from processors.outcome import Context, Success
from processors.pipeline import process
from processors.pipelines import load_builtin
from processors.shadow import differences
from processors.summarise import Findings, build_result
from schemas.errors import Code, InputError, OutageError, Stage
from schemas.frame import Frame
from schemas.identity import result_id
from schemas.pipeline import MediaType
from schemas.result import Result
from tests.scenes import LEFT, RIGHT, SEEN, loaded, polyp_model
from tests.unit.processors import samples
from tests.unit.processors.lineups import BrokenEngine, context, models_of, with_engine

PHOTOS = [samples.encode(samples.photo(96, 72, seed), MediaType.JPEG) for seed in range(4)]
POLYP = load_builtin("polyp")


@pytest.fixture
def left(tmp_path: Path) -> LoadedModel:
    return loaded(polyp_model(tmp_path, "1", LEFT))


@pytest.fixture
def right(tmp_path: Path) -> LoadedModel:
    return loaded(polyp_model(tmp_path, "2", RIGHT))


def run(made: Context) -> list[Success]:
    outcomes = samples.successes(process([samples.frame(data, n) for n, data in enumerate(PHOTOS)], made))
    assert len(outcomes) == len(PHOTOS)
    return outcomes


def box(result: Result) -> list[float]:
    assert result.detections is not None
    return result.detections[0].bbox


def digest(outcome: Success) -> str:
    assert outcome.result.models is not None
    return outcome.result.models[0].digest


def timeless(outcomes: list[Success]) -> list[Result]:
    return [outcome.result.model_copy(update={"timings_ms": None}) for outcome in outcomes]


def test_a_result_names_the_model_that_made_it(left: LoadedModel, right: LoadedModel) -> None:
    for model, place in ((left, LEFT), (right, RIGHT)):
        for outcome in run(context(POLYP, {"detector": model})):
            assert outcome.shadow is None
            assert box(outcome.result) == SEEN[place]
            assert outcome.result.models is not None
            (reference,) = outcome.result.models
            assert (reference.role, reference.digest) == ("detector", model.digest)
            assert reference.version == model.card.version
            assert outcome.result.verdict == "polyp"
            assert "infer" in (outcome.result.timings_ms or {})


def test_both_models_of_a_gesture_are_named_in_their_order(tmp_path: Path) -> None:
    models = models_of("gesture", tmp_path)
    for outcome in run(context(load_builtin("gesture"), models)):
        assert [(one.role, one.digest) for one in outcome.result.models or ()] == [
            (role, models[role].digest) for role in ("detector", "classifier")
        ]
        assert outcome.result.summary is not None
        assert outcome.result.summary["hand_count"] == 1


def test_a_shadow_answers_beside_the_live_model(left: LoadedModel, right: LoadedModel) -> None:
    alone = run(context(POLYP, {"detector": left}))
    both = run(context(POLYP, {"detector": left}, shadow={"detector": right}))
    assert timeless(both) == timeless(alone)
    for outcome in both:
        assert outcome.shadow is not None
        shadow = outcome.shadow.result
        assert shadow is not None
        assert shadow.variant == "shadow"
        assert shadow.result_id == result_id(outcome.frame.frame_id, "polyp", None, "shadow")
        assert shadow.frame_id == outcome.frame.frame_id
        assert (box(outcome.result), box(shadow)) == (SEEN[LEFT], SEEN[RIGHT])
        assert [one.digest for one in shadow.models or ()] == [right.digest]
        assert shadow.artifacts is None
        assert list(differences(outcome.result, shadow)) == ["gained", "lost"]


def test_a_frame_of_the_canary_is_shadowed_too(left: LoadedModel, right: LoadedModel) -> None:
    canary = {"detector": CanaryModel(right, 1.0, by_source=False, salt="s")}
    for outcome in run(context(POLYP, {"detector": left}, canary=canary, shadow={"detector": left})):
        assert outcome.shadow is not None
        assert outcome.shadow.result is not None
        assert (box(outcome.result), box(outcome.shadow.result)) == (SEEN[RIGHT], SEEN[LEFT])


@pytest.mark.parametrize(
    "error",
    [
        EngineError("operator breaks"),  # on its trial picture as well: the live model would wait
        OutageError("model", "the device is gone"),
        InputError(Code.INFERENCE_INVALID, Stage.INFER, "not finite"),
        MemoryError(),
        ZeroDivisionError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_a_shadow_meets_the_live_answer_is_the_same(
    error: Exception, left: LoadedModel, right: LoadedModel
) -> None:
    alone = run(context(POLYP, {"detector": left}))
    broken = {"detector": with_engine(right, BrokenEngine(right, error))}
    both = run(context(POLYP, {"detector": left}, shadow=broken))
    assert timeless(both) == timeless(alone)
    for outcome in both:
        assert outcome.shadow is not None
        assert outcome.shadow.result is None
        assert outcome.shadow.error is not None


def test_a_shadow_whose_answer_cannot_be_summed_up_leaves_the_live_one(
    left: LoadedModel, right: LoadedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(frame: Frame, findings: Findings, made: Context) -> Result:
        if findings.variant == "shadow":
            raise ValueError("a hand has 21 landmarks, not 17")
        return build_result(frame, findings, made)

    monkeypatch.setattr(conclude, "build_result", failing)
    for outcome in run(context(POLYP, {"detector": left}, shadow={"detector": right})):
        assert box(outcome.result) == SEEN[LEFT]
        assert outcome.shadow is not None
        assert outcome.shadow.error is not None
        assert (outcome.shadow.error.code, outcome.shadow.error.stage) == (Code.PROCESSING_FAILED, Stage.SUMMARISE)


def test_a_canary_takes_about_its_share_the_same_frames_on_any_worker(left: LoadedModel, right: LoadedModel) -> None:
    """10,000 frames of three cameras; two workers, and a share that is raised."""
    frames = [
        replace(samples.frame(PHOTOS[n % 4], n), frame_id=f"{n:064x}", source=f"/cameras/{n % 3}")
        for n in range(10_000)
    ]

    def side(share: float, *, by_source: bool = False) -> set[str]:
        canary = {"detector": CanaryModel(right, share, by_source=by_source, salt="one activation")}
        lineup = context(POLYP, {"detector": left}, canary=canary).lineup()
        return {one.frame_id for one in frames if lineup.choose(one.frame_id, one.source)["detector"] is right}

    tenth = side(0.1)
    assert 900 <= len(tenth) <= 1100
    assert side(0.1) == tenth
    assert tenth < side(0.2) < side(0.5) < side(1.0)
    by_source = side(0.5, by_source=True)
    assert {one.source for one in frames if one.frame_id in by_source}.isdisjoint(
        one.source for one in frames if one.frame_id not in by_source
    )


def test_the_canary_answers_its_frames_and_nobody_elses(left: LoadedModel, right: LoadedModel) -> None:
    frames = [samples.frame(PHOTOS[n % 4], n) for n in range(200)]
    canary = {"detector": CanaryModel(right, 0.1, by_source=False, salt="salt")}
    outcomes = samples.successes(process(frames, context(POLYP, {"detector": left}, canary=canary)))
    on_canary = [outcome for outcome in outcomes if digest(outcome) == right.digest]
    assert 8 <= len(on_canary) <= 40
    for outcome in outcomes:
        assert box(outcome.result) == SEEN[RIGHT if outcome in on_canary else LEFT]
