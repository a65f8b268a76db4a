"""A card that is written is the card that is read."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import ModelCode, ModelError
from schemas.modelcard import Keypoints, ModelCard, Preprocessing, Task, load_card, model_digest
from sightline.models.cardfile import card_text, read_draft, write_card
from tests.unit.models.samples import make_card

_LOOK_ALIKES = (
    "1e5", "1.5e3", "12", "1.0", "on", "null", "~", "2026-01-01", "0x1f", ".inf", "=", "<<", "Äpfel", "a\x85b",
)  # fmt: skip


@pytest.mark.parametrize("text", _LOOK_ALIKES)
def test_words_that_look_like_something_else_stay_words(text: str) -> None:
    card = make_card(classes=(text, "other"), class_map={text: text}, description=text, licence=text)
    assert load_card(card_text(card), "card.yaml") == card


_words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters=["\0"]), min_size=1, max_size=20)
_floats = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=50, deadline=None)
@given(
    classes=st.lists(_words, min_size=2, max_size=4, unique=True),
    metrics=st.dictionaries(_words, _floats, max_size=2),
    scale=_floats,
    description=_words,
)
def test_any_card_survives(classes: list[str], metrics: dict[str, float], scale: float, description: str) -> None:
    card = make_card(
        classes=tuple(classes), metrics=metrics, description=description, preprocessing=Preprocessing(scale=scale)
    )
    text = card_text(card)
    again = load_card(text, "card.yaml")
    assert again == card
    assert model_digest(again) == model_digest(card)
    assert card_text(again) == text


def test_a_card_of_every_part_survives(tmp_path: Path) -> None:
    card = ModelCard(
        name="hands",
        version="1.2.0-rc.1",
        task=Task.POSE,
        role="detector",
        files={"model.onnx": "a" * 64, "model.onnx.data": "b" * 64},
        source_digest="c" * 64,
        precision="fp16",
        classes=("hand",),
        class_map={"hand": "Hand"},
        input_wh=(640, 480),
        rect=True,
        keypoints=Keypoints(count=2, names=("a", "b"), skeleton=((0, 1),)),
        licence="MIT",
        metrics={"map50": 0.875},
    )
    path = write_card(card, tmp_path)
    assert load_card(path.read_text(encoding="utf-8"), "card.yaml") == card


def test_a_draft_may_lack_what_comes_from_elsewhere(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_text("task: detect\nclasses: [a]\ninput_wh: [64, 64]\n")
    assert read_draft(path).model_fields_set == {"task", "classes", "input_wh"}


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, ModelCode.CARD_MISSING),
        (b"\xff", ModelCode.CARD_INVALID),
        (b"task: dance\n", ModelCode.CARD_INVALID),
        (b"task: detect\n", ModelCode.CARD_INVALID),
    ],
)
def test_a_draft_that_cannot_be_read(tmp_path: Path, content: bytes | None, code: ModelCode) -> None:
    path = tmp_path / "card.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError) as caught:
        read_draft(path)
    assert caught.value.code is code
