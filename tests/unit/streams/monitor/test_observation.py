import json
from datetime import UTC, datetime
from typing import Any

import pytest

from schemas.deadletter import Failed, dead_letter_message
from schemas.errors import Code, InputError, Stage
from schemas.frame import Origin
from schemas.headers import Headers
from streams.monitor.observation import UNKNOWN_SOURCE, Kind, Observation, read_dead_letter, read_result

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _result(**changes: Any) -> bytes:
    fields = {
        "result_id": "r",
        "source": "/c",
        "captured_at": "1970-01-01T00:00:00Z",
        "verdict": "accepted",
        "score": 7,
    }
    return json.dumps({**fields, **changes}).encode()


def _headers(topic: str = "frames.civic", stage: Stage = Stage.DECODE, source: bytes | None = b"/c") -> Headers:
    headers: Headers = [] if source is None else [("ce_source", source)]
    failed = Failed(b"key", b"x", headers, Origin(topic, 0, 1), 0)
    error = InputError(Code.PICTURE_CORRUPT, stage, "")
    return dead_letter_message("civic", failed, error, now=NOW, worker="w").headers


def test_a_result_is_dated_by_its_append_time() -> None:
    assert read_result(_result(), 5) == Observation(5, Kind.ANSWERED, "/c", "r", accepted=True, score=7)


def test_quality_comes_before_the_pipelines_own_score() -> None:
    seen = read_result(_result(verdict="fake", quality={"score": 91.5, "level": "good"}), 5)
    assert seen is not None
    assert (seen.accepted, seen.score) == (None, 91.5)


def test_a_skipped_frame_is_a_sign_of_life_and_a_gate_has_scored_it() -> None:
    unseen = read_result(_result(kind="skipped", score=None, verdict=None), 5)
    stopped = read_result(_result(kind="skipped", quality={"score": 12.5, "level": "poor"}), 5)
    assert unseen is not None
    assert stopped is not None
    assert (unseen.kind, unseen.score, unseen.accepted) == (Kind.SKIPPED, None, None)
    assert (stopped.kind, stopped.score) == (Kind.SKIPPED, 12.5)


@pytest.mark.parametrize("changes", [{"variant": "shadow"}, {"replay_id": "x"}, {"supersedes": "x"}])
def test_what_answers_no_new_frame_is_left_out(changes: dict[str, str]) -> None:
    assert read_result(_result(**changes), 5) is None


@pytest.mark.parametrize("value", [None, b"", b"{", b"[]", b"\xff", b'{"source": "/c"}', _result(score=1e9)])
def test_an_unreadable_result_says_so(value: bytes | None) -> None:
    with pytest.raises(InputError):
        read_result(value, 5)


def test_a_dead_letter_names_its_camera() -> None:
    seen = read_dead_letter(b"key", _headers(), 5)
    assert seen is not None
    assert (seen.kind, seen.source, seen.code) == (Kind.FAILED, "/c", "picture_corrupt")


@pytest.mark.parametrize(("key", "source"), [(b"/k", "/k"), (b"\xff", "\ufffd"), (None, UNKNOWN_SOURCE)])
def test_a_dead_letter_without_a_source_has_its_keys(key: bytes | None, source: str) -> None:
    seen = read_dead_letter(key, _headers(source=None), 5)
    assert seen is not None
    assert seen.source == source


def test_what_a_sink_could_not_store_is_named_by_its_key() -> None:
    seen = read_dead_letter(b"/k", _headers("results.civic", Stage.SINK_POSTGRES, b"/sightline/pipelines/civic"), 5)
    assert seen is not None
    assert (seen.kind, seen.source) == (Kind.NOT_STORED, "/k")


def test_a_replays_dead_letter_is_left_out() -> None:
    assert read_dead_letter(b"/k", _headers("frames.civic.replay"), 5) is None


@pytest.mark.parametrize("headers", [None, [], [("dl_id", b"x")]])
def test_an_unreadable_dead_letter_says_so(headers: Headers | None) -> None:
    with pytest.raises(InputError):
        read_dead_letter(b"/k", headers, 5)


def test_a_source_is_cut() -> None:
    seen = read_result(_result(source="/" * 100_000), 5)
    assert seen is not None
    assert len(seen.source) == 512
