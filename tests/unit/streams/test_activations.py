"""Reading the states of a role, without a broker; with one in `tests/integration/test_models.py`."""

import pytest

from schemas.activation import Activation
from sightline.runtime.clock import SystemClock
from sightline.runtime.settings import KafkaSettings
from streams.activations import ActivationReader, _parse
from tests.unit.models.samples import activation, address
from tests.world import wait_for

_STATE = activation(address())


def test_a_state_is_read() -> None:
    assert _parse(_STATE.to_json(), 0, "shapes", "detector") == _STATE


@pytest.mark.parametrize(
    "value",
    [None, b"", b"\xff", b"null", b"{}", b'{"live": 1}', b'"' * 1000, _STATE.to_json()[:-1]],
)
def test_what_is_no_state_is_left_out(value: bytes | None) -> None:
    assert _parse(value, 0, "shapes", "detector") is None


@pytest.mark.parametrize("place", [("other", "detector"), ("shapes", "classifier")])
def test_a_state_of_elsewhere_is_left_out(place: tuple[str, str]) -> None:
    assert _parse(_STATE.to_json(), 0, *place) is None


def test_a_later_release_may_say_more() -> None:
    value = _STATE.to_json()[:-1] + b', "later": {"a": 1}}'
    parsed = _parse(value, 0, "shapes", "detector")
    assert parsed is not None
    assert parsed.live == _STATE.live


class _Reader:
    """What a reader handed over, from states as they come."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, Activation]] = []
        settings = KafkaSettings(bootstrap_servers="127.0.0.1:1")
        roles = ["detector", "classifier"]
        self.reader = ActivationReader(
            settings, "shapes", roles, lambda role, state: self.seen.append((role, state)), SystemClock()
        )


def test_all_roles_must_be_read_before_it_counts() -> None:
    following = _Reader()
    reader = following.reader
    reader._reached_end("detector", _STATE)
    assert not reader.wait_read(0)
    assert reader.problem() == "the activations of classifier are not read yet"
    reader._reached_end("classifier", None)
    assert reader.wait_read(0)
    assert reader.problem() is None
    assert following.seen == [("detector", _STATE)]


def test_what_is_read_again_after_an_outage_is_not_handed_over_again() -> None:
    following = _Reader()
    for state in (_STATE, _STATE, None):
        following.reader._reached_end("detector", state)
    assert following.seen == [("detector", _STATE)]
    assert following.reader.current("detector") == _STATE


def test_a_broker_that_is_away_is_waited_for_and_named() -> None:
    reader = _Reader().reader
    reader.start()
    try:
        wait_for(lambda: "kafka" in (reader.problem() or ""), 30, "the outage")
        assert not reader.wait_read(0)
        assert reader.failure() is None
    finally:
        reader.stop()
