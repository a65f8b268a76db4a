"""What a run of malformed messages calls wrong."""

from collections import Counter

from tests.fuzz.books import Books
from tests.fuzz.run import Outcome
from tests.fuzz.sending import Sender


def _outcome(deaths: int = 0, memory_mb: list[float] | None = None, codes: Counter[str] | None = None) -> Outcome:
    books, sender = Books(codes=codes or Counter({"decode picture_corrupt": 7})), Sender("127.0.0.1:9")
    return Outcome(books, sender, 1.0, {"worker": memory_mb or [100.0, 100.0]}, deaths, {"t": (1, 1)}, wave=5000)


def test_nothing_is_wrong_with_dead_letters_of_bad_input() -> None:
    assert _outcome().findings() == []


def test_a_message_that_kills_hangs_or_baffles_the_process_is_a_finding() -> None:
    assert _outcome(deaths=1).findings() == ["1 deaths of the process that decodes"]
    for code in ("process process_hung", "process process_killed", "process memory_exhausted"):
        assert _outcome(codes=Counter({code: 2})).findings() == [f"2 x {code}"]


def test_memory_may_have_steps_and_may_not_go_on_rising() -> None:
    settled = [100.0, 130, 140, 150, 150, 150, 150, 150, 150, 150, 162, 162]
    assert _outcome(memory_mb=settled).findings() == []
    leaking = [100.0 + 2 * wave for wave in range(12)]
    assert _outcome(memory_mb=leaking).findings() == ["worker grows by 400 bytes a message"]
    assert _outcome(memory_mb=[100.0, 100.0, 145.0]).findings() == ["worker grew from 100 to 145 MB"]
