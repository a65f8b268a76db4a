"""From one state to the next, as an operator asks for it."""

from datetime import UTC, datetime

import pytest

from schemas.errors import ConfigurationError
from sightline.models.changes import Author, Place, activate, promote, roll_back, same_models, set_canary, set_shadow
from tests.unit.models.samples import address

A, B, C = address(version="1", digit="a"), address(version="2", digit="b"), address(version="3", digit="c")
ME = Author("me@here", datetime(2026, 3, 1, tzinfo=UTC))
PLACE = Place("shapes", "detector")


def test_the_first_activation_has_nothing_before_it() -> None:
    state = activate(PLACE, None, A, ME)
    assert (state.pipeline, state.role, state.live, state.previous) == ("shapes", "detector", A, None)
    assert (state.activated_by, state.activated_at) == (ME.who, ME.now)
    with pytest.raises(ConfigurationError, match="no model was live before"):
        roll_back(state, ME)


def test_a_new_live_model_ends_canary_and_shadow_and_can_be_rolled_back() -> None:
    first = activate(PLACE, None, A, ME)
    busy = set_shadow(set_canary(first, B, 0.1, None, ME), C, ME)
    second = activate(PLACE, busy, B, ME)
    assert (second.live, second.previous, second.canary, second.shadow) == (B, A, None, None)
    back = roll_back(set_shadow(set_canary(second, C, 0.5, None, ME), A, ME), ME)
    assert (back.live, back.previous, back.canary, back.shadow) == (A, B, None, None)
    assert roll_back(back, ME).live == B
    assert len({state.activation_id for state in (first, busy, second, back)}) == 4


def test_activating_what_is_live_keeps_the_way_back() -> None:
    state = activate(PLACE, activate(PLACE, None, A, ME), B, ME)
    again = activate(PLACE, set_canary(state, C, 0.1, None, ME), B, ME)
    assert (again.live, again.previous, again.canary) == (B, A, None)
    assert same_models(state, again)
    assert not same_models(None, again)


def test_raising_the_share_keeps_the_salt() -> None:
    state = set_canary(activate(PLACE, None, A, ME), B, 0.1, "source", ME)
    assert state.canary is not None
    raised = set_canary(state, None, 0.5, None, ME)
    named = set_canary(state, B, 0.5, "source", ME)
    assert raised.canary == named.canary == state.canary.model_copy(update={"share": 0.5})
    for other in (set_canary(state, C, 0.1, None, ME), set_canary(state, B, 0.1, "frame", ME)):
        assert other.canary is not None
        assert other.canary.salt != state.canary.salt
    ended = set_canary(state, None, 0, None, ME)
    assert ended.canary is None
    fresh = set_canary(ended, B, 0.1, "source", ME)
    assert fresh.canary is not None
    assert fresh.canary.salt != state.canary.salt


def test_a_canary_needs_a_model_that_is_not_live() -> None:
    state = activate(PLACE, None, A, ME)
    with pytest.raises(ConfigurationError, match="has no canary"):
        set_canary(state, None, 0.2, None, ME)
    with pytest.raises(ConfigurationError, match="is the live model"):
        set_canary(state, A, 0.2, None, ME)
    with pytest.raises(ConfigurationError, match="is the live model"):
        set_shadow(state, A, ME)


def test_promoting_makes_the_canary_live() -> None:
    state = set_canary(activate(PLACE, None, A, ME), B, 0.5, None, ME)
    promoted = promote(set_shadow(state, C, ME), ME)
    assert (promoted.live, promoted.previous, promoted.canary, promoted.shadow) == (B, A, None, C)
    assert promote(set_shadow(state, B, ME), ME).shadow is None
    with pytest.raises(ConfigurationError, match="has no canary"):
        promote(promoted, ME)


def test_a_shadow_begins_and_ends() -> None:
    state = set_shadow(activate(PLACE, None, A, ME), B, ME)
    assert (state.live, state.shadow) == (A, B)
    assert set_shadow(state, None, ME).shadow is None
