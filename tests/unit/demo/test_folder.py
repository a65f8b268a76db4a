"""The demo's folder, and what it tells another terminal."""

import shutil
import subprocess
from pathlib import Path

import pytest

from schemas.errors import ConfigurationError, OutageError
from sightline.demo.folder import demo_folder, write_env_file
from sightline.demo.tethered import arguments


def test_a_temporary_folder_goes_when_all_is_well_or_the_user_leaves() -> None:
    with demo_folder(None) as folder:
        assert folder.is_dir()
    assert not folder.exists()
    with pytest.raises(KeyboardInterrupt), demo_folder(None) as folder:
        raise KeyboardInterrupt
    assert not folder.exists()


def test_a_temporary_folder_stays_when_its_logs_are_wanted() -> None:
    with pytest.raises(OutageError), demo_folder(None) as folder:
        raise OutageError("worker", "gone")
    assert folder.is_dir()
    folder.rmdir()


def test_overlays_stay_and_nothing_else() -> None:
    with demo_folder(None) as folder:
        for path in ("logs/worker.log", "objects/a/b", "env.sh", "overlays/polyp/one.jpg"):
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).touch()
    assert [path for path in folder.rglob("*") if path.is_file()] == [folder / "overlays/polyp/one.jpg"]
    assert [path.name for path in folder.iterdir()] == ["overlays"]
    shutil.rmtree(folder)


def test_a_folder_of_ones_own_is_made_and_stays(tmp_path: Path) -> None:
    with demo_folder(tmp_path / "a" / "b") as folder:
        assert folder == (tmp_path / "a" / "b").resolve()
    assert folder.is_dir()


@pytest.mark.parametrize("name", ["file/below", "with blank"])
def test_a_folder_that_cannot_serve_is_wrong_use(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ConfigurationError) as caught, demo_folder(tmp_path / name):
        pass
    assert caught.value.where == "--dir"


def test_the_env_file_gives_a_shell_the_settings_as_they_are(tmp_path: Path) -> None:
    file = write_env_file(tmp_path, {"SIGHTLINE_DATABASE_URL": "postgresql://a:@/b?host=/it's/$HOME"})
    done = subprocess.run(
        ["sh", "-c", f'. {file}; printf "%s" "$SIGHTLINE_DATABASE_URL"; command -v psql'],
        env={"PATH": "/nowhere"}, executable="/bin/sh", capture_output=True, text=True, check=True,
    )  # fmt: skip
    url, _, psql = done.stdout.partition("/it's/$HOME")
    assert url == "postgresql://a:@/b?host="
    assert psql.strip().endswith("/psql")


def test_arguments_of_a_tethered_command() -> None:
    assert arguments({"A": "b=c"}, ["worker", "civic"]) == ["A=b=c", "--", "worker", "civic"]
