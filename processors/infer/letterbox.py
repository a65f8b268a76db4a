"""The letterbox: the whole picture inside the model's input, its sides' ratio kept, centred on a grey border."""

from dataclasses import dataclass

from processors.infer.resize import Size


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a picture lies in the input: resized to `resized_wh`, its corner at `offset`, in a frame of `frame_wh`."""

    resized_wh: Size
    offset: Size
    frame_wh: Size


def place(picture_wh: Size, input_wh: Size, multiple: int | None = None) -> Placement:
    """Return the placement of a picture; with `multiple` the frame's sides are cut to the smallest multiples of it.

    Sizes and borders are rounded as ultralytics rounds them: a side is at least one pixel, and of an odd border the
    smaller half is left and above.
    """
    ratio = min(input_wh[0] / picture_wh[0], input_wh[1] / picture_wh[1])
    width, height = (max(round(side * ratio), 1) for side in picture_wh)
    frame_wh = (_side(width, input_wh[0], multiple), _side(height, input_wh[1], multiple))
    offset = (_border(frame_wh[0] - width), _border(frame_wh[1] - height))
    return Placement((width, height), offset, frame_wh)


def _side(side: int, most: int, multiple: int | None) -> int:
    """Return the frame's side: the input's less all whole multiples that are not needed."""
    return most if multiple is None else side + (most - side) % multiple


def _border(spare: int) -> int:
    return round(spare / 2 - 0.1)
