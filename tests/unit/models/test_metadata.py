"""From an ONNX file to its card."""

from pathlib import Path
from typing import Any

import pytest
from onnx import TensorProto

from processors.infer.folder import file_sha256
from schemas.errors import ModelCode, ModelError
from schemas.modelcard import Keypoints, ModelCard, Preprocessing, Task, model_digest
from sightline.models.cardfile import CardChanges
from sightline.models.local import open_folder, read_model
from tests.unit.models.samples import ULTRALYTICS, write_onnx


def _card(folder: Path, changes: dict[str, str] | None = None, **model: Any) -> ModelCard:
    path = write_onnx(folder / "Shapes V2.onnx", ULTRALYTICS | (changes or {}), **model)
    return read_model(path).card


def _refusal(folder: Path, changes: dict[str, str]) -> ModelCode:
    with pytest.raises(ModelError) as caught:
        _card(folder, changes)
    return caught.value.code


def test_an_ultralytics_detector_needs_no_card(tmp_path: Path) -> None:
    card = _card(tmp_path)
    sha256 = file_sha256(tmp_path / "Shapes V2.onnx")
    assert card == ModelCard(
        name="shapes-v2",
        version=f"sha-{sha256[:12]}",
        task=Task.DETECT,
        description="Ultralytics model trained on shapes.yaml",
        weights="model.onnx",
        files={"model.onnx": sha256},
        classes=("banana", "leaf"),
        input_wh=(640, 320),
        licence="AGPL-3.0 License (https://ultralytics.com/license)",
    )


def test_a_classifier_is_cut_as_it_was_trained(tmp_path: Path) -> None:
    card = _card(tmp_path, {"task": "classify", "imgsz": "[224, 224]"}, outputs=("batch", 2, 1, 1))
    assert card.preprocessing == Preprocessing(resize="shortest-edge", interpolation="bilinear")
    assert card.activation == "none"
    assert card.input_wh == (224, 224)


def test_a_pose_model_has_points(tmp_path: Path) -> None:
    names = {"kpt_shape": "[2, 3]", "kpt_names": "{0: ['wrist', 'thumb']}"}
    assert _card(tmp_path, {"task": "pose", **names}).keypoints == Keypoints(count=2, names=("wrist", "thumb"))
    unnamed = _card(tmp_path, {"task": "pose", "kpt_shape": "[2, 2]", "kpt_names": "{0: ['wrist']}"})
    assert unnamed.keypoints == Keypoints(count=2, dimensions=2)


@pytest.mark.parametrize(
    ("changes", "outputs", "end_to_end"),
    [
        ({"end2end": "True"}, ("batch", 300, "columns"), True),
        ({"args": "{'nms': True}"}, ("batch", "rows", "columns"), True),
        ({}, ("batch", 300, 6), True),
        ({}, ("batch", 6, 8400), False),
        ({"end2end": "True", "task": "classify"}, ("batch", 2, 1, 1), False),
    ],
)
def test_final_outputs_are_known(
    tmp_path: Path, *, changes: dict[str, str], outputs: tuple[Any, ...], end_to_end: bool
) -> None:
    assert _card(tmp_path, changes, outputs=outputs).end_to_end is end_to_end


@pytest.mark.parametrize(
    ("changes", "dtype", "precision"),
    [
        ({}, TensorProto.FLOAT, "fp32"),
        ({}, TensorProto.FLOAT16, "fp16"),
        ({"args": "{'quantize': 16}"}, TensorProto.FLOAT, "fp16"),
        ({"args": "{'half': True}"}, TensorProto.FLOAT, "fp16"),
        ({"args": "{'quantize': 8}"}, TensorProto.FLOAT, "int8"),
        ({"args": "{'int8': True}"}, TensorProto.FLOAT, "int8"),
        ({"args": "{'quantize': [8]}"}, TensorProto.FLOAT, "fp32"),
    ],
)
def test_precision(tmp_path: Path, changes: dict[str, str], dtype: int, precision: str) -> None:
    assert _card(tmp_path, changes, dtype=dtype).precision == precision


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"task": "obb"}, ModelCode.TASK_WRONG),
        ({"names": "{0: 'a', 2: 'b'}"}, ModelCode.CARD_INVALID),
        ({"names": "{0: 'a', 1: 'a'}"}, ModelCode.CARD_INVALID),
        ({"names": "__import__('os').getpid()"}, ModelCode.CARD_INVALID),
        ({"names": "[" * 5000}, ModelCode.CARD_INVALID),
        ({"imgsz": "[640]"}, ModelCode.CARD_INVALID),
        ({"imgsz": "'640'"}, ModelCode.CARD_INVALID),
        ({"stride": "0"}, ModelCode.CARD_INVALID),
        ({"task": "pose"}, ModelCode.CARD_INVALID),
        ({"license": ""}, ModelCode.CARD_INVALID),
        ({"author": "somebody"}, ModelCode.CARD_MISSING),
    ],
)
def test_metadata_that_cannot_be_used(tmp_path: Path, changes: dict[str, str], code: ModelCode) -> None:
    assert _refusal(tmp_path, changes) is code


def test_a_licence_may_be_given_where_there_is_none(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "a.onnx", ULTRALYTICS | {"license": ""})
    changes = CardChanges(name="named", version="3", licence="MIT", description="mine")
    card = read_model(path, changes=changes).card
    assert (card.name, card.version, card.licence, card.description) == ("named", "3", "MIT", "mine")


def test_an_onnx_that_says_nothing_needs_a_card(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "plain.onnx")
    with pytest.raises(ModelError) as caught:
        read_model(path)
    assert caught.value.code is ModelCode.CARD_MISSING
    card = tmp_path / "mine.yaml"
    card.write_text("task: classify\nclasses: [real, fake]\ninput_wh: [380, 380]\nlicence: MIT\nactivation: softmax\n")
    model = read_model(path, card)
    assert (model.card.name, model.card.classes, model.weights) == ("plain", ("real", "fake"), path)
    assert model.card.files == {"model.onnx": file_sha256(path)}


@pytest.mark.parametrize("size", [0, 40, 200])
def test_truncated_weights_are_refused(tmp_path: Path, size: int) -> None:
    path = write_onnx(tmp_path / "a.onnx", ULTRALYTICS)
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(ModelError) as caught:
        read_model(path)
    assert caught.value.code in {ModelCode.UNREADABLE, ModelCode.UNSUPPORTED}


_CARD = "name: mine\nversion: '2'\ntask: detect\nclasses: [a]\ninput_wh: [64, 64]\nlicence: MIT\n"


def test_a_folder_with_a_card_and_tensors_of_their_own(tmp_path: Path) -> None:
    write_onnx(tmp_path / "net.onnx", external="net.onnx.data")
    (tmp_path / "card.yaml").write_text(_CARD + "weights: net.onnx\n")
    (tmp_path / "notes.txt").write_text("not of the model")
    model = read_model(tmp_path)
    assert set(model.card.files) == {"net.onnx", "net.onnx.data"}
    assert model.weights == tmp_path / "net.onnx"
    # Digests that the card lists are checked; a card that lacks them is completed to the same model.
    (tmp_path / "card.yaml").write_text(
        _CARD + "weights: net.onnx\nfiles:\n" + "".join(f"  {k}: {v}\n" for k, v in model.card.files.items())
    )
    assert model_digest(read_model(tmp_path).card) == model.digest
    assert open_folder(tmp_path).digest == model.digest
    with (tmp_path / "net.onnx.data").open("ab") as file:
        file.write(b"x")
    for read in (read_model, open_folder):
        with pytest.raises(ModelError) as caught:
            read(tmp_path)
        assert caught.value.code is ModelCode.DIGEST_MISMATCH


@pytest.mark.parametrize(
    ("card", "code", "where"),
    [
        (_CARD + "weights: other.onnx\n", ModelCode.MISSING, "other.onnx"),
        (_CARD + "files: {net.onnx: '1'}\n", ModelCode.DIGEST_MISMATCH, "net.onnx"),
        (_CARD + "files: {gone.data: '1'}\n", ModelCode.MISSING, "gone.data"),
        (_CARD.replace("classes", "clases"), ModelCode.CARD_INVALID, "card.yaml:4"),
        (_CARD.replace("licence: MIT\n", ""), ModelCode.CARD_INVALID, "card.yaml"),
        (_CARD + "weights: ../net.onnx\n", ModelCode.CARD_INVALID, "card.yaml:7"),
        ("a: [", ModelCode.CARD_INVALID, "card.yaml:1"),
    ],
)
def test_a_folder_whose_card_is_wrong(tmp_path: Path, card: str, code: ModelCode, where: str) -> None:
    write_onnx(tmp_path / "net.onnx")
    (tmp_path / "card.yaml").write_text(card)
    with pytest.raises(ModelError) as caught:
        read_model(tmp_path)
    assert caught.value.code is code
    assert caught.value.where.endswith(where)


def test_what_is_not_there(tmp_path: Path) -> None:
    for path, code in ((tmp_path / "none", ModelCode.MISSING), (tmp_path, ModelCode.CARD_MISSING)):
        with pytest.raises(ModelError) as caught:
            read_model(path)
        assert caught.value.code is code
    with pytest.raises(ModelError) as caught:
        open_folder(tmp_path)
    assert caught.value.code is ModelCode.CARD_MISSING


def test_tensors_that_lie_nowhere_are_missed(tmp_path: Path) -> None:
    path = write_onnx(tmp_path / "net.onnx", external="net.data")
    (tmp_path / "net.data").unlink()
    (tmp_path / "card.yaml").write_text(_CARD)
    for where in (path, tmp_path):
        with pytest.raises(ModelError) as caught:
            read_model(where, tmp_path / "card.yaml")
        assert caught.value.code is ModelCode.EXTERNAL_DATA_MISSING
