"""A loaded model on pictures at hand, a batch at a time."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from processors.infer.batching import infer
from processors.infer.interface import Answer
from processors.infer.model import LoadedModel
from schemas.errors import InputError, SightlineError
from schemas.modelcard import Thresholds
from sightline.models.pictures import read_pixels

# Decoded pictures that are held at once; a photo of 12 MP takes 36 MB.
_AT_A_TIME = 4


class PictureFailedError(SightlineError):
    """A model fails on a picture that a score needs."""

    def __init__(self, picture: Path, error: InputError) -> None:
        super().__init__(f"{picture}: {error}")
        self.picture = picture


def predict(
    model: LoadedModel, pictures: Sequence[Path], thresholds: Thresholds
) -> Iterator[tuple[tuple[int, int], Answer]]:
    """Yield, for each picture file in order, its size (width, height) once upright, and the model's answer.

    Raises ConfigurationError for a file that is no picture, PictureFailedError where the model fails on one.
    """
    for start in range(0, len(pictures), _AT_A_TIME):
        paths = pictures[start : start + _AT_A_TIME]
        prepared = [model.head.prepare(read_pixels(path)) for path in paths]
        answers = infer(model, prepared, [thresholds] * len(prepared))
        for path, one, answer in zip(paths, prepared, answers, strict=True):
            if isinstance(answer, InputError):
                raise PictureFailedError(path, answer)
            yield one.original_wh, answer
