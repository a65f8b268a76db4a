"""What is shown fits the terminal, and says what there is to say."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from schemas.deadletter import DeadLetter
from schemas.errors import Code, Stage
from schemas.frame import Origin
from schemas.result import Check, Detection, Quality, Result
from sightline.demo.books import Books, PipelineBooks, latency
from sightline.demo.display import LineDisplay
from sightline.demo.view import Shown, line, picture
from sightline.demo.watch import Progress

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NINE = ("civic", "banana", "polyp", "deepfake", "gesture", "segment", "detect", "classify", "pose")
HINTS = (("in another terminal:", ". env.sh"), ("  what failed", "sightline deadletters list"))


def _books(answers: int) -> Books:
    shown = ("/city/5/phone-\x1bada", "lamp-shaken.jpg")
    checks = [Check(name="blur", passed=False, value=1, score=1, reason="so")]
    result = Result(
        result_id="r", frame_id="f", pipeline="civic", source="/a", captured_at=NOW, processed_at=NOW,
        verdict="rejected", score=60.3, quality=Quality(score=60.3, level="fair", checks=checks),
    )  # fmt: skip
    letter = DeadLetter(
        "d", Stage.FRAME, Code.HEADER_MISSING, "ce_id is missing", 1, Origin("frames.civic", 0, 0), NOW, "me"
    )
    return Books(
        sent=2 * answers, results=answers, dead_letters=answers, in_flight=0, rate=8.0,
        latencies_s=[0.01] * 90 + [0.5] * 10 if answers else [],
        newest_results=[(*shown, result)] * answers, newest_letters=[(*shown, letter)] * answers, first_answer_at=None,
        pipelines={
            "civic": PipelineBooks(7, 6, 1, 0, [0.02], ("lamp.jpg", result), None),
            "polyp": PipelineBooks(5, 4, 1, 3, [0.25], ("two.jpg", _seen()), None),
        } if answers else {},
    )  # fmt: skip


def _seen() -> Result:
    polyp = Detection(class_name="polyp", class_id=0, confidence=0.9, bbox=[0, 0, 1, 1])
    return Result(
        result_id="r", frame_id="f", pipeline="polyp", source="/a", captured_at=NOW, processed_at=NOW,
        verdict="polyp", detections=[polyp, polyp],
    )  # fmt: skip


def _draw(shown: Shown, width: int, height: int) -> str:
    console = Console(file=io.StringIO(), width=width, height=height, force_terminal=False)
    with console.capture() as capture:
        console.print(picture(shown, height))
    return capture.get()


@pytest.mark.parametrize("answers", [0, 1, 60])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (140, 42), (220, 90)])
def test_the_picture_fits_the_terminal(answers: int, width: int, height: int) -> None:
    drawn = _draw(Shown(12, _books(answers), Progress(), HINTS), width, height).splitlines()
    assert len(drawn) <= height
    assert max(map(len, drawn)) <= width


@pytest.mark.parametrize("answers", [0, 1, 60])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (140, 46), (220, 90)])
def test_the_picture_of_all_pipelines_fits_the_terminal(answers: int, width: int, height: int) -> None:
    drawn = _draw(Shown(12, _books(answers), Progress(), HINTS, NINE), width, height).splitlines()
    assert len(drawn) <= height
    assert max(map(len, drawn)) <= width
    assert all(any(line.startswith(f"│ {name} ") for line in drawn) for name in NINE)


def test_a_pipeline_shows_its_last_answer() -> None:
    [row] = [
        line for line in _draw(Shown(1, _books(1), Progress(), HINTS, NINE), 140, 46).splitlines() if "two.jpg" in line
    ]
    assert row.split() == ["│", "polyp", "5", "4", "1", "3", "250", "two.jpg", "polyp", "2", "polyp", "│"]


def test_the_picture_names_verdict_check_and_code() -> None:
    drawn = _draw(Shown(75, _books(3), Progress(6, 5), HINTS), 140, 42)
    for words in ("rejected", "60.3", "fair", "blur", "header_missing", "ce_id is missing", "lamp-shaken.jpg",
                  "phone-?ada", "6 rows", "5 objects", "01:15", "deadletters list", "p50 10 ms, p95 500"):  # fmt: skip
        assert words in drawn


def test_the_line_has_all_counts() -> None:
    text = line(Shown(75, _books(3), Progress(6, 5), HINTS))
    assert "sent 6, results 3, dead letters 3, in flight 0, rows 6, objects 5" in text


def test_latency_without_answers() -> None:
    assert latency([]) == "not known yet"


def test_lines_say_what_each_pipeline_has_answered(capsys: pytest.CaptureFixture[str]) -> None:
    LineDisplay().show(Shown(5, _books(1), Progress(), HINTS, NINE))
    assert "civic 6, banana 0, polyp 4, deepfake 0" in capsys.readouterr().out


def test_lines_come_now_and_then_and_hints_once(capsys: pytest.CaptureFixture[str]) -> None:
    display = LineDisplay()
    for tenths in range(101):
        display.show(Shown(5 + tenths / 10, _books(1), Progress(), HINTS))
    written = capsys.readouterr().out.splitlines()
    assert len(written) == len(HINTS) + 3
    assert ". env.sh" in written[0]
