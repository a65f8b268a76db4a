"""The result cache in the data path: what is answered from it, and what never is."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from processors.infer.model import LoadedModel
from processors.outcome import Context, Success
from processors.pipeline import process
from processors.pipelines import load_builtin
from schemas.frame import Frame, FrameSettings
from schemas.identity import result_id
from schemas.pipeline import MediaType
from schemas.resultcache import CacheKey, Entry
from tests.scenes import LEFT, RIGHT, SEEN, loaded, polyp_model
from tests.unit.processors import samples
from tests.unit.processors.lineups import CountingEngine, context, definition, with_engine

PHOTO = samples.encode(samples.photo(96, 72), MediaType.JPEG)
OTHER = samples.encode(samples.photo(96, 72, 1), MediaType.JPEG)
WITHOUT: dict[str, Any] = {"cache": None}
CACHED = {"cache": {"ttl_s": 60}}


class DictCache:
    """Keeps everything, and remembers what it was asked."""

    def __init__(self) -> None:
        self.entries: dict[CacheKey, Entry] = {}
        self.asked = 0
        self.ttls: list[int] = []

    def get(self, key: CacheKey) -> Entry | None:
        self.asked += 1
        return self.entries.get(key)

    def put(self, key: CacheKey, entry: Entry, ttl_s: int) -> None:
        self.entries[key] = entry
        self.ttls.append(ttl_s)

    def close(self) -> None:
        pass


class Bench:
    """A pipeline with a detector whose runs are counted."""

    def __init__(self, folder: Path, kept: DictCache | None, version: str = "1", **changes: Any) -> None:
        model = loaded(polyp_model(folder, version, LEFT if version == "1" else RIGHT))
        self.engine = CountingEngine(model)
        self.model = with_engine(model, self.engine)
        self.made = context(definition("polyp", **{**CACHED, **changes}), {"detector": self.model}, cache=kept)

    def run(self, *frames: Frame) -> list[Success]:
        return run(self.made, *frames)


def run(made: Context, *frames: Frame) -> list[Success]:
    outcomes = samples.successes(process(list(frames), made))
    assert len(outcomes) == len(frames)
    return outcomes


@pytest.fixture
def cache() -> DictCache:
    return DictCache()


def test_a_hit_is_published_under_the_frames_own_ids(tmp_path: Path, cache: DictCache) -> None:
    bench = Bench(tmp_path, cache)
    (first,) = bench.run(samples.frame(PHOTO, 1))
    (again,) = bench.run(replace(samples.frame(PHOTO, 2), source="/cameras/south"))
    assert bench.engine.batches == [1]
    assert first.result.cached_from is None
    result = again.result
    assert result.cached_from == first.result.result_id
    assert result.result_id == result_id("frame-2", "polyp", None, "live") != first.result.result_id
    assert (result.frame_id, result.event_id, result.source) == ("frame-2", "event-2", "/cameras/south")
    assert result.origin is not None
    assert result.origin.offset == 2
    own = {"result_id", "frame_id", "event_id", "source", "origin", "cached_from", "timings_ms"}
    assert result.model_dump(exclude=own) == first.result.model_dump(exclude=own)
    assert "cache" in (result.timings_ms or {})
    assert "infer" not in (result.timings_ms or {})
    assert cache.ttls == [60]


def test_a_hit_of_a_hit_still_names_the_result_that_was_computed(tmp_path: Path, cache: DictCache) -> None:
    bench = Bench(tmp_path, cache)
    (first,) = bench.run(samples.frame(PHOTO, 1))
    origins = [bench.run(samples.frame(PHOTO, number))[0].result.cached_from for number in (2, 3)]
    assert origins == [first.result.result_id] * 2


@pytest.mark.parametrize(
    "different",
    [
        samples.frame(OTHER, 2),
        samples.frame(PHOTO, 2, settings=FrameSettings(confidence=0.5)),
        samples.frame(PHOTO, 2, settings=FrameSettings(iou=0.5)),
    ],
    ids=["bytes", "confidence", "iou"],
)
def test_other_bytes_and_other_settings_are_other_questions(different: Frame, tmp_path: Path, cache: DictCache) -> None:
    bench = Bench(tmp_path, cache)
    bench.run(samples.frame(PHOTO, 1))
    assert bench.run(different)[0].result.cached_from is None
    assert bench.engine.batches == [1, 1]


def test_another_model_is_another_question(tmp_path: Path, cache: DictCache) -> None:
    Bench(tmp_path, cache).run(samples.frame(PHOTO, 1))
    (answer,) = Bench(tmp_path, cache, "2").run(samples.frame(PHOTO, 2))
    assert answer.result.cached_from is None
    assert answer.result.detections is not None
    assert answer.result.detections[0].bbox == SEEN[RIGHT]


def test_a_shadow_bypasses_the_cache(tmp_path: Path, cache: DictCache) -> None:
    bench = Bench(tmp_path, cache)
    bench.run(samples.frame(PHOTO, 1))
    asked = cache.asked
    shadow: dict[str, LoadedModel] = {"detector": loaded(polyp_model(tmp_path, "2", RIGHT))}
    shadowed = context(bench.made.pipeline, {"detector": bench.model}, shadow=shadow, cache=cache)
    (answer,) = run(shadowed, samples.frame(PHOTO, 2))
    assert cache.asked == asked
    assert answer.result.cached_from is None
    assert answer.shadow is not None
    assert answer.shadow.result is not None
    assert bench.engine.batches == [1, 1]


@pytest.mark.parametrize("asked_for", [True, False])
def test_without_a_cache_everything_is_computed(asked_for: bool, tmp_path: Path, cache: DictCache) -> None:  # noqa: FBT001
    bench = Bench(tmp_path, None) if asked_for else Bench(tmp_path, cache, **WITHOUT)
    for number in range(2):
        assert bench.run(samples.frame(PHOTO, number))[0].result.cached_from is None
    assert (bench.engine.batches, cache.asked, cache.entries) == ([1, 1], 0, {})


def test_what_another_release_has_kept_is_as_good_as_nothing(tmp_path: Path, cache: DictCache) -> None:
    bench = Bench(tmp_path, cache)
    bench.run(samples.frame(PHOTO, 1))
    cache.entries = {key: Entry("r", b'{"result_id": 1}') for key in cache.entries}
    assert bench.run(samples.frame(PHOTO, 2))[0].result.cached_from is None


def test_a_hit_has_pictures_of_its_own(tmp_path: Path, cache: DictCache) -> None:
    """What is kept is asked for by each frame; the answer is not."""
    bench = Bench(tmp_path, cache)
    (plain,) = bench.run(samples.frame(PHOTO, 1))
    (kept,) = bench.run(samples.frame(PHOTO, 2, settings=FrameSettings(keep=True, overlay=True)))
    (again,) = bench.run(samples.frame(PHOTO, 3))
    assert kept.result.cached_from == plain.result.result_id
    assert [one.kind for one in kept.artifacts] == ["picture", "overlay"]
    assert [one.kind for one in kept.result.artifacts or ()] == ["picture", "overlay"]
    assert again.artifacts == ()
    assert again.result.artifacts is None
    assert bench.engine.batches == [1]


def test_a_frame_that_the_gate_stops_is_answered_from_the_cache_too(tmp_path: Path, cache: DictCache) -> None:
    flat = samples.encode(samples.photo(96, 72, noise=0) // 16, MediaType.PNG)
    bench = Bench(tmp_path, cache, gate="reject")
    kinds = [bench.run(samples.frame(flat, number))[0].result for number in range(2)]
    assert [result.kind for result in kinds] == ["skipped", "skipped"]
    assert kinds[1].cached_from == kinds[0].result_id
    assert bench.engine.batches == []


def test_deepfake_keeps_its_answers_for_an_hour() -> None:
    rules = load_builtin("deepfake").cache
    assert rules is not None
    assert rules.ttl_s == 3600


def test_what_is_kept_does_not_say_whose_picture_it_was(tmp_path: Path, cache: DictCache) -> None:
    bench = Bench(tmp_path, cache)
    (first,) = bench.run(replace(samples.frame(PHOTO, 1), source="/patients/jane", event_id="jane-7"))
    (entry,) = cache.entries.values()
    assert b"jane" not in entry.body
    assert first.result.frame_id.encode() not in entry.body
    (again,) = bench.run(samples.frame(PHOTO, 2))
    assert again.result.cached_from == entry.result_id == first.result.result_id
    assert (again.result.source, again.result.event_id) == ("/cameras/north", "event-2")
