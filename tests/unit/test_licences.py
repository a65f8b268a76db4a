"""The page on licences names every package that the project asks for, and says what the package itself says."""

import re
import tomllib
from importlib.metadata import PackageMetadata, PackageNotFoundError, metadata
from pathlib import Path

import onnx
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/licences.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = PROJECT["project"]["optional-dependencies"]
# What packages write that predate SPDX expressions, or leave to a classifier.
SPDX = {
    "3-Clause BSD License": "BSD-3-Clause",
    "AGPL-3.0": "AGPL-3.0",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache-2.0": "Apache-2.0",
    "BSD 2-Clause License": "BSD-2-Clause",
    "BSD-3-Clause": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",  # of faust-streaming, whose metadata holds the text itself: it is that of 3 clauses
    "LGPL with exceptions": "LGPL-3.0-or-later with exceptions",
    "MIT": "MIT",
    "MIT License": "MIT",
}


def _names(requirements: list[str]) -> list[str]:
    return sorted({canonicalize_name(Requirement(text).name) for text in requirements})


def _table(heading: str) -> dict[str, list[str]]:
    """Return the rows of the first table after a text, by package."""
    table = PAGE.partition(heading)[2].partition("\n| ")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.strip("| ").split("|")] for line in table.splitlines()[2:]]
    return {row[0]: row[1:] for row in rows}


RUN_TIME = _table("## Packages")
OPTIONAL = _table("Extras:")
DEVELOPMENT = _table("Development only")
STATED = sorted({(name, row[-1]) for table in (RUN_TIME, OPTIONAL, DEVELOPMENT) for name, row in table.items()})


def _claimed(package: PackageMetadata) -> str:
    if "License-Expression" in package:
        return package["License-Expression"]
    free = "".join(package.get_all("License") or [])
    classifiers = [line.split(" :: ")[-1] for line in package.get_all("Classifier") or [] if line.startswith("License")]
    return SPDX[free if free in SPDX else classifiers[-1]]


def test_every_package_of_the_project_is_listed_and_no_other() -> None:
    assert sorted(RUN_TIME) == _names(PROJECT["project"]["dependencies"])
    assert sorted(OPTIONAL) == _names([text for extra in EXTRAS.values() for text in extra])
    assert sorted(DEVELOPMENT) == _names(PROJECT["dependency-groups"]["dev"])


def test_every_extra_stands_beside_its_packages() -> None:
    for extra, requirements in EXTRAS.items():
        assert [name for name in _names(requirements) if f"`{extra}`" not in OPTIONAL[name][0]] == []


@pytest.mark.parametrize(("name", "stated"), STATED)
def test_a_licence_is_the_one_that_the_package_states(name: str, stated: str) -> None:
    try:
        package = metadata(name)
    except PackageNotFoundError:
        assert name in OPTIONAL, "what is no extra is installed wherever tests run"
        return
    assert stated.partition(";")[0] == _claimed(package)


def test_what_runs_without_an_extra_is_no_gpl_but_for_one_wheel() -> None:
    strong = {name for name, row in RUN_TIME.items() if re.search(r"(?<!L)GPL", row[-1])}
    assert strong == {"pillow-heif"}


def test_our_own_is_what_the_project_says() -> None:
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")


def test_the_page_explains_the_licence_of_every_demo_model() -> None:
    explained = PAGE.partition("## Models")[2].partition("\n## ")[0]
    models = sorted(ROOT.glob("demo_models/*/*.onnx"))
    assert models
    for model in models:
        stated = {entry.key: entry.value for entry in onnx.load(model, load_external_data=False).metadata_props}
        assert stated["license"].split()[0] in explained, model
