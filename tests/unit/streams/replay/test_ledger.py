from sinks.postgres.replays import PartitionProgress
from streams.replay.ledger import Ledger, Sent


def ledger() -> Ledger:
    return Ledger([PartitionProgress(0, 10, 20, 10), PartitionProgress(1, 0, 5, 3, frames=3)])


def test_only_what_is_acknowledged_with_all_before_it_counts() -> None:
    book, sent = ledger(), [Sent(10, 100), Sent(12, 200), Sent(13, 300)]
    for one in sent:
        book.sent(0, one)
    book.acknowledge(0, sent[1])
    assert book.take_changed() == []
    book.acknowledge(0, sent[0])
    assert book.take_changed() == [PartitionProgress(0, 10, 20, 13, frames=2, bytes=300)]
    assert book.waiting() == 1
    book.acknowledge(0, sent[2])
    assert book.take_changed() == [PartitionProgress(0, 10, 20, 14, frames=3, bytes=600)]
    assert book.take_changed() == []


def test_what_is_not_wanted_moves_the_place_only_behind_what_waits() -> None:
    book, sent = ledger(), Sent(11)
    book.reached(0, 11)
    book.sent(0, sent)
    book.reached(0, 20)
    assert [one.next_offset for one in book.progress()] == [11, 3]
    book.acknowledge(0, sent)
    assert book.progress()[0].next_offset == 20
    assert book.progress()[0].done


def test_what_is_nowhere_is_counted_as_missing_and_not_as_sent() -> None:
    book = ledger()
    book.sent(1, Sent(3, missing=True, done=True))
    book.sent(1, Sent(4, 50, archived=True, done=True))
    assert book.take_changed() == [PartitionProgress(1, 0, 5, 5, frames=4, bytes=50, archived=1, missing=1)]


def test_what_is_left_begins_where_reading_has_come_to() -> None:
    book = ledger()
    book.sent(0, Sent(10))
    assert book.left() == {0: (11, 20), 1: (3, 5)}
    book.reached(1, 5)
    assert book.left() == {0: (11, 20)}


def test_what_could_not_be_saved_is_offered_again() -> None:
    book = ledger()
    book.reached(0, 15)
    changed = book.take_changed()
    book.give_back(changed)
    assert book.take_changed() == changed
