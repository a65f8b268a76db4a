"""A replay by the same models: no verdict and no detection changes, and no number by more than its last digit.

The demo models on drawn scenes: live in full batches, in the replay nearly one by one, which engines may compute
differently in the last bits.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import pytest

from demo_models.making.subjects import SUBJECTS, folder_of
from tests.integration.replaying import rows
from tests.pictures import encode, headers
from tests.quick import make_host
from tests.scenes import put_in_force, store
from tests.world import World, wait_for

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]
FRAMES: Final = 40
_FIRST_SEED: Final = 90_000
# Whose scenes are drawn, and which models fill the roles.
MODELS: Final = {
    "detect": ("demo-polyp", {"detector": "demo-polyp"}),
    "segment": ("demo-banana", {"detector": "demo-banana"}),
    "pose": ("demo-hand", {"detector": "demo-hand"}),
    "classify": ("demo-deepfake", {"classifier": "demo-deepfake"}),
    "banana": ("demo-banana", {"detector": "demo-banana"}),
    "polyp": ("demo-polyp", {"detector": "demo-polyp"}),
    "deepfake": ("demo-deepfake", {"classifier": "demo-deepfake"}),
    "gesture": ("demo-hand", {"detector": "demo-hand", "classifier": "demo-gesture"}),
}
Leaves = dict[tuple[str, ...], Any]


def _leaves(body: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield each value of a result with its path; how many elements a list has counts as a value."""
    if isinstance(body, dict):
        for name, part in body.items():
            yield from _leaves(part, (*path, name))
    elif isinstance(body, list):
        yield (*path, "#"), len(body)
        for place, part in enumerate(body):
            yield from _leaves(part, (*path, str(place)))
    else:
        yield path, body


def _decimals(number: float) -> int:
    return len(repr(number).partition(".")[2])


def _digits(answers: list[Leaves]) -> dict[tuple[str, ...], int]:
    """Return with how many decimals each kind of number is published: the most that any of them has."""
    digits: dict[tuple[str, ...], int] = {}
    for leaves in answers:
        for path, value in leaves.items():
            if isinstance(value, float):
                digits[_kind(path)] = max(digits.get(_kind(path), 0), _decimals(value))
    return digits


def _kind(path: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in path if not name.isdecimal())


def assert_same(live: dict[str, dict[str, Any]], again: dict[str, dict[str, Any]]) -> None:
    """Compare what rows say of the same frames, numbers to one unit of the last digit that is published."""
    assert again.keys() == live.keys()
    pairs = [(dict(_leaves(live[frame])), dict(_leaves(again[frame]))) for frame in live]
    digits = _digits([leaves for pair in pairs for leaves in pair])
    for one, other in pairs:
        assert other.keys() == one.keys()
        for path, value in one.items():
            if isinstance(value, float):
                assert other[path] == pytest.approx(value, rel=0, abs=1.01 * 10.0 ** -digits[_kind(path)]), path
            else:
                assert other[path] == value, path


def _found(live: dict[str, dict[str, Any]]) -> set[str]:
    """Return the classes that were found."""
    detected = {one["class"] for body in live.values() for one in body.get("detections", [])}
    return detected | {body["classification"]["label"] for body in live.values() if "classification" in body}


@pytest.mark.parametrize("like", MODELS)
def test_the_same_models_give_the_same_results(like: str, world_like: Callable[[str], World]) -> None:
    subject, roles = MODELS[like]
    world = world_like(like)
    addresses = {role: store(world, folder_of(name)) for role, name in roles.items()}
    for role, address in addresses.items():
        put_in_force(world, address, role)
    scenes = [SUBJECTS[subject].draw(_FIRST_SEED + number, unseen=True) for number in range(FRAMES)]
    pictures = [encode((".png", ".jpg")[number % 2], scene.picture_bgr) for number, scene in enumerate(scenes)]
    media_types = "image/png", "image/jpeg"
    world.publish(
        (picture, headers(f"e{number}", f"/c/{number % 3}", media_types[number % 2]))
        for number, picture in enumerate(pictures)
    )
    worker = world.start_worker()
    world.start_sink("postgres")
    world.wait_for_rows(FRAMES)
    batches = worker.metric("sightline_batch_records_count")
    named = [f"--model={role}={address.name}@{address.version}" for role, address in addresses.items()]
    with make_host() as host:
        host.run(world, "replay", "start", world.pipeline, "--id", "same", "--rate", "20", *named)
    wait_for(lambda: len(rows(world, "same")) == FRAMES, 60, "all answers")
    assert worker.metric("sightline_batch_records_count") - batches > 2 * batches
    live = rows(world, None)
    assert len(_found(live)) >= min(2, len(SUBJECTS[subject].labels))
    assert_same(live, rows(world, "same"))
