import hashlib
import inspect
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from processors import examine
from processors.decode.pictures import decode_stored
from processors.measures import measure
from processors.outcome import Failure, Outcome, Success
from processors.pipeline import process
from processors.pipelines import load_builtin
from schemas.errors import Code, ConfigurationError, Stage
from schemas.frame import FrameSettings
from schemas.identity import result_id
from schemas.pipeline import MediaType, PipelineDefinition
from tests.unit.processors import samples

BATCH = [samples.encode(samples.photo(seed=seed), MediaType.JPEG, samples.exif_block(rich=True)) for seed in range(16)]


def definition(**changes: Any) -> PipelineDefinition:
    return load_builtin("civic").model_copy(update=changes)


def only_success(outcomes: list[Outcome]) -> Success:
    (outcome,) = outcomes
    assert isinstance(outcome, Success)
    return outcome


def timeless(outcome: Outcome) -> dict[str, Any]:
    assert isinstance(outcome, Success)
    return outcome.result.model_dump(exclude={"timings_ms"})


def test_the_heart_is_at_most_forty_lines() -> None:
    assert len(inspect.getsource(process).splitlines()) <= 40


def test_an_empty_batch_gives_nothing() -> None:
    assert process([], samples.context()) == []


def test_a_good_photo_is_accepted_with_all_facts() -> None:
    bgr = samples.photo(1200, 900, noise=15)
    data = samples.encode(bgr, MediaType.JPEG, samples.exif_block(6, rich=True))
    frame = samples.frame(data, 7, "image/jpeg")
    success = only_success(process([frame], samples.context()))
    result = success.result
    assert success.frame is frame
    assert result.result_id == result_id("frame-7", "civic", None, "live")
    assert (result.frame_id, result.event_id, result.source) == ("frame-7", "event-7", "/cameras/north")
    assert (result.kind, result.variant, result.pipeline) == ("frame", "live", "civic")
    assert result.captured_at == result.processed_at == samples.NOW
    assert result.image is not None
    assert (result.image.width, result.image.height) == (900, 1200)
    assert (result.image.media_type, result.image.size_bytes) == ("image/jpeg", len(data))
    assert result.image.sha256 == hashlib.sha256(data).hexdigest()
    assert result.quality is not None
    assert result.score == result.quality.score == 100
    assert result.verdict == "accepted"
    assert result.origin is not None
    assert (result.origin.topic, result.origin.partition, result.origin.offset) == ("frames.civic", 0, 7)
    assert result.timings_ms is not None
    stages = ["inspect", "strip", "wait", "decode", "quality", "prepare", "judge", "summarise"]
    assert list(result.timings_ms) == stages
    assert result.summary == {
        "pass_score": 65,
        "checks_passed": 5,
        "checks_failed": 0,
        "failed": [],
        "metadata": {
            "timestamp": "2024:05:01 10:00:00",
            "camera": "Canon EOS 5",
            "orientation": 6,
            "iso": 100,
            "shutter_speed_s": 0.005,
            "aperture_f": 1.8,
        },
    }


def test_a_poor_photo_is_rejected_and_says_why() -> None:
    data = samples.encode(np.full((100, 100, 3), 3, np.uint8), MediaType.PNG)
    result = only_success(process([samples.frame(data)], samples.context())).result
    assert result.verdict == "rejected"
    assert result.summary is not None
    assert result.quality is not None
    assert result.summary["failed"] == ["blur", "resolution", "brightness", "exposure", "metadata"]
    expected = {"blur": 0, "resolution": 20, "brightness": 80 - 47, "exposure": 30, "metadata": 0}
    assert {check.name: check.score for check in result.quality.checks} == expected
    assert result.score == 16.1


def test_the_kept_picture_is_stripped_and_named_by_its_own_hash() -> None:
    data = samples.with_secrets(samples.photo(), MediaType.JPEG, 6)
    success = only_success(process([samples.frame(data)], samples.context()))
    (artifact,) = success.artifacts
    assert samples.SECRET not in artifact.data
    assert artifact.sha256 == hashlib.sha256(artifact.data).hexdigest()
    assert artifact.key == f"pictures/{artifact.sha256[:2]}/{artifact.sha256}.jpg"
    assert (artifact.kind, artifact.media_type) == ("picture", "image/jpeg")
    assert success.result.artifacts is not None
    (reference,) = success.result.artifacts
    assert (reference.key, reference.sha256, reference.size_bytes) == (
        artifact.key,
        artifact.sha256,
        len(artifact.data),
    )
    assert samples.SECRET not in success.result.to_json()


@pytest.mark.parametrize(
    ("keep", "asked", "kept"),
    [
        ("picture", None, 1),
        ("nothing", None, 0),
        ("picture", False, 0),
        ("nothing", True, 1),
    ],
)
def test_what_the_frame_asks_for_goes_before_the_pipelines_setting(keep: str, asked: bool | None, kept: int) -> None:  # noqa: FBT001
    frame = samples.frame(BATCH[0], settings=FrameSettings(keep=asked))
    success = only_success(process([frame], samples.context(definition(keep=keep))))
    assert len(success.artifacts) == len(success.result.artifacts or []) == kept


def test_a_claimed_picture_is_processed_like_an_inline_one() -> None:
    inline = samples.frame(BATCH[0])
    claimed = replace(inline, dataref="s3://bucket/key", sha256=None)
    one, two = process([inline, claimed], samples.context())
    assert timeless(one) == timeless(two)


@pytest.mark.parametrize("media_type", [kind for kind in samples.ALL_TYPES if kind is not MediaType.TIFF])
def test_every_format_of_civic_gets_through(media_type: MediaType) -> None:
    data = samples.with_secrets(samples.photo(), media_type, 8)
    success = only_success(process([samples.frame(data)], samples.context()))
    assert success.result.image is not None
    assert (success.result.image.width, success.result.image.height) == (120, 160)
    assert success.artifacts[0].key.endswith({"image/jpeg": "jpg"}.get(media_type.value, media_type.value[6:]))


def test_civic_does_not_take_tiff() -> None:
    data = samples.encode(samples.photo(), MediaType.TIFF)
    (outcome,) = process([samples.frame(data)], samples.context())
    assert isinstance(outcome, Failure)
    assert outcome.error.code is Code.MEDIA_TYPE_NOT_ALLOWED


@pytest.mark.parametrize("place", [0, 7, 15])
@pytest.mark.parametrize("poison", ["cut", "scan", "noise", "empty"])
def test_one_poison_picture_costs_no_other_its_result(poison: str, place: int) -> None:
    bad = {
        "cut": BATCH[0][:1000],
        "scan": BATCH[0][:-1500] + b"\xff\xd9",
        "noise": bytes(range(256)) * 20,
        "empty": b"",
    }[poison]
    frames = [samples.frame(bad if number == place else data, number) for number, data in enumerate(BATCH)]
    outcomes = process(frames, samples.context())
    assert [outcome.frame for outcome in outcomes] == frames
    assert len(samples.successes(outcomes)) == 15
    (failure,) = samples.failures(outcomes)
    assert failure.frame is frames[place]
    assert failure.error.stage in {Stage.INSPECT, Stage.DECODE}
    assert failure.error.__traceback__ is None


def test_an_answer_does_not_depend_on_its_neighbours() -> None:
    context = samples.context()
    frames = [samples.frame(data, number) for number, data in enumerate(BATCH)]
    together = [timeless(outcome) for outcome in process(frames, context)]
    alone = [timeless(process([frame], context)[0]) for frame in frames]
    backwards = [timeless(outcome) for outcome in process(frames[::-1], context)][::-1]
    assert together == alone == backwards


def test_two_threads_get_the_same_answers_under_a_tight_budget() -> None:
    context = samples.context(pixels=160 * 120)
    frames = [samples.frame(data, number) for number, data in enumerate(BATCH)]
    expected = [timeless(outcome) for outcome in process(frames, context)]
    with ThreadPoolExecutor(2) as pool:
        for outcomes in pool.map(lambda _: process(frames, context), range(4), timeout=60):
            assert [timeless(outcome) for outcome in outcomes] == expected


def test_decoded_pixels_stay_within_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    lock, held, most = threading.Lock(), 0, 0

    def counting_decode(picture: Any) -> Any:
        nonlocal held, most
        with lock:
            held += picture.pixels
            most = max(most, held)
        return decode_stored(picture)

    def counting_measure(pixels: Any) -> Any:
        nonlocal held
        found = measure(pixels)
        with lock:
            held -= pixels.shape[0] * pixels.shape[1]
        return found

    monkeypatch.setattr(examine, "decode_stored", counting_decode)
    monkeypatch.setattr(examine, "measure", counting_measure)
    context = samples.context(pixels=2 * 160 * 120)
    frames = [samples.frame(data, number) for number, data in enumerate(BATCH)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: process(frames, context), range(8), timeout=60))
    assert held == 0
    assert 160 * 120 <= most <= 2 * 160 * 120


def test_a_picture_larger_than_the_whole_budget_still_gets_through() -> None:
    assert samples.successes(process([samples.frame(BATCH[0])], samples.context(pixels=10)))


@pytest.mark.parametrize(("gate", "kind"), [("off", "frame"), ("flag", "frame"), ("reject", "skipped")])
def test_the_gate_marks_or_skips_poor_frames(gate: str, kind: str) -> None:
    poor = samples.frame(samples.encode(np.zeros((80, 80, 3), np.uint8), MediaType.PNG))
    result = only_success(process([poor], samples.context(definition(gate=gate)))).result
    assert result.kind == kind
    assert result.quality is not None
    assert result.verdict == (None if gate == "reject" else "rejected")
    assert (result.summary or {}).get("gate") == ("flag" if gate == "flag" else None)


def test_an_unexpected_error_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(examine, "measure", fail)
    with pytest.raises(ZeroDivisionError):
        process([samples.frame(BATCH[0])], samples.context())


def test_an_unknown_summary_is_found_before_any_frame_is_touched() -> None:
    with pytest.raises(ConfigurationError):
        process([], samples.context(definition(summary="nonsense")))
