"""`sightline demo` as a user starts it: it ends well, finds what is wrong, and leaves nothing running."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import psutil
import psycopg2
import pytest

ROOT = Path(__file__).parents[2]
ALONE = "--without-models"
MODEL_PIPELINES = ("banana", "polyp", "deepfake", "gesture", "segment", "detect", "classify", "pose")


class Demo:
    """A running demo."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sightline.cli.main", "demo", *arguments],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            # Somebody's real services: the demo must not go near them.
            env=os.environ | {"SIGHTLINE_KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1", "SIGHTLINE_CONFIG": "/nowhere.yaml"},
        )  # fmt: skip
        self.lines: list[str] = []
        self.family: set[psutil.Process] = set()

    def read_until(self, pattern: str) -> "re.Match[str]":
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))
            found = re.search(pattern, line)
            if found:
                return found
        raise AssertionError(f"ended without {pattern!r}:\n{self.text}")

    def finish(self, timeout_s: float = 90) -> int:
        """Read to the end, and return the exit code."""
        rest, _ = self.process.communicate(timeout=timeout_s)
        self.lines += rest.splitlines()
        return self.process.returncode

    def remember_family(self) -> None:
        """Note all processes of the demo: its children, and the database, which is nobody's child."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        database = [process for process in psutil.process_iter(["cmdline"]) if self._is_database(process)]
        self.family |= {*children, *database}

    def _is_database(self, process: psutil.Process) -> bool:
        return f"{self.folder}/postgres" in " ".join(process.info["cmdline"] or ())

    def child(self, *words: str) -> psutil.Process:
        [child] = [
            process for process in self.family
            # A worker's own child has the same command line, and another parent.
            if process.ppid() == self.process.pid
            and {"sightline.demo.tethered", *words} <= set(process.cmdline())
        ]  # fmt: skip
        return child

    @property
    def folder(self) -> Path:
        return Path(self.lines[0].rsplit(" in ", 1)[1])

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


@contextmanager
def _demo(*arguments: str) -> Iterator[Demo]:
    """Start a demo, wait until frames are answered, and see at the end that nothing of it is left."""
    demo = Demo(*arguments)
    try:
        demo.read_until(r"^sightline demo, in ")
        demo.read_until(r"results [1-9]")
        demo.remember_family()
        assert len(demo.family) >= 6, demo.family  # broker, database, its keeper, worker, two sinks
        yield demo
        _wait_for(lambda: not [p for p in demo.family if _runs(p)], 20, f"all ended: {demo.family}")
    finally:
        if demo.process.poll() is None:
            demo.process.kill()
            demo.process.wait()
        assert demo.process.stdout is not None
        demo.process.stdout.close()


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _wait_for(condition: Callable[[], Any], timeout_s: float, what: str) -> Any:
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline, f"not within {timeout_s:.0f} s: {what}"
        time.sleep(0.05)
    return value


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that PostgreSQL's own user can enter, which pytest's are not when we are root."""
    path = Path(tempfile.mkdtemp(prefix="sightline-test-demo-"))
    yield path
    shutil.rmtree(path, ignore_errors=True)


def _numbers(demo: Demo, pattern: str) -> list[int]:
    found = re.search(pattern, demo.text)
    assert found is not None, demo.text
    return [int(number) for number in found.groups()]


def _assert_adds_up(demo: Demo) -> None:
    [sent] = _numbers(demo, r"sent +(\d+) frames")
    results, letters, answered = _numbers(demo, r"answered +(\d+) results \+ (\d+) dead letters .* = (\d+)")
    assert sent == answered == results + letters > 20
    of_civic, accepted, rejected = _numbers(demo, r"  civic +(\d+) results \((\d+) accepted, (\d+) rejected\)")
    assert accepted + rejected == of_civic
    assert accepted > 0
    assert rejected > 0
    assert letters > 0
    lines = re.findall(r"^  [a-z]+ +(\d+) results \(.*\) \+ (\d+) dead letters", demo.text, re.MULTILINE)
    assert sum(int(count) for count, _ in lines) == results
    assert sum(int(count) for _, count in lines) == letters
    assert _numbers(demo, r"PostgreSQL +(\d+) \+ (\d+) rows, of (\d+) frames") == [results, letters, sent]
    assert "nothing lost, doubled or wrong" in demo.text


def test_where_there_is_no_terminal_it_ends_by_itself_and_adds_up() -> None:
    with _demo(ALONE, "--seconds", "8") as demo:
        assert demo.finish() == 0, demo.text
        _assert_adds_up(demo)
    assert not demo.folder.exists()


def test_all_pipelines_are_at_work_and_their_overlays_stay() -> None:
    with _demo("--seconds", "20", "--rate", "12") as demo:
        assert demo.finish(180) == 0, demo.text
        _assert_adds_up(demo)
    for pipeline in MODEL_PIPELINES:
        [results] = _numbers(demo, rf"  {pipeline} +(\d+) results")
        assert results >= 8, demo.text
        for path in (demo.folder / "overlays" / pipeline).iterdir():
            assert cv2.imread(str(path)) is not None, path
    [count] = _numbers(demo, r"open +\S+/overlays/index.html \((\d+) overlays, kept\)")
    page = (demo.folder / "overlays" / "index.html").read_text(encoding="utf-8")
    assert len(set(re.findall(r'img src="([^"]+)"', page))) == count
    assert count == len(list(demo.folder.rglob("*.jpg"))) >= 8 * len(MODEL_PIPELINES) - 8
    assert [path.name for path in demo.folder.iterdir()] == ["overlays"]
    shutil.rmtree(demo.folder)


def test_a_killed_worker_of_models_ends_the_demo_which_says_so() -> None:
    with _demo("--seconds", "600") as demo:
        demo.read_until(r"banana \d+, polyp [1-9]")
        demo.remember_family()
        demo.child("worker", "banana").kill()
        assert demo.finish() == 3, demo.text
    assert "sightline: worker-models: the process has ended" in demo.text
    shutil.rmtree(demo.folder)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_flow_and_the_books_are_closed(number: signal.Signals) -> None:
    with _demo(ALONE, "--seconds", "600", "--rate", "20") as demo:
        demo.read_until(r"results \d\d")
        demo.process.send_signal(number)
        assert demo.finish() == 0, demo.text
        _assert_adds_up(demo)


def test_a_guest_publishes_into_the_running_demo_and_is_not_judged() -> None:
    with _demo(ALONE, "--seconds", "10") as demo:
        env_file = next(line.split()[-1] for line in demo.lines if line.startswith("in another terminal"))
        photo = demo.folder / "guest.jpg"
        photo.write_bytes(b"no photo at all")
        publish = f". {env_file} && {sys.executable} -m sightline.cli.main publish civic {photo} --camera /guest"
        subprocess.run(["sh", "-c", publish], cwd=ROOT, check=True, timeout=30)
        assert demo.finish() == 0, demo.text
        _assert_adds_up(demo)
    assert re.search(r"guests +1 answers", demo.text)


def test_a_folder_of_ones_own_is_kept_and_used_again(folder: Path) -> None:
    for _ in range(2):
        with _demo(ALONE, "--seconds", "5", "--dir", str(folder)) as demo:
            assert demo.finish() == 0, demo.text
            _assert_adds_up(demo)
    assert list((folder / "objects" / "pictures").rglob("*.jpg"))
    assert (folder / "logs" / "worker.log").read_text(encoding="utf-8")


def test_a_lost_object_and_a_doubled_answer_are_found(folder: Path) -> None:
    with _demo(ALONE, "--seconds", "10", "--dir", str(folder)) as demo:
        _wait_for(lambda: _originals(folder), 20, "the original of a dead letter")
        _originals(folder)[0].unlink()
        _wait_for(lambda: _double_a_row(f"postgresql://postgres:@/postgres?host={folder}/postgres"), 20, "a row")
        assert demo.finish() == 1, demo.text
    assert re.search(r"lost: the bytes of .* are not among the objects", demo.text)
    assert re.search(r"doubled: .* has 2 answers in the database", demo.text)
    assert len(re.findall("lost: ", demo.text)) == 1, demo.text
    assert len(re.findall("doubled: ", demo.text)) == 1, demo.text
    assert "nothing lost" not in demo.text


def _originals(folder: Path) -> list[Path]:
    """List what is kept of dead letters, without what is being written."""
    return list((folder / "objects" / "deadletters" / "civic").glob("[!.]*"))


def _double_a_row(url: str) -> bool:
    """Insert a row of another id that is otherwise an existing one; return False while there is none."""
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("CREATE TEMPORARY TABLE copied AS SELECT * FROM results LIMIT 1")
        cursor.execute("UPDATE copied SET result_id = 'another'")
        cursor.execute("INSERT INTO results SELECT * FROM copied")
        doubled = bool(cursor.rowcount)
    connection.close()
    return doubled


def test_a_killed_worker_ends_the_demo_which_says_so() -> None:
    with _demo(ALONE, "--seconds", "600") as demo:
        demo.child("worker", "civic").kill()
        assert demo.finish() == 3, demo.text
    assert "sightline: worker: the process has ended" in demo.text
    assert (demo.folder / "logs" / "worker.log").exists()  # kept: it may say why
    shutil.rmtree(demo.folder)


def test_a_killed_demo_leaves_nothing_running() -> None:
    with _demo(ALONE, "--seconds", "600") as demo:
        demo.process.kill()
        demo.finish()
    shutil.rmtree(demo.folder)


def test_sample_photos_are_written_and_can_be_run(tmp_path: Path) -> None:
    sightline = [sys.executable, "-m", "sightline.cli.main"]
    photos = str(tmp_path / "photos")
    subprocess.run([*sightline, "demo", "--save-photos", photos], cwd=ROOT, check=True, timeout=60)
    done = subprocess.run(
        [*sightline, "run", "civic", f"{photos}/photos"],
        cwd=ROOT,
        check=False,
        timeout=120,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "25 files, 0 failed" in done.stdout
