from pathlib import Path

import pytest

from schemas.errors import ConfigurationError
from sightline.runtime.settings import MonitorSettings, load_settings
from streams.monitor.state import span_ms
from streams.monitor.watch import history_ms


def _from_yaml(folder: Path, text: str) -> MonitorSettings:
    path = folder / "s.yaml"
    path.write_text(text, encoding="utf-8")
    return load_settings({"SIGHTLINE_CONFIG": str(path)}).monitor


def test_a_pipeline_may_have_its_own(tmp_path: Path) -> None:
    monitor = _from_yaml(
        tmp_path,
        "monitor:\n  window_s: 60\n  pipelines:\n    civic: {acceptance_low: 0.35, acceptance_high: 0.4}\n",
    )
    civic, other = monitor.of("civic"), monitor.of("polyp")
    assert (civic.window_s, civic.acceptance_low, civic.acceptance_high) == (60, 0.35, 0.4)
    assert (other.window_s, other.acceptance_low, other.acceptance_high) == (60, 0, 1)


@pytest.mark.parametrize(
    "text",
    [
        "monitor:\n  pipelines:\n    civic: {acceptance_lou: 0.35}\n",
        "monitor:\n  pipelines:\n    civic: {window_s: -1}\n",
        "monitor:\n  acceptance_low: 0.5\n  acceptance_high: 0.4\n",
        "monitor:\n  acceptance_low: 0.5\n  pipelines:\n    civic: {acceptance_high: 0.4}\n",
        "monitor:\n  rate_low: 5\n  rate_high: 4\n",
    ],
)
def test_what_makes_no_sense_is_refused_at_the_start(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigurationError):
        _from_yaml(tmp_path, text)


def test_pipelines_are_for_the_file_only() -> None:
    with pytest.raises(ConfigurationError, match="only be set in the YAML file"):
        load_settings({"SIGHTLINE_MONITOR_PIPELINES": "civic"})


def test_the_history_reaches_as_far_back_as_the_longest_window() -> None:
    rules = MonitorSettings()
    assert span_ms(rules) == 3_600_000
    assert history_ms(rules) == 4_500_000
    assert span_ms(MonitorSettings(silent_after_s=3600)) == 8 * 3_600_000
