"""A worker's supervisor and its limits, and what the worker takes over from the one before it."""

from collections import Counter
from pathlib import Path

import psutil
import pytest
from prometheus_client import REGISTRY

from sightline.cli import watched
from sightline.cli.main import exit_code
from sightline.cli.supervised import child_limits
from sightline.runtime import life as lives
from sightline.runtime.inhand import InHand
from sightline.runtime.life import Life
from sightline.runtime.settings import Settings

SETTINGS = Settings.model_validate({"worker": {"max_batch_s": 7}})


@pytest.fixture
def second_life(monkeypatch: pytest.MonkeyPatch) -> Life:
    life = Life(InHand(), "aa", "aa.1", 4711, port=8123, deaths=Counter({"SIGSEGV": 2}), died_at_s=50.0)
    monkeypatch.setattr(lives, "_life", life)
    return life


def _limit(tmp_path: Path, text: str) -> str:
    file = tmp_path / "memory.max"
    file.write_text(f"{text}\n")
    return str(file)


def test_the_memory_limit_follows_the_container(tmp_path: Path) -> None:
    limits = child_limits(SETTINGS, [_limit(tmp_path, "1000000000"), str(tmp_path / "missing")])
    assert (limits.resident_bytes, limits.batch_s) == (850_000_000, 7)


def test_without_a_container_it_follows_the_machine(tmp_path: Path) -> None:
    machine = psutil.virtual_memory().total
    for text in ("max", "9223372036854771712"):
        assert child_limits(SETTINGS, [_limit(tmp_path, text)]).resident_bytes == pytest.approx(machine * 0.85)


def test_a_limit_that_is_set_goes_first(tmp_path: Path) -> None:
    settings = Settings.model_validate({"worker": {"max_resident": 300_000_000}})
    assert child_limits(settings, [_limit(tmp_path, "1000000000")]).resident_bytes == 300_000_000


def test_help_needs_neither_settings_nor_a_supervisor(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIGHTLINE_CONFIG", "/nowhere.yaml")
    assert exit_code(["worker", "--help"]) == 0
    assert "Take frames" in capsys.readouterr().out


def test_wrong_settings_are_the_supervisor_s_to_report(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIGHTLINE_WORKER_MAX_BATCH_S", "soon")
    assert exit_code(["worker", "civic"]) == 2
    assert "SIGHTLINE_WORKER_MAX_BATCH_S" in capsys.readouterr().err


def test_a_first_life_says_where_it_serves_and_its_supervisor_hears_it(monkeypatch: pytest.MonkeyPatch) -> None:
    life = Life(InHand(), "aa", "aa.0", 4711)
    monkeypatch.setattr(lives, "_life", life)
    said: list[int] = []
    port, announce = watched.health_page(0, said.append)
    announce(8123)
    assert (port, said, life.in_hand.port) == (0, [8123], 8123)
    assert watched.health_page(None, said.append)[0] is None


def test_a_second_life_serves_where_the_first_did_and_says_nothing(second_life: Life) -> None:
    said: list[int] = []
    port, announce = watched.health_page(0, said.append)
    announce(8123)
    assert (port, said) == (second_life.port, [])


@pytest.mark.usefixtures("second_life")
def test_earlier_deaths_are_counted_and_the_group_is_joined_when_the_dead_member_is_given_up() -> None:
    before = REGISTRY.get_sample_value("sightline_worker_deaths_total", {"cause": "SIGSEGV"}) or 0
    watch = watched.open_watch(SETTINGS)
    assert watch is not None
    assert REGISTRY.get_sample_value("sightline_worker_deaths_total", {"cause": "SIGSEGV"}) == before + 2
    assert watch.join_in_s(50.0) == 8.0


@pytest.mark.usefixtures("second_life")
@pytest.mark.parametrize(
    ("properties", "wait_s"), [({"session.timeout.ms": 6000}, 4.0), ({"group.instance.id": "one"}, 0.0)]
)
def test_the_wait_follows_the_group_s_settings(properties: dict[str, str], wait_s: float) -> None:
    watch = watched.open_watch(Settings.model_validate({"kafka": {"properties": properties}}))
    assert watch is not None
    assert watch.join_in_s(50.0) == wait_s


def test_without_a_supervisor_nothing_is_watched() -> None:
    assert watched.open_watch(SETTINGS) is None
    said: list[int] = []
    assert watched.health_page(80, said.append)[0] == 80
