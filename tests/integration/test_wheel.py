"""The built wheel: exactly five import names, and it works where there is no checkout."""

import json
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

from tests.models import detector, save_model
from tests.pictures import jpeg
from tests.services import Postgres

ROOT = Path(__file__).parents[2]
NAMES = {"schemas", "processors", "sinks", "streams", "sightline"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def sightline(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Install the wheel into an environment of its own, which borrows our dependencies but not this checkout."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, with_pip=False)
    packages = folder / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    python = folder / "bin" / "python"
    subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "install", "-q", "--no-deps", "--no-index", str(wheel)],
        check=True, timeout=120,
    )  # fmt: skip
    # A path in a .pth file is added last, and .pth files in there (such as that of an editable install) are not read.
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    return str(folder / "bin" / "sightline")


def test_the_wheel_has_exactly_five_import_names(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == NAMES


def test_the_wheel_carries_what_is_not_python(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for wanted in (
        "processors/pipelines/civic/pipeline.yaml",
        "processors/pipelines/civic-legacy/pipeline.yaml",
        "schemas/json/result.v1.schema.json",
        "schemas/asyncapi.yaml",
        "sinks/postgres/migrations/env.py",
        "streams/topics.yaml",
    ):
        assert wanted in names


def test_the_wheel_holds_every_pipeline_and_no_model(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        size_bytes = sum(entry.file_size for entry in archive.infolist())
    there = {Path(name).parent.name for name in names if name.endswith("/pipeline.yaml")}
    assert there == {path.parent.name for path in ROOT.glob("processors/pipelines/*/pipeline.yaml")}
    assert {"banana", "classify", "deepfake", "detect", "gesture", "polyp", "pose", "segment"} <= there
    assert [name for name in names if name.endswith((".onnx", ".pt", "card.yaml"))] == []
    assert size_bytes < 5_000_000


def test_it_works_outside_the_checkout(sightline: str, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(jpeg(1, 1024, 768))
    done = subprocess.run(
        [sightline, "run", "civic", "photo.jpg", "--json"], cwd=tmp_path, check=True, capture_output=True, timeout=60
    )
    result = json.loads(done.stdout)
    assert result["source"] == "photo.jpg"
    assert result["image"]["width"] == 1024
    where = subprocess.run(
        [str(Path(sightline).with_name("python")), "-c", "import schemas; print(schemas.__file__)"],
        cwd=tmp_path, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    assert str(ROOT) not in where.stdout.decode()


def test_a_model_runs_outside_the_checkout(sightline: str, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(jpeg(1, 640, 480))
    save_model(tmp_path / "shapes", detector(boxes=((16, 16, 10, 20),)))
    done = subprocess.run(
        [sightline, "run", "detect", "photo.jpg", "--model", "shapes", "--overlay", "drawn", "--json"],
        cwd=tmp_path, check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    result = json.loads(done.stdout)
    assert result["models"][0]["name"] == "tested"
    assert len(result["detections"]) == 1
    [artifact] = result["artifacts"]
    assert (tmp_path / artifact["key"]).read_bytes()[:2] == b"\xff\xd8"


def test_its_migrations_run(sightline: str, tmp_path: Path, postgres: Postgres) -> None:
    env = {"SIGHTLINE_DATABASE_URL": postgres.url, "PATH": "/usr/bin:/bin"}
    subprocess.run([sightline, "db", "upgrade"], cwd=tmp_path, check=True, capture_output=True, timeout=60, env=env)
