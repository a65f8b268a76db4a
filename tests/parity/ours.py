"""What our own code answers, without a worker around it: inspect, decode, prepare, run, read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import onnxruntime

from processors.decode.pictures import Pixels, decode_picture
from processors.infer.heads import check_outputs, make_head
from processors.infer.interface import Answer, Head, Prepared, Tensor
from processors.inspect import inspect_picture
from schemas.frame import Frame, Origin
from schemas.identity import sha256_hex
from schemas.modelcard import ModelCard, Thresholds
from schemas.pipeline import MIB, InputRules, MediaType
from sightline.models.metadata import card_fields

_ANY = InputRules(media_types=tuple(MediaType), max_bytes=32 * MIB)
_BARE = Origin("frames.parity", 0, 0)


@dataclass(frozen=True)
class Ours:
    """A model with its card, ready to answer."""

    card: ModelCard
    head: Head
    session: Any

    def answer(self, pictures: Sequence[Prepared], asked: Sequence[Thresholds]) -> list[Answer]:
        """Answer one batch."""
        return self.head.read(self.run(pictures), pictures, asked)

    def run(self, pictures: Sequence[Prepared]) -> list[Tensor]:
        outputs: list[Tensor] = self.session.run(None, {self.session.get_inputs()[0].name: self.head.stack(pictures)})
        check_outputs(self.card, outputs)
        return outputs


def decode(file: Path) -> Pixels:
    data = file.read_bytes()
    moment = datetime(2025, 1, 1, tzinfo=UTC)
    frame = Frame(file.name, file.name, "/parity", moment, _BARE, data, sha256_hex(data))
    return decode_picture(inspect_picture(frame, _ANY))


def load(model: Path, card: ModelCard) -> Ours:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return Ours(card, make_head(card), session)


def ultralytics_card(model: Path, size: tuple[int, int]) -> ModelCard:
    """Return the card that the exporter's metadata makes, for an input of another size."""
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    shape = tuple(axis if isinstance(axis, int) else None for axis in session.get_outputs()[0].shape)
    fields = card_fields(session.get_modelmeta().custom_metadata_map, "float32", shape, str(model))
    files = {"model.onnx": sha256_hex(model.read_bytes())}
    return ModelCard(**fields | {"name": model.parent.name, "version": "1", "files": files, "input_wh": size})
