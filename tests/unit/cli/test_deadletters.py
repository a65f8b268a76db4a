"""Dead letters read from their topic: the same rows as in the database."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from schemas.deadletter import Failed, dead_letter_message
from schemas.errors import Code, InputError, Stage
from schemas.frame import Origin
from schemas.message import Message
from sightline.cli import deadletter_acts, deadletter_sources, deadletters
from sightline.cli.main import exit_code
from sinks.postgres.deadletter_actions import BusyError
from streams.read import TopicRecord
from streams.redrive import Redrive


def _letter(number: int, code: Code, stage: Stage) -> Message:
    headers = [("ce_source", f"/cameras/{number}".encode()), ("odd", b"\xff"), ("empty", None)]
    failed = Failed(b"key", f"value {number}".encode(), headers, Origin("frames.civic", 0, number), 1000)
    now = datetime(2026, 3, 1, 0, number, tzinfo=UTC)
    return dead_letter_message("civic", failed, InputError(code, stage, "why"), now=now, worker="w")


_LETTERS = [
    _letter(0, Code.PICTURE_CORRUPT, Stage.INSPECT),
    _letter(1, Code.HEADER_MISSING, Stage.FRAME),
    _letter(2, Code.PICTURE_CORRUPT, Stage.DECODE),
]


@pytest.fixture(autouse=True)
def _topic(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [
        TopicRecord("deadletters.civic", 0, number, 2000, letter.key, letter.value, letter.headers)
        for number, letter in enumerate([*_LETTERS, _LETTERS[0]])  # a worker that was killed has sent one again
    ]

    def read_to_end(*_: Any, **__: Any) -> Iterator[TopicRecord]:
        yield from records

    def read_records(_: Any, places: list[Any], **__: Any) -> list[TopicRecord]:
        return [record for record in records if record.offset == places[0].offset]

    monkeypatch.setattr(deadletter_sources, "read_to_end", read_to_end)
    monkeypatch.setattr(deadletter_sources, "read_records", read_records)
    for name in ("SIGHTLINE_DATABASE_URL", "SIGHTLINE_OBJECTS_URL"):
        monkeypatch.delenv(name, raising=False)


def _list(capsys: pytest.CaptureFixture[str], *options: str) -> list[dict[str, Any]]:
    assert exit_code(["deadletters", "list", "--from-topic", "civic", "--json", *options]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("options", "offsets"),
    [
        ([], [2, 1, 0]),
        (["--code", "picture_corrupt"], [2, 0]),
        (["--stage", "frame"], [1]),
        (["--source", "/cameras/0"], [0]),
        (["--camera", "/cameras/0"], [0]),
        (["--since", "2026-03-01T00:01"], [2, 1]),
        (["--until", "2026-03-01T00:01"], [0]),
        (["--since", "2026-03-01T00:01", "--until", "2026-03-01T00:02"], [1]),
        (["--limit", "1"], [2]),
        (["--pipeline", "other"], []),
    ],
)
def test_filters_newest_first(options: list[str], offsets: list[int], capsys: pytest.CaptureFixture[str]) -> None:
    assert [row["dl_offset"] for row in _list(capsys, *options)] == offsets


def test_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["deadletters", "list", "--from-topic", "civic"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["TIME", "PIPELINE", "STAGE", "CODE", "SOURCE", "STATE", "ID"]
    assert lines[1].split()[:5] == ["2026-03-01T00:02:00Z", "civic", "decode", "picture_corrupt", "/cameras/2"]


def test_show_has_every_fact_and_header(capsys: pytest.CaptureFixture[str]) -> None:
    dl_id = _list(capsys, "--limit", "1")[0]["dl_id"]
    assert exit_code(["deadletters", "show", dl_id, "--from-topic", "civic", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["code"], shown["reason"], shown["key"], shown["worker"]) == ("picture_corrupt", "why", "key", "w")
    assert shown["headers"] == [
        {"name": "ce_source", "value": "/cameras/2"},
        {"name": "odd", "value": "base64:/w=="},
        {"name": "empty", "value": None},
    ]
    assert exit_code(["deadletters", "show", dl_id, "--from-topic", "civic"]) == 0
    assert "/cameras/2" in capsys.readouterr().out


def test_save_writes_a_new_file_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    dl_id = _list(capsys, "--limit", "1")[0]["dl_id"]
    path = tmp_path / "out.jpg"
    arguments = ["deadletters", "save", dl_id, "--from-topic", "civic", "-o", str(path)]
    assert exit_code(arguments) == 0
    assert path.read_bytes() == b"value 2"
    assert path.stat().st_mode & 0o077 == 0
    path.write_bytes(b"mine")
    assert exit_code(arguments) == 2
    assert path.read_bytes() == b"mine"


def test_bytes_come_from_the_object_store_when_they_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert exit_code(["deadletters", "list", "--from-topic", "civic", "--limit", "1", "--json"]) == 0
    row = json.loads(capsysbinary.readouterr().out)
    monkeypatch.setenv("SIGHTLINE_OBJECTS_URL", tmp_path.as_uri())
    save = ["deadletters", "save", row["dl_id"], "--from-topic", "civic"]
    assert exit_code(save) == 0
    assert capsysbinary.readouterr().out == b"value 2"  # not there yet: from Kafka
    path = tmp_path / row["object_key"]
    path.parent.mkdir(parents=True)
    path.write_bytes(b"other bytes")
    assert exit_code(save) == 0
    assert capsysbinary.readouterr().out == b"value 2"
    monkeypatch.setattr(deadletter_sources, "read_records", lambda *_, **__: [])
    assert exit_code(save) == 1
    assert capsysbinary.readouterr().out == b""
    path.write_bytes(b"value 2")
    assert exit_code(save) == 0
    assert capsysbinary.readouterr().out == b"value 2"


def test_an_id_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["deadletters", "show", "nope", "--from-topic", "civic"]) == 1
    assert capsys.readouterr().err == "there is no dead letter nope\n"


def test_without_a_database_the_topic_is_offered(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["deadletters", "list"]) == 2
    assert "--from-topic" in capsys.readouterr().err


def test_a_topic_knows_no_state() -> None:
    assert exit_code(["deadletters", "list", "--from-topic", "civic", "--state", "open"]) == 2


def test_letters_by_their_ids(capsys: pytest.CaptureFixture[str]) -> None:
    ids = [row["dl_id"] for row in _list(capsys)]
    assert [row["dl_id"] for row in _list(capsys, ids[2], ids[0])] == [ids[0], ids[2]]


def test_many_are_shown_and_saved_into_a_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that are chosen: only `list` stops at so many."""
    monkeypatch.setattr(deadletters, "_LIMIT", 1)
    chosen = ["--from-topic", "civic", "--code", "picture_corrupt"]
    assert exit_code(["deadletters", "show", *chosen, "--json"]) == 0
    shown = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["dl_offset"] for row in shown] == [2, 0]
    assert exit_code(["deadletters", "save", *chosen, "-o", str(tmp_path / "one.jpg")]) == 2
    folder = tmp_path / "new"
    assert exit_code(["deadletters", "save", *chosen, "-o", f"{folder}/"]) == 0
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        row["dl_id"]: f"value {row['dl_offset']}".encode() for row in shown
    }


def test_counts(capsys: pytest.CaptureFixture[str]) -> None:
    stats = ["deadletters", "stats", "--from-topic", "civic", "--stage", "frame"]
    assert exit_code([*stats, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "day": "2026-03-01", "code": "header_missing", "stage": "frame", "source": "/cameras/1", "count": 1,
        "states": {},
    }  # fmt: skip
    assert exit_code(stats) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["DAY", "STAGE", "CODE", "SOURCE", "COUNT"]
    assert lines[1].split() == ["2026-03-01", "frame", "header_missing", "/cameras/1", "1"]


@pytest.mark.parametrize("command", ["show", "save", "redrive", "park", "purge"])
def test_what_is_not_chosen_is_never_all(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["deadletters", command]) == 2
    assert "--pipeline" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["list", "show", "save", "stats", "redrive", "park", "purge"])
@pytest.mark.parametrize(
    "wrong", [["--state", "lost"], ["--since", "yesterday"], ["--until", "x"], ["--pipeline", "A B"], ["--limit", "0"]]
)
def test_wrong_options_are_refused_by_every_command(
    command: str, wrong: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SIGHTLINE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert exit_code(["deadletters", command, *wrong]) == 2


@pytest.mark.parametrize("name", ["", " ", "a\nb"])
def test_who_acts_must_have_a_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert exit_code(["deadletters", "redrive", "--pipeline", "civic", "--as", name]) == 2


def test_a_database_that_is_away_exits_3(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIGHTLINE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    assert exit_code(["deadletters", "redrive", "--pipeline", "civic"]) == 3


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A database in which d1 is open, and d2 was redriven; redriving finds nothing to do."""
    monkeypatch.setenv("SIGHTLINE_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    rows = {"d2": {"dl_id": "d2", "state": "redriven"}}
    monkeypatch.setattr(deadletter_acts, "choose_dead_letters", lambda *_: {"civic": ["d1"]})
    monkeypatch.setattr(deadletter_acts, "read_dead_letters", lambda _, ids: [rows[one] for one in ids if one in rows])
    monkeypatch.setattr(Redrive, "run", lambda *_: iter(()))


@pytest.mark.usefixtures("chosen")
def test_an_id_that_was_sent_already_is_no_failure_and_one_that_is_not_there_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert exit_code(["deadletters", "redrive", "d1", "d2"]) == 0
    assert capsys.readouterr().err == "d2: it is redriven\n"
    assert exit_code(["deadletters", "redrive", "d1", "d3"]) == 1
    assert capsys.readouterr().err == "d3: there is no such dead letter\n"


@pytest.mark.usefixtures("chosen")
def test_purging_asks_first(capsys: pytest.CaptureFixture[str]) -> None:
    assert exit_code(["deadletters", "purge", "d1"]) == 2
    assert "--yes" in capsys.readouterr().err


@pytest.mark.usefixtures("chosen")
def test_a_second_redrive_at_the_same_time_exits_1(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(*_: Any) -> Iterator[Any]:
        raise BusyError("civic: another redrive, park or purge is running")

    monkeypatch.setattr(Redrive, "run", run)
    assert exit_code(["deadletters", "redrive", "d1"]) == 1
    assert "another redrive" in capsys.readouterr().err
