import pytest

from schemas import topics


def test_names_are_the_published_ones() -> None:
    assert topics.frames("civic") == "frames.civic"
    assert topics.results("civic") == "results.civic"
    assert topics.artifacts("civic") == "artifacts.civic"
    assert topics.dead_letters("civic") == "deadletters.civic"
    assert topics.frames_replay("civic") == "frames.civic.replay"
    assert topics.results_replay("civic") == "results.civic.replay"
    assert topics.ALERTS == "alerts"
    assert topics.group("worker", "civic") == "sightline.worker.civic"


@pytest.mark.parametrize(
    ("topic", "pipeline"),
    [
        ("frames.civic", "civic"), ("deadletters.civic-legacy", "civic-legacy"), ("alerts", None), ("frames", None),
        ("frames.", None), ("other.civic", None), ("frames.civic.replay", "civic"), ("replays.civic", "civic"),
    ],
)  # fmt: skip
def test_the_pipeline_of_a_topic(topic: str, pipeline: str | None) -> None:
    assert topics.pipeline_of(topic) == pipeline


@pytest.mark.parametrize("name", ["a", "civic-legacy", "0" * 64])
def test_pipeline_names(name: str) -> None:
    assert topics.PIPELINE_NAME.fullmatch(name)


@pytest.mark.parametrize("name", ["", "-a", "A", "a.b", "a_b", "a/b", "é", "a\n", "0" * 65])
def test_names_that_are_no_pipelines(name: str) -> None:
    assert not topics.PIPELINE_NAME.fullmatch(name)
