"""Each sample gets the answer that it is drawn to get: asked of the data path itself."""

import time
from datetime import UTC, datetime
from itertools import islice, repeat
from pathlib import Path

import pytest

from processors.budget import PixelBudget
from processors.outcome import Context, Failure
from processors.pipeline import process
from processors.pipelines import load_builtin
from schemas.errors import Code, InputError
from schemas.frame import Origin, frame_headers, parse_frame
from schemas.result import Result
from sightline.demo.sample import Sample, Verdict, unaltered
from sightline.demo.samples import Samples, draw_samples, in_turn
from sightline.demo.street import SCENES, draw_street

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONTEXT = Context(load_builtin("civic"), lambda: NOW, time.perf_counter, PixelBudget(64_000_000))


def _answer(sample: Sample) -> Result | Code:
    headers = sample.alter(frame_headers(event_id="1", source="/camera", media_type=sample.media_type, captured_at=NOW))
    try:
        frame = parse_frame(sample.value, headers, Origin("frames.civic", 0, 0), round(NOW.timestamp() * 1000))
    except InputError as error:
        return error.code
    [outcome] = process([frame], CONTEXT)
    return outcome.error.code if isinstance(outcome, Failure) else outcome.result


@pytest.mark.parametrize("seed", [1, 2, 77])
def test_every_photo_gets_the_verdict_and_fails_the_checks_that_it_is_drawn_for(seed: int) -> None:
    for photo in draw_samples(seed).photos:
        result = _answer(photo)
        assert isinstance(result, Result), f"{photo.name}: {result}"
        assert result.quality is not None
        failed = frozenset(check.name for check in result.quality.checks if not check.passed)
        assert Verdict(result.verdict or "", failed) == photo.expected, photo.name


def test_every_broken_frame_gets_its_code(samples: Samples) -> None:
    assert {broken.name: _answer(broken) for broken in samples.broken} == {
        broken.name: broken.expected for broken in samples.broken
    }


def test_photos_cover_every_check_every_format_and_both_verdicts(samples: Samples) -> None:
    verdicts = [photo.expected for photo in samples.photos if isinstance(photo.expected, Verdict)]
    assert {name for verdict in verdicts for name in verdict.failed} == {
        "blur", "resolution", "brightness", "exposure", "metadata",
    }  # fmt: skip
    assert {verdict.verdict for verdict in verdicts} == {"accepted", "rejected"}
    assert {photo.media_type for photo in samples.photos} == {"image/jpeg", "image/png", "image/webp", "image/heic"}


def test_a_photo_taken_upright_is_seen_upright(samples: Samples) -> None:
    photos = {photo.name: photo for photo in samples.photos}
    turned, plain = _answer(photos["lamp-phone-held-upright.jpg"]), _answer(photos["lamp.jpg"])
    assert isinstance(turned, Result)
    assert isinstance(plain, Result)
    assert turned.image is not None
    assert (turned.image.width, turned.image.height) == (1600, 1200)
    assert turned.summary is not None
    assert turned.summary["metadata"]["orientation"] == 6
    assert photos["lamp-phone-held-upright.jpg"].value != photos["lamp.jpg"].value


def test_a_good_photo_has_all_six_fields_of_metadata(samples: Samples) -> None:
    result = _answer(samples.photos[0])
    assert isinstance(result, Result)
    assert result.summary is not None
    assert len(result.summary["metadata"]) == 6


def test_the_same_seed_draws_the_same_bytes_and_another_one_others() -> None:
    scene = next(iter(SCENES))
    assert draw_street(scene, 5).tobytes() == draw_street(scene, 5).tobytes()
    assert draw_street(scene, 5).tobytes() != draw_street(scene, 6).tobytes()


def test_samples_fit_the_embedded_broker(samples: Samples) -> None:
    assert max(len(sample.value or b"") for sample in (*samples.photos, *samples.broken)) < 1_000_000


def test_a_round_sends_every_sample_and_begins_with_a_good_one(samples: Samples) -> None:
    order = list(islice(samples.in_order(3), 1 + 6 * len(samples.broken)))
    assert order[0].expected == Verdict("accepted")
    assert {sample.name for sample in order} == {sample.name for sample in (*samples.photos, *samples.broken)}
    assert sum(isinstance(sample.expected, Code) for sample in order) == len(samples.broken)
    assert order == list(islice(samples.in_order(3), len(order)))


def test_other_pipelines_have_every_second_turn_once_they_are_ready(samples: Samples) -> None:
    a, b = (Sample(name, b"", "image/jpeg", Verdict("accepted")) for name in "ab")
    are_ready = iter([False, False, True, True, True])
    turns = in_turn(samples.in_order(3), [repeat(a), repeat(b)], ready=lambda: next(are_ready))
    assert [None if one is None else one.name[0] for one in islice(turns, 1, 10, 2)] == [None, None, "a", "b", "a"]


def test_alone_a_pipeline_has_every_turn(samples: Samples) -> None:
    turns = in_turn(samples.in_order(3), [], ready=lambda: True)
    assert list(islice(turns, 9)) == list(islice(samples.in_order(3), 9))


def test_saved_samples_are_the_files_that_can_be_files(samples: Samples, tmp_path: Path) -> None:
    count = samples.save(tmp_path / "deep")
    files = {path.name: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    wanted = {
        sample.name: sample.value
        for sample in (*samples.photos, *samples.broken)
        if sample.value is not None and sample.alter is unaltered
    }
    assert files == wanted
    assert count == len(wanted) > len(samples.photos)
