from tests.unit.processors.pipelines.materials import detection, summarise_detections


def test_a_polyp_is_seen() -> None:
    summary = summarise_detections("polyp", [detection("polyp", 0.89), detection("polyp", 0.3)])
    assert summary.verdict == "polyp"
    assert summary.facts == {"count": 2, "max_confidence": 0.89}


def test_a_clear_picture() -> None:
    summary = summarise_detections("polyp", [])
    assert summary.verdict == "clear"
    assert summary.facts == {"count": 0}
