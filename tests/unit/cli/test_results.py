"""Following results: where from, which ones, how many."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from sightline.cli import results
from sightline.cli.main import exit_code
from streams.read import Edge, TopicRecord


def _record(number: int, value: bytes) -> TopicRecord:
    return TopicRecord("results.civic", 0, number, 0, None, value, [])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Answer with four results, one of which is none; remember where reading was to start."""
    starts: list[Any] = []

    def follow(_: Any, topic: str, start: Any, **__: Any) -> Iterator[TopicRecord]:
        assert topic == "results.civic"
        starts.append(start)
        for number, (source, verdict) in enumerate([("/a", "accepted"), ("/b", "rejected"), ("/a", "rejected")]):
            result = {"result_id": f"r{number}", "source": source, "verdict": verdict, "score": 70, "future": [1]}
            yield _record(number, json.dumps(result).encode())
        yield _record(3, b"not json")

    monkeypatch.setattr(results, "follow_topic", follow)
    return starts


def _ids(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [json.loads(line)["result_id"] for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ([], ["r0", "r1", "r2"]),
        (["--source", "/a"], ["r0", "r2"]),
        (["--verdict", "rejected"], ["r1", "r2"]),
        (["--source", "/a", "--verdict", "rejected"], ["r2"]),
        (["--limit", "2"], ["r0", "r1"]),
        (["--source", "/nowhere"], []),
    ],
)
def test_filters(options: list[str], ids: list[str], asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["results", "civic", "--json", *options]) == 0
    assert _ids(capsys) == ids
    assert asked == [Edge.END]


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("beginning", Edge.BEGINNING),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=UTC)),
        ("2026-03-01T01:00:00+01:00", datetime(2026, 3, 1, tzinfo=UTC)),
    ],
)
def test_where_from(text: str, start: Any, asked: list[Any]) -> None:
    assert exit_code(["results", "civic", "--json", "--from", text]) == 0
    assert asked == [start]


def test_a_time_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["results", "civic", "--from", "yesterday"]) == 2
    assert capsys.readouterr().err.startswith("sightline: --from: 'yesterday'")


def test_json_is_passed_on_as_it_is_and_what_is_no_result_is_told(
    asked: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    del asked
    exit_code(["results", "civic", "--json"])
    out, err = capsys.readouterr()
    assert json.loads(out.splitlines()[0])["future"] == [1]
    assert err == "warning: results.civic [0] 3 is not a result\n"


def test_people_get_lines(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    del asked
    exit_code(["results", "civic"])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["CAPTURED", "SOURCE", "VERDICT", "SCORE", "RESULT"]
    assert lines[1].split() == ["/a", "accepted", "70.0", "r0"]
    assert len(lines) == 4
