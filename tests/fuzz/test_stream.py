"""The generators: what they send can be sent again."""

import itertools
from collections import Counter

from schemas.activation import ModelAddress
from schemas.replay import OverridesReference
from tests.fuzz.stream import Malformed, Surroundings, stream

MODEL = ModelAddress(name="m", version="1", digest="0" * 64)
SURROUNDINGS = Surroundings("polyp", [OverridesReference("0" * 64, "s3://b/k")], [MODEL], shared=True)


def _messages(seed: int, count: int) -> list[Malformed]:
    return list(itertools.islice(stream(SURROUNDINGS, seed), count))


def test_the_same_seed_gives_the_same_messages_and_another_others() -> None:
    messages = _messages(1, 1000)
    assert _messages(1, 1000) == messages
    assert _messages(2, 1000) != messages


def test_every_kind_comes_and_no_type_is_of_a_later_version() -> None:
    """A later major version is not malformed: a sink waits for whoever can read it."""
    messages = _messages(3, 5000)
    assert len(Counter(message.kind for message in messages)) == 14
    types = {value for message in messages for name, value in message.headers if name == "ce_type"}
    later = {value for value in types if value and value.startswith((b"sightline.result.v", b"sightline.artifact.v"))}
    assert later <= {b"sightline.result.v1", b"sightline.artifact.v1"}
