from collections.abc import Sequence

import pytest

from processors.shadow import DIFFERENCES, differences
from schemas.result import Classification, Detection, Result
from tests.unit.processors import samples

BOX = [10.0, 10.0, 30.0, 30.0]
NEAR = [12.0, 10.0, 32.0, 30.0]  # IoU 0.82
FAR = [25.0, 10.0, 45.0, 30.0]  # IoU 0.14


def result(*boxes: Sequence[float], verdict: str = "found", name: str = "polyp", label: str | None = None) -> Result:
    return Result(
        result_id="r", frame_id="f", pipeline="p", source="/c", captured_at=samples.NOW, processed_at=samples.NOW,
        verdict=verdict,
        detections=[
            Detection.model_validate({"class": name, "class_id": 0, "confidence": 0.5, "bbox": list(box)})
            for box in boxes
        ],
        classification=None if label is None else Classification(label=label, probability=0.7),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("live", "shadow", "expected"),
    [
        (result(), result(), []),
        (result(BOX), result(BOX), []),
        (result(BOX), result(NEAR), []),
        (result(BOX), result(FAR), ["gained", "lost"]),
        (result(BOX), result(BOX, FAR), ["gained"]),
        (result(BOX, FAR), result(FAR), ["lost"]),
        (result(BOX), result(BOX, name="fold"), ["gained", "lost"]),
        (result(BOX), result(verdict="none"), ["verdict", "lost"]),
        (result(label="real"), result(label="fake"), ["label"]),
        (result(label="real"), result(label="real"), []),
        (result(label="real"), result(), ["label"]),
    ],
)
def test_each_kind_of_difference_is_named_once(live: Result, shadow: Result, expected: list[str]) -> None:
    found = list(differences(live, shadow))
    assert found == expected
    assert set(found) <= set(DIFFERENCES)
