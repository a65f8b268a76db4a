import pytest

from processors.infer.interface import Answer
from processors.pipelines.summary import Material
from schemas.result import Classification
from tests.unit.processors.pipelines.materials import material, summarise


def given(fake: float) -> Material:
    label, probability = ("fake", fake) if fake >= 0.5 else ("real", round(1 - fake, 4))
    shares = {"real": round(1 - fake, 4), "fake": fake}
    return material(Answer(classification=Classification(label=label, probability=probability, probabilities=shares)))


@pytest.mark.parametrize(
    ("fake", "threshold", "verdict"),
    [(0.5, 0.5, "fake"), (0.4999, 0.5, "real"), (0.6, 0.7, "real"), (0.3, 0.2, "fake"), (0.0, 0.5, "real")],
)
def test_the_probability_of_fake_decides(fake: float, threshold: float, verdict: str) -> None:
    summary = summarise("deepfake", given(fake), {"threshold": threshold})
    assert summary.verdict == verdict
    assert summary.facts == {"probability_fake": fake, "threshold": threshold}
    assert summary.score is None


@pytest.mark.parametrize(
    ("fake", "verdict"), [(0.39, "real"), (0.4, "real"), (0.41, "uncertain"), (0.59, "uncertain"), (0.6, "fake")]
)
def test_a_band_round_the_threshold_can_be_uncertain(fake: float, verdict: str) -> None:
    assert summarise("deepfake", given(fake), {"uncertain_within": 0.1}).verdict == verdict


@pytest.mark.parametrize(("label", "fake"), [("fake", 0.9), ("real", 0.1)])
def test_a_label_alone_is_enough(label: str, fake: float) -> None:
    answer = Answer(classification=Classification(label=label, probability=0.9))
    assert summarise("deepfake", material(answer)).facts["probability_fake"] == fake
