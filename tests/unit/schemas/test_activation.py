"""Activations on the wire, and which side of a canary a frame is on."""

import itertools
import json

import pytest
from pydantic import ValidationError

from processors.infer.lineup import CanaryModel, Lineup
from schemas.activation import ACTIVATION_SCHEMA, Activation, Canary, takes_side
from schemas.encoding import from_timestamp_ms
from schemas.identity import frame_id
from schemas.jsonschemas import schema_id
from schemas.message import activation_message
from tests.unit.models.samples import activation, address, loaded, make_card

A, B = address(version="1", digit="a"), address(version="2", digit="b")
CAMERAS = ("/gates/1", "/gates/2", "/gates/3")
FRAMES = [
    (frame_id(source, str(number), from_timestamp_ms(number), "0" * 64), source)
    for number, source in zip(range(10_000), itertools.cycle(CAMERAS), strict=False)
]


def _canary(share: float, by: str = "frame") -> Canary:
    return Canary.model_validate({"model": B, "share": share, "by": by, "salt": "salt"})


def test_a_state_survives_the_wire() -> None:
    state = activation(A, canary=_canary(0.25, "source"), shadow=B, previous=B)
    message = activation_message(state)
    assert message.topic == "models.shapes.detector"
    assert message.key == b"detector"
    assert message.value is not None
    assert Activation.model_validate_json(message.value) == state
    assert schema_id("activation") == ACTIVATION_SCHEMA
    assert dict(message.headers)["ce_dataschema"] == ACTIVATION_SCHEMA.encode()


def test_fields_of_later_releases_are_kept() -> None:
    content = {**json.loads(activation(A).to_json()), "later": 1}
    assert json.loads(Activation.model_validate(content).to_json()) == content


@pytest.mark.parametrize(
    "changes",
    [
        {"live": {"name": "../x", "version": "1", "digest": "a" * 64}},
        {"live": {"name": "x", "version": "a/b", "digest": "a" * 64}},
        {"live": {"name": "x", "version": "1", "digest": "a" * 63}},
        {"live": {"name": "x", "version": "1\n", "digest": "a" * 64}},
        {"canary": {"model": B, "share": 0, "salt": "s"}},
        {"canary": {"model": B, "share": 1.5, "salt": "s"}},
        {"canary": {"model": A, "share": 0.5, "salt": "s"}},
        {"canary": {"model": B, "share": 0.5, "salt": "s", "by": "moon"}},
        {"live": None},
    ],
)
def test_what_a_worker_cannot_follow_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        activation(**{"live": A, **changes})  # type: ignore[arg-type]  # wrong on purpose


def test_ten_percent_of_the_frames_of_three_cameras() -> None:
    canary = _canary(0.1)
    taken = [source for frame, source in FRAMES if canary.takes(frame, source)]
    assert 900 <= len(taken) <= 1100
    assert all(taken.count(camera) > 200 for camera in CAMERAS)


def test_raising_the_share_moves_no_frame_back() -> None:
    sides = [{frame for frame, source in FRAMES if _canary(share).takes(frame, source)} for share in (0.1, 0.2, 0.5, 1)]
    for smaller, larger in itertools.pairwise(sides):
        assert smaller < larger
    assert len(sides[-1]) == len(FRAMES)


def test_by_source_a_camera_is_on_one_side() -> None:
    canary = _canary(0.5, "source")
    sources = [f"/gates/{number}" for number in range(1000)]
    taken = {source for source in sources if canary.takes("any", source)}
    assert 430 < len(taken) < 570
    assert taken == {source for source in sources if canary.takes("other", source)}


def test_another_salt_takes_other_frames() -> None:
    first, second = ({frame for frame, _ in FRAMES if takes_side(salt, frame, 0.1)} for salt in ("a", "b"))
    assert 0 < len(first & second) < 0.2 * len(first)


@pytest.mark.parametrize("by_source", [False, True])
def test_a_lineup_chooses_as_the_activation_says(*, by_source: bool) -> None:
    live, other = loaded(make_card(version="1")), loaded(make_card(version="2"))
    canary = _canary(0.1, "source" if by_source else "frame")
    lineup = Lineup({"detector": live}, {"detector": CanaryModel(other, 0.1, by_source, canary.salt)})
    for frame, source in FRAMES:
        expected = other if canary.takes(frame, source) else live
        assert lineup.choose(frame, source) == {"detector": expected}
