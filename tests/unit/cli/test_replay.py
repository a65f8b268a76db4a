"""What the options of `sightline replay` become, and what is refused before any service is asked."""

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import NoReturn

import pytest
import typer

from schemas.activation import ModelAddress
from schemas.errors import ConfigurationError
from schemas.replay import Overrides
from sightline.cli import replay_options, replay_plan, replay_start
from sightline.cli.main import exit_code
from sightline.cli.replay_options import overrides_of
from sightline.cli.replay_plan import Named
from sightline.runtime.settings import Settings
from streams.replay.selection import Selection

SETTINGS = Settings()
NEW = ("plan", "start")  # the commands that make a replay, by the same options
BY_RESULT = (
    """--captured-from 2026-03-01 --captured-to 2026-03-02 --from 2026-03-03T04:05Z --to 2026-03-04T06:00+02:00
    --offsets 3:100-250 --offsets 0:7- --camera /c/1 --camera /c/2 --frame-id f1 --frame-ids {ids}
    --verdict accepted --score 40-65.5 --of-model aa11bb --no-archive""",
    Selection(
        pipeline="civic",
        captured_from=datetime(2026, 3, 1, tzinfo=UTC),
        captured_to=datetime(2026, 3, 2, tzinfo=UTC),
        arrived_from=datetime(2026, 3, 3, 4, 5, tzinfo=UTC),
        arrived_to=datetime(2026, 3, 4, 4, tzinfo=UTC),
        offsets={3: (100, 250), 0: (7, None)},
        cameras=("/c/1", "/c/2"),
        frame_ids=("f1", "f2", "f3"),
        verdict="accepted",
        score_from=40,
        score_to=65.5,
        model="aa11bb",
        archive=False,
    ),
)
BY_CODE = (
    "--code picture_truncated --code value_empty --archive",
    Selection(pipeline="civic", codes=("picture_truncated", "value_empty")),
)


class Asked:
    """What a command would have planned, in place of planning it."""

    selection: Selection
    overrides: Overrides | None
    name: Named
    timeout_s: float

    def take(
        self, _: Settings, selection: Selection, overrides: Overrides | None, name: Named, timeout_s: float
    ) -> NoReturn:
        self.selection, self.overrides, self.name, self.timeout_s = selection, overrides, name, timeout_s
        raise typer.Exit


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    made = Asked()
    for module in (replay_plan, replay_start):
        monkeypatch.setattr(module, "plan_shown", made.take)
    monkeypatch.setattr(replay_start, "open_book", lambda _: SimpleNamespace(find=lambda _: None))
    return made


@pytest.mark.parametrize("command", NEW)
@pytest.mark.parametrize(("arguments", "selection"), [BY_RESULT, BY_CODE, ("", Selection(pipeline="civic"))])
def test_frames_are_chosen_by_what_each_option_says(
    command: str, arguments: str, selection: Selection, asked: Asked, tmp_path: Path
) -> None:
    ids = tmp_path / "ids"
    ids.write_text("f2\nf3\n", encoding="utf-8")
    assert exit_code(["replay", command, "civic", *arguments.format(ids=ids).split()]) == 0
    assert asked.selection == selection


def test_every_way_of_choosing_has_its_option() -> None:
    assert BY_RESULT[1].model_fields_set | BY_CODE[1].model_fields_set == set(Selection.model_fields)


@pytest.mark.parametrize("command", NEW)
def test_what_is_otherwise_is_as_the_options_say(command: str, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ModelAddress(name="finder", version="2", digest="a" * 64)
    store = SimpleNamespace(find={"finder@2": model}.__getitem__)
    monkeypatch.setattr(replay_options, "open_model_store", lambda _: store)
    arguments = "--id mine --timeout 7 --with civic-legacy --set quality.pass_score=71 --model people=finder@2"
    assert exit_code(["replay", command, "civic", *arguments.split()]) == 0
    assert (asked.name.replay_id, asked.timeout_s) == ("mine", 7)
    assert asked.overrides is not None
    assert asked.overrides.models == {"people": model}
    assert asked.overrides.definition is not None
    assert asked.overrides.definition.name == "civic-legacy"
    assert asked.overrides.definition.quality.pass_score == 71


def test_without_options_nothing_is_otherwise() -> None:
    assert overrides_of("civic", None, [], [], SETTINGS) is None


def test_one_value_is_set_and_the_rest_is_the_pipelines() -> None:
    overrides = overrides_of("civic", None, ["quality.pass_score=70", "gate=flag"], [], SETTINGS)
    assert overrides is not None
    assert overrides.definition is not None
    assert (overrides.definition.quality.pass_score, overrides.definition.gate) == (70, "flag")
    plain = overrides_of("civic", "civic", [], [], SETTINGS)
    assert plain is not None
    assert plain.definition is not None
    assert overrides.definition.input == plain.definition.input


def test_another_pipelines_rules() -> None:
    overrides = overrides_of("civic", "civic-legacy", [], [], SETTINGS)
    assert overrides is not None
    assert overrides.definition is not None
    assert overrides.definition.name == "civic-legacy"


@pytest.mark.parametrize(
    "patch", ["quality.pass_score", "quality.nonsense=1", "nonsense.a=1", "name=other", "quality.pass_score=101"]
)
def test_what_is_no_setting_is_refused(patch: str) -> None:
    with pytest.raises(ConfigurationError, match="--set"):
        overrides_of("civic", None, [patch], [], SETTINGS)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["plan", "civic", "--from", "yesterday"], "--from"),
        (["plan", "civic", "--offsets", "1"], "--offsets"),
        (["plan", "civic", "--score", "x"], "--score"),
        (["plan", "civic", "--code", "a", "--verdict", "b"], "choose by code, or by result"),
        (["plan", "civic", "--frame-ids", "{missing}"], "--frame-ids"),
        (["plan", "civic", "--set", "x=1"], "--set"),
        (["plan", "civic", "--with", "nonsense"], "unknown pipeline"),
        (["plan", "civic"], "SIGHTLINE_DATABASE_URL"),
        (["status", "r-1"], "SIGHTLINE_DATABASE_URL"),
    ],
)
def test_wrong_use_is_said_in_one_line(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("SIGHTLINE_DATABASE_URL", raising=False)
    assert exit_code(["replay", *(argument.format(missing=tmp_path / "missing") for argument in arguments)]) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith("sightline: ")
    assert says in said
