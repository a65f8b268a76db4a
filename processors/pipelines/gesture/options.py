"""The numbers of the gesture pipeline's arithmetic."""

from typing import Annotated

from pydantic import Field

from processors.pipelines.summary import Options

Ratio = Annotated[float, Field(gt=0, le=10, strict=True)]


class GestureOptions(Options):
    """From which ratio of distances on a finger counts as extended; see `fingers.extended_fingers`."""

    finger_ratio: Ratio = 1.0
    thumb_ratio: Ratio = 1.0
