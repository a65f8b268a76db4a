"""What people read is true where a machine can tell: links, commands, options, settings, metrics, figures."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
import typer.main

from benchmarks import table
from processors.shadow import DIFFERENCES
from schemas import alert
from schemas.errors import Code, ConfigurationError
from schemas.pipeline import MIB
from schemas.result import Detection
from sightline.cli.main import app
from sightline.cli.pipelines import load_definition, pipeline_names
from sightline.runtime.metrics import metric_names
from sightline.runtime.settings import load_settings, unknown_variables

ROOT = Path(__file__).parents[2]
GENERATED = ROOT / "docs/reference"
PAGES = sorted([
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("processors/pipelines/*/README.md"),
    *ROOT.glob("demo_models/*.md"),
])  # fmt: skip
WRITTEN = [page for page in PAGES if GENERATED not in page.parents]
# Headers and other words of ours that look like metrics.
NO_METRICS = {"sightline_attempt", "sightline_dl_id"}
HISTOGRAM_PARTS = ("_bucket", "_count", "_sum")

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)")
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_INLINE = re.compile(r"`([^`\n]+)`")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_SHELL = {"", "sh", "bash", "console"}


def _names(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _prose(text: str) -> str:
    return _FENCE.sub("", text)


def _links(page: Path) -> list[str]:
    found = _LINK.findall(_prose(page.read_text(encoding="utf-8")))
    return [link for link in found if not link.startswith(("https://", "http://", "mailto:"))]


def _anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = _HEADING.findall(_prose(page.read_text(encoding="utf-8")))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _broken(page: Path) -> Iterator[str]:
    for link in _links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or ROOT not in [target, *target.parents]:
            yield f"{link}: no such file"
        elif anchor and anchor not in _anchors(target):
            yield f"{link}: no such heading"


def _tokens(line: str) -> list[str]:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    return list(lexer)


def _invocations(line: str) -> Iterator[list[str]]:
    """Yield the arguments of each `sightline` in a line of shell, without redirections."""
    words: list[str] = []
    for word in [*_tokens(line), ";"]:
        if not set(word) <= set(";&|()<>"):
            words.append(word)
            continue
        while words and ("=" in words[0] or words[0] in {"$", "export"}):
            words.pop(0)
        if words and words[0] == "sightline":
            yield words[1:]
        words = ["skipped"] if "<" in word or ">" in word else []


def _command_lines(page: Path) -> list[str]:
    blocks = _FENCE.findall(page.read_text(encoding="utf-8"))
    shell = "\n".join(body for _, language, body in blocks if language in _SHELL).replace("\\\n", " ")
    return [line.strip() for line in shell.splitlines() if re.search(r"\bsightline [a-z-]", line)]


def _parse(arguments: list[str]) -> None:
    """Parse as the command line does, and run nothing. Raises what it would say."""
    command: Any = typer.main.get_command(app)
    context: Any = None
    rest = list(arguments)
    while hasattr(command, "resolve_command"):
        context = command.make_context("sightline", list(rest), parent=context, resilient_parsing=not rest)
        _, command, rest = command.resolve_command(context, rest)
    command.make_context("sightline", rest, parent=context)


def _parse_mention(arguments: list[str]) -> None:
    """Check a command that prose names, which may leave arguments out: commands and options must exist."""
    command: Any = typer.main.get_command(app)
    rest = list(arguments)
    while rest and hasattr(command, "resolve_command") and not rest[0].startswith("-"):
        _, command, rest = command.resolve_command(typer.Context(command), rest)
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    unknown = [word for word in rest if word.startswith("--") and word.split("=")[0] not in known | {"--help"}]
    if unknown:
        raise ConfigurationError(" ".join(arguments), f"no option {', '.join(unknown)}")


def _problem(arguments: list[str], *, mention: bool) -> str | None:
    try:
        (_parse_mention if mention else _parse)(arguments)
    except (typer.TyperException, ConfigurationError) as error:
        return f"sightline {' '.join(arguments)}: {error}"
    return None


@pytest.mark.parametrize("page", PAGES, ids=_names)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert list(_broken(page)) == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        waiting += [(page.parent / link.partition("#")[0]).resolve() for link in _links(page) if link[0] != "#"]
    assert [_names(page) for page in PAGES if page not in reached] == []


@pytest.mark.parametrize("page", WRITTEN, ids=_names)
def test_every_command_line_is_one_that_sightline_takes(page: Path) -> None:
    calls = [arguments for line in _command_lines(page) for arguments in _invocations(line)]
    assert [problem for call in calls if (problem := _problem(call, mention=False))] == []


@pytest.mark.parametrize("page", WRITTEN, ids=_names)
def test_every_command_that_is_mentioned_exists(page: Path) -> None:
    mentions: list[str] = _INLINE.findall(_prose(page.read_text(encoding="utf-8")))
    calls = [call for text in mentions if re.match(r"sightline [a-z-]", text) for call in _invocations(text)]
    assert [problem for call in calls if (problem := _problem(call, mention=True))] == []


def test_command_lines_are_found() -> None:
    assert len([line for page in WRITTEN for line in _command_lines(page)]) > 20


@pytest.mark.parametrize(
    "line",
    [
        "sightline nothing civic",
        "sightline publish civic a.jpg --kamera /a",
        "cat a.jpg | sightline publish",
        "A=b sightline topics remove civic",
        "sightline worker civic --http-port x &",
    ],
)
def test_a_wrong_command_line_is_noticed(line: str) -> None:
    assert [problem for call in _invocations(line) if (problem := _problem(call, mention=False))]


@pytest.mark.parametrize("text", ["sightline nothing", "sightline topics remove", "sightline doctor --quick"])
def test_a_wrong_mention_is_noticed(text: str) -> None:
    assert [problem for call in _invocations(text) if (problem := _problem(call, mention=True))]


@pytest.mark.parametrize("page", WRITTEN, ids=_names)
def test_every_make_target_exists(page: Path) -> None:
    known = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    text = page.read_text(encoding="utf-8")
    mentioned = set(re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE))
    assert mentioned - known == set()


@pytest.mark.parametrize("page", WRITTEN, ids=_names)
def test_every_setting_exists(page: Path) -> None:
    variables = re.findall(r"\bSIGHTLINE_[A-Z0-9_]+[A-Z0-9]\b", page.read_text(encoding="utf-8"))
    assert unknown_variables(dict.fromkeys(variables, "")) == []


@pytest.mark.parametrize("page", WRITTEN, ids=_names)
def test_every_metric_exists(page: Path) -> None:
    known = {name for name, *_ in metric_names()}
    named = set(re.findall(r"\bsightline_[a-z_]+[a-z]\b", page.read_text(encoding="utf-8"))) - NO_METRICS
    bare = {next((name.removesuffix(part) for part in HISTOGRAM_PARTS if name.endswith(part)), name) for name in named}
    assert bare - known == set()


def test_the_guide_for_devices_names_every_code_that_a_frame_can_get() -> None:
    guide = (ROOT / "docs/guides/devices.md").read_text(encoding="utf-8")
    of_sinks = {Code.RECORD_INVALID, Code.ROW_REJECTED, Code.OBJECT_REJECTED}
    others = of_sinks | {Code.REPLAY_INVALID, Code.OVERRIDES_INVALID}  # no device sends what these are about
    assert [code.value for code in Code if code not in others and f"`{code.value}`" not in guide] == []


def test_the_guide_for_consumers_names_every_field_of_a_result() -> None:
    guide = (ROOT / "docs/guides/consumers.md").read_text(encoding="utf-8")
    schema = json.loads((ROOT / "schemas/json/result.v1.schema.json").read_text(encoding="utf-8"))
    assert [name for name in schema["properties"] if f"`{name}`" not in guide] == []


def test_the_guide_for_consumers_names_every_field_of_a_detection() -> None:
    guide = (ROOT / "docs/guides/consumers.md").read_text(encoding="utf-8")
    names = [field.alias or name for name, field in Detection.model_fields.items()]
    assert [name for name in names if f"`{name}`" not in guide] == []


def test_the_guide_for_consumers_names_every_alert() -> None:
    guide = (ROOT / "docs/guides/consumers.md").read_text(encoding="utf-8")
    rules = [value for name, value in vars(alert).items() if name.startswith("RULE_")]
    assert len(rules) > 4
    assert [rule for rule in rules if f"`{rule}`" not in guide] == []


def test_the_guide_for_operators_names_every_difference_of_a_shadow() -> None:
    guide = (ROOT / "docs/guides/operator.md").read_text(encoding="utf-8")
    assert [name for name in (*DIFFERENCES, "failed") if f"`{name}`" not in guide] == []


@pytest.mark.parametrize("page", ["README.md", "docs/README.md", "docs/guides/consumers.md"])
def test_every_pipeline_is_linked(page: str) -> None:
    linked = {(ROOT / page).parent.joinpath(link.partition("#")[0]).resolve() for link in _links(ROOT / page)}
    missing = {path for path in ROOT.glob("processors/pipelines/*/README.md") if path not in linked}
    # For those who migrate from one certain service: the list of all documentation links it, and the others need not.
    assert missing <= {ROOT / "processors/pipelines/civic-legacy/README.md"}


def test_the_guide_for_devices_gives_the_sizes_that_pipelines_take() -> None:
    guide = (ROOT / "docs/guides/devices.md").read_text(encoding="utf-8")
    [row] = [line for line in guide.splitlines() if "`input.max_bytes`" in line]
    usual = re.findall(r"(\d+) MiB for all others", row)
    for name in pipeline_names(load_settings({})):
        size = load_definition(name, load_settings({})).input.max_bytes // MIB
        named = re.search(rf"(\d+) MiB for [a-z ]*\b{name}\b", row)
        assert size == int(named[1] if named else usual[0]), name


def test_every_decision_is_listed_under_its_own_title() -> None:
    index = (ROOT / "docs/README.md").read_text(encoding="utf-8")
    for page in sorted(ROOT.glob("docs/decisions/*.md")):
        number, _, title = page.read_text(encoding="utf-8").partition("\n")[0].removeprefix("# ").partition(": ")
        assert page.name.startswith(f"{number}-")
        assert f"| [{number}](decisions/{page.name}) | {title} |" in index


def test_the_changelog_knows_this_version() -> None:
    version = re.findall(r'__version__ = "(.+)"', (ROOT / "sightline/__init__.py").read_text(encoding="utf-8"))
    assert f"## [{version[0]}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_readme_shows_the_figures_that_were_measured() -> None:
    assert table.main(["--check"]) == 0, "python -m benchmarks.table"


def test_figures_become_a_table(tmp_path: Path) -> None:
    readme, results = tmp_path / "README.md", tmp_path / "results.json"
    readme.write_text("before\n<!-- figures -->\nold\n<!-- /figures -->\nafter\n")
    results.write_text(
        json.dumps(
            [
                {"name": "p95", "value": 12.3456, "unit": "ms", "goal": "< 100", "divided_by": None, "note": "a | b"},
                {"name": "rows", "value": 12345.6, "unit": "1/s", "goal": "", "divided_by": None, "note": None},
            ]
        )
    )
    assert table.main(["--check"], readme, results) == 1
    assert table.main([], readme, results) == 0
    assert table.main(["--check"], readme, results) == 0
    text = readme.read_text()
    assert text.startswith("before\n<!-- figures -->\n")
    assert text.endswith("|\n<!-- /figures -->\nafter\n")
    assert "| p95 | 12.3 ms | &lt; 100 | a \\| b |\n| rows | 12,346 1/s |  |  |\n" in text


def test_without_figures_the_table_says_so() -> None:
    assert "not measured" in table.fill("<!-- figures -->\n<!-- /figures -->", [])


def test_a_text_without_its_markers_is_refused() -> None:
    with pytest.raises(ValueError, match="0 are there"):
        table.fill("no markers", [])
