"""What `sightline worker` makes of its options and settings."""

import threading
from pathlib import Path
from typing import cast

import pytest

from processors.pipelines import load_builtin
from schemas.errors import ConfigurationError
from sightline.cli.main import exit_code
from sightline.cli.worker import _limits, _pins, _stop_all
from sightline.runtime.settings import Settings
from streams.models import WorkerModels
from tests.scenes import model_folders

POLYP, BANANA = load_builtin("polyp"), load_builtin("banana")


def test_models_of_one_pipeline_need_not_name_it() -> None:
    assert _pins([POLYP], ["detector=a", "polyp/detector=b", "/c"]) == {"polyp": ["detector=a", "detector=b", "/c"]}


def test_models_of_several_pipelines_name_it() -> None:
    assert _pins([POLYP, BANANA], ["polyp/detector=a", "banana/b/c"]) == {"polyp": ["detector=a"], "banana": ["b/c"]}
    assert _pins([POLYP, BANANA], []) == {"polyp": [], "banana": []}
    for option in ("detector=a", "civic/detector=a"):
        with pytest.raises(ConfigurationError, match="several pipelines"):
            _pins([POLYP, BANANA], [option])


def test_batches_follow_pipeline_and_settings() -> None:
    settings = Settings.model_validate({"worker": {"threads": 3, "device": "cpu"}})
    limits = _limits(POLYP, settings)
    assert (limits.records, limits.threads) == (8, 3)
    assert limits.claim_bytes == POLYP.input.max_bytes
    assert _limits(load_builtin("civic"), settings).records == 16


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["polyp", "--model", "detector={missing}"], "model_missing"),
        (["polyp", "--model", "hand={polyp}"], "model_missing"),
        (["polyp", "banana", "--model", "detector={polyp}"], "several pipelines"),
        (["deepfake", "--model", "{polyp}"], "model_task_wrong"),
        (["civic", "--model", "{polyp}"], "roles are none"),
        (["polyp"], "SIGHTLINE_OBJECTS_URL"),
        (["nonsense"], "nonsense"),
    ],
)
@pytest.mark.usefixtures("no_native_threads")
def test_wrong_use_ends_before_anything_is_consumed(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("SIGHTLINE_OBJECTS_URL", raising=False)
    monkeypatch.setenv("SIGHTLINE_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    paths = {"polyp": model_folders("polyp", tmp_path)["detector"], "missing": tmp_path / "missing"}
    assert exit_code(["worker", *(argument.format(**paths) for argument in arguments)]) == 2
    # The Kafka client complains as well, at a time of its own.
    (said,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("sightline: ")]
    assert says in said


def test_models_of_several_pipelines_are_stopped_side_by_side() -> None:
    all_at_once = threading.Barrier(3, timeout=10)

    class Slow:
        def stop(self) -> None:
            all_at_once.wait()  # raises where they are stopped one after the other

    _stop_all([cast("WorkerModels", Slow()) for _ in range(3)])
