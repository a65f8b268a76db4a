import threading
from datetime import datetime

from streams.replay.limiter import Bound, Limiter
from streams.replay.precedence import Precedence
from tests.unit.streams.replay.samples import NOW


class Hands:
    """A clock that a test moves, and a lag that it sets."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.behind: int | None = 0

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, event: threading.Event, timeout_s: float) -> bool:
        self.seconds += timeout_s
        return event.is_set()

    def lag(self) -> int | None:
        return self.behind


def test_it_waits_above_a_limit_until_the_lag_is_half_of_it() -> None:
    hands, others = Hands(), Hands()
    limiter = Limiter([Bound(others, 100, "others"), Bound(hands, 100, "live")], None, hands)
    allowed = []
    for hands.behind in (0, 100, 101, 60, 51, 50, 99):
        allowed.append(limiter.may_go())
        hands.seconds += 1
    assert allowed == [True, True, False, False, False, True, True]
    assert limiter.waits_for is None
    others.behind = 101
    assert not limiter.may_go()
    assert limiter.waits_for == "others"


def test_without_a_limit_nothing_is_waited_for() -> None:
    assert Limiter([], None, Hands()).may_go()


def test_without_a_figure_it_waits_until_there_is_one() -> None:
    hands = Hands()
    limiter = Limiter([Bound(hands, 10, "live")], None, hands)
    allowed = []
    for hands.behind in (None, 0, None, 11, None, 6, 5):
        allowed.append((limiter.may_go(), limiter.waits_for))
    unknown = (False, "live: asks how far they are")
    assert allowed == [unknown, (True, None), unknown, (False, "live"), unknown, (False, "live"), (True, None)]


def test_a_rate_is_kept_and_not_saved_up() -> None:
    hands = Hands()
    limiter = Limiter([], 10, hands)
    sent = 0
    for _ in range(100):
        sent += limiter.may_go()
        hands.seconds += 0.01
    assert 9 <= sent <= 11
    hands.seconds += 60
    assert sum(limiter.may_go() for _ in range(20)) <= 2


def test_live_frames_go_first() -> None:
    hands, in_hand, own = Hands(), [0, 0], 5
    precedence = Precedence([lambda: in_hand[0], lambda: in_hand[1]], lambda: own, 16, hands)
    assert precedence.allowance() == 16
    in_hand[1] = 3
    assert precedence.allowance() == 0
    in_hand[1] = 0
    assert precedence.allowance() == 0  # one of its own is not finished yet
    own = 0
    assert precedence.allowance() == 1
    hands.seconds += 59
    assert precedence.allowance() == 1
    hands.seconds += 2
    assert precedence.allowance() == 16


def test_between_live_frames_a_third_of_the_time_is_a_replays() -> None:
    hands, live, own = Hands(), 1, 0
    precedence = Precedence([lambda: live], lambda: own, 16, hands)
    assert precedence.allowance() == 0
    live, own = 0, 1
    assert precedence.allowance() == 0
    hands.seconds += 0.050
    own = 0
    assert precedence.allowance() == 0  # the pause begins
    hands.seconds += 0.099
    assert precedence.allowance() == 0
    hands.seconds += 0.002
    assert precedence.allowance() == 1
    own = 1
    assert precedence.allowance() == 0
    hands.seconds += 0.050
    own, live = 0, 1
    assert precedence.allowance() == 0  # a live frame came meanwhile: the pause begins all the same
    hands.seconds += 0.101
    live = 0
    assert precedence.allowance() == 1


def test_without_live_loops_a_replay_has_whole_batches() -> None:
    assert Precedence([], lambda: 5, 8, Hands()).allowance() == 8
