"""`sightline run` as a user sees it."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from processors.outcome import Context, Outcome
from processors.pipeline import process
from schemas.frame import Frame
from sightline.cli import run as module
from sightline.cli.main import exit_code
from tests.pictures import truncated_jpeg


def _lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_one_result_a_line_in_the_order_of_files(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["run", "civic", str(photos), "--json"]) == 0
    results = _lines(capsys)
    assert [result["source"] for result in results] == [str(photos / f"{number}.jpg") for number in range(3)]
    for result in results:
        assert result["pipeline"] == "civic"
        assert result["verdict"] in {"accepted", "rejected"}
        # There is no record, and no kept picture, to point to.
        assert "origin" not in result
        assert "artifacts" not in result


def test_running_it_again_gives_the_same_ids(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ids = []
    for _ in range(2):
        exit_code(["run", "civic", str(photos), "--json"])
        ids.append([(result["result_id"], result["frame_id"], result["score"]) for result in _lines(capsys)])
    assert ids[0] == ids[1]


def test_a_file_that_fails_is_reported_and_the_rest_go_on(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "1.jpg").write_bytes(truncated_jpeg(1))
    (photos / "note.txt").write_text("hello")
    assert exit_code(["run", "civic", str(photos), str(photos / "missing.jpg"), "--json"]) == 1
    first, truncated, third, note, missing = _lines(capsys)
    assert "result_id" in first
    assert "result_id" in third
    assert truncated["error"]["code"] == "picture_truncated"
    assert note["error"]["code"] == "media_type_unknown"
    assert set(missing) == {"source", "error"}
    assert missing["source"] == str(photos / "missing.jpg")
    assert missing["error"] == {"code": "claim_not_found", "stage": "claim", "reason": "there is no such file"}


def test_people_get_a_line_a_file_and_a_count(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (photos / "1.jpg").write_bytes(b"")
    assert exit_code(["run", "civic", str(photos)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["VERDICT", "SCORE", "FILE"]
    assert "value_empty" in lines[2]
    assert lines[-1] == "3 files, 1 failed"


def test_an_unknown_pipeline_names_the_known_ones(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["run", "nope", str(photos)]) == 2
    assert "civic, civic-legacy" in capsys.readouterr().err


@pytest.mark.parametrize(("max_bytes", "expected"), [(1_000_000, [2, 2, 2]), (1, [1] * 6)])
def test_batches_are_bounded_in_frames_and_bytes(
    max_bytes: int,
    expected: list[int],
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    definition = tmp_path / "mine.yaml"
    definition.write_text(
        "name: mine\nsummary: civic\ninput: {media_types: [image/jpeg]}\n"
        f"batch: {{max_frames: 2, max_bytes: {max_bytes}}}\n"
    )
    batches: list[int] = []

    def counting(batch: Sequence[Frame], context: Context) -> list[Outcome]:
        batches.append(len(batch))
        return process(batch, context)

    monkeypatch.setattr(module, "process", counting)
    assert exit_code(["run", str(definition), str(photos), str(photos), "--json"]) == 0
    assert len(_lines(capsys)) == 6
    assert batches == expected


def test_a_picture_over_the_limit_is_not_read_whole(
    photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    definition = tmp_path / "small.yaml"
    definition.write_text("name: small\nsummary: civic\ninput: {media_types: [image/jpeg], max_bytes: 10}\n")
    assert exit_code(["run", str(definition), str(photos / "0.jpg"), "--json"]) == 1
    assert _lines(capsys)[0]["error"]["code"] == "picture_too_large"


def test_an_unforeseen_failure_hurts_one_picture_only(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(batch: Sequence[Frame], context: Context) -> list[Outcome]:
        if any(frame.source.endswith("1.jpg") for frame in batch):
            raise ZeroDivisionError
        return process(batch, context)

    monkeypatch.setattr(module, "process", failing)
    assert exit_code(["run", "civic", str(photos), "--json"]) == 1
    results = _lines(capsys)
    assert ["error" in result for result in results] == [False, True, False]
    assert results[1]["error"]["code"] == "processing_failed"
