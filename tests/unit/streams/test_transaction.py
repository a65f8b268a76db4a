"""Transactions against a client that fails as it is told: nothing twice, nothing lost, nothing left open."""

from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from schemas.errors import OutageError, SetupError
from schemas.message import Message
from sightline.runtime.faults import Faults
from sightline.runtime.settings import KafkaSettings
from streams import transaction as module
from streams.commits_by_transaction import TransactionalCommitter
from streams.patience import GivenBackError, Patience
from streams.publisher import Outgoing, Publishes
from streams.tracker import Record, Tracker
from streams.transaction import Transactions

TOPIC = "frames.unit"
RETRIABLE = KafkaError(KafkaError._TIMED_OUT, "", retriable=True)
ABORTABLE = KafkaError(KafkaError.INVALID_PRODUCER_EPOCH, "", txn_requires_abort=True)
FATAL = KafkaError(KafkaError._FENCED, "", fatal=True)
TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE)
AWAY = KafkaError(KafkaError._TRANSPORT)
GIVEN_UP = KafkaError(KafkaError._PURGE_QUEUE)  # what the others of a failed transaction get


class Broker:
    """What is visible to readers of committed records, and the failures to come, by call."""

    def __init__(self) -> None:
        self.visible: list[bytes | None] = []
        self.offset = 0
        self.offsets: dict[int, int] = {}  # by partition
        self.failures: dict[str, list[KafkaError]] = {}
        self.lost_answers = 0  # commits that come through, and nobody hears of it
        self.refused: set[bytes] = set()
        self.before: dict[str, Callable[[], None]] = {}
        self.producers = 0
        self.away: list[KafkaError] = []  # what the present producer hears of brokers at its next poll
        self.one_stays_away = False
        self.calls: list[str] = []

    def lose_one(self) -> None:
        self.away.append(AWAY)

    def call(self, name: str) -> None:
        self.calls.append(name)
        self.before.pop(name, lambda: None)()
        if self.failures.get(name):
            raise KafkaException(self.failures[name].pop(0))


class FakeProducer:
    def __init__(self, broker: Broker, on_error: Callable[[KafkaError], None]) -> None:
        self._broker = broker
        self._on_error = on_error
        broker.producers += 1
        self._queue: list[tuple[bytes | None, Callable[..., None]]] = []
        self._sent: list[bytes | None] = []
        self._offset = 0
        self._offsets: dict[int, int] = {}

    def init_transactions(self, _: float) -> None:
        self._broker.call("init")

    def begin_transaction(self) -> None:
        self._broker.call("begin")
        self._sent, self._queue, self._offset = [], [], 0

    def produce(self, _: str, value: bytes | None, __: bytes | None, **more: Any) -> None:
        self._broker.call("produce")
        self._queue.append((value, more["on_delivery"]))

    def flush(self, _: float) -> int:
        failed = any(value in self._broker.refused for value, _ in self._queue)
        for value, on_delivery in self._queue:
            on_delivery((TOO_LARGE if value in self._broker.refused else GIVEN_UP) if failed else None, None)
            self._sent += [] if failed else [value]
        self._queue = []
        return 0

    def send_offsets_to_transaction(self, offsets: list[TopicPartition], metadata: object, _: float) -> None:
        assert metadata == "metadata"
        self._broker.call("offsets")
        self._offset = next((place.offset for place in offsets if place.partition == 0), self._offset)
        self._offsets = {place.partition: place.offset for place in offsets}

    def commit_transaction(self, _: float) -> None:
        if self._broker.lost_answers:
            self._broker.lost_answers -= 1
            self._commit()
        self._broker.call("commit")
        self._commit()

    def _commit(self) -> None:
        self._broker.visible += self._sent
        self._broker.offset = self._offset
        self._broker.offsets |= self._offsets

    def abort_transaction(self, _: float) -> None:
        self._broker.call("abort")

    def purge(self, **_: bool) -> None:
        self._broker.call("purge")

    def poll(self, _: float) -> int:
        away, self._broker.away = self._broker.away, []
        for error in [*away, *([AWAY] if self._broker.one_stays_away else [])]:
            self._on_error(error)
        return 0


class FakeConsumer:
    def __init__(self, broker: Broker, member_id: str | None = "member") -> None:
        self._broker = broker
        self._member_id = member_id

    def consumer_group_metadata(self) -> str:
        return "metadata"

    def memberid(self) -> str | None:
        return self._member_id

    def close(self) -> None:
        self._broker.call("close")

    def committed(self, places: list[TopicPartition], timeout: float) -> list[TopicPartition]:  # noqa: ARG002
        self._broker.call("committed")
        return [TopicPartition(place.topic, place.partition, self._broker.offsets.get(place.partition, -1001))
                for place in places]  # fmt: skip


class Instant(Tracker):
    """A tracker whose waits take no time."""

    def wait_unless_given_back(self, records: object, timeout_s: float) -> None:
        del records, timeout_s


class Bench:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.broker = Broker()
        monkeypatch.setattr(module, "make_transactional_producer", self._make_producer)
        monkeypatch.setattr(module, "make_consumer", lambda *_: FakeConsumer(self.broker))
        self.tracker = Instant(lambda _: None)
        self.partition = self.tracker.assign(TOPIC, 0)
        self.outages: list[OutageError] = []
        self.patience = Patience("g", self.tracker, self.outages.append)
        self.committer = TransactionalCommitter("g", self.tracker)
        self.transactions = Transactions(KafkaSettings(), "g", "slot", Faults(None))
        self.transactions.bind(self.tracker, self.committer)
        self.transactions.joined(cast("Consumer", FakeConsumer(self.broker)))
        self.collected = 0
        self._next = 0

    def _make_producer(self, _: object, __: str, ___: float, on_error: Callable[[KafkaError], None]) -> FakeProducer:
        return FakeProducer(self.broker, on_error)

    def records(self, count: int) -> list[Record]:
        self._next += count
        return [self.partition.take(offset, 0, None, b"", [], 1) for offset in range(self._next - count, self._next)]

    def deliver(self, records: Sequence[Record], replacement: bytes | None = None) -> None:
        def act() -> None:
            self.collected += 1
            for record in records:
                message = Message("results.unit", None, b"r%d" % record.offset)
                spare = None if replacement is None else lambda _: Message("results.unit", None, replacement)
                self.transactions.outbox.publish([Outgoing(message, spare)], record.finish)

        self.transactions.deliver(records, act, self.patience)

    def lose(self, partition: int, from_offset: int, goes_on_at: int) -> list[str]:
        """Have offsets reported lost; return what will say when they are."""
        reported: list[str] = []

        def report(out: Publishes) -> None:
            alert = Message("alerts", None, b"lost %d" % from_offset)
            out.publish([Outgoing(alert)], lambda: reported.append("reported"))

        self.transactions.passages.add(from_offset, TopicPartition(TOPIC, partition, goes_on_at), report)
        return reported

    def give_up(self) -> None:
        self.tracker.revoke(TOPIC, 0)

    def assert_settled(self, count: int) -> None:
        assert self.broker.visible == [b"r%d" % n for n in range(count)]
        assert self.broker.offset == count
        assert self.partition.safe_offset() == count
        assert self.committer.due() == []
        assert self.transactions.wait_closed()
        assert not self.committer.sending.locked()


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def test_batches_follow_one_another_with_one_producer(bench: Bench) -> None:
    for _ in range(3):
        bench.deliver(bench.records(4))
    bench.assert_settled(12)
    assert bench.broker.producers == 1
    assert bench.broker.calls.count("init") == 1


def test_a_producer_that_lost_brokers_sends_no_offsets_any_more(bench: Bench) -> None:
    """Those may wait for ever for a coordinator that it remembers."""
    bench.deliver(bench.records(2))
    bench.broker.lose_one()
    bench.deliver(bench.records(2))
    assert bench.broker.producers == 2
    bench.broker.before["produce"] = bench.broker.lose_one
    bench.deliver(bench.records(2))
    assert bench.broker.producers == 3
    bench.assert_settled(6)
    sent = [call for call in bench.broker.calls if call in {"init", "offsets", "abort"}]
    assert sent == ["init", "offsets", "init", "offsets", "abort", "init", "offsets"]


def test_what_is_heard_of_brokers_before_any_offsets_are_sent_costs_no_other(bench: Bench) -> None:
    bench.broker.before = {"init": bench.broker.lose_one, "produce": bench.broker.lose_one}
    bench.deliver(bench.records(2))
    bench.deliver(bench.records(2))
    assert bench.broker.producers == 1
    bench.assert_settled(4)


def test_while_one_broker_stays_away_each_batch_gets_through(bench: Bench) -> None:
    bench.broker.one_stays_away = True
    for _ in range(4):
        bench.deliver(bench.records(2))
    bench.assert_settled(8)
    assert bench.broker.producers == 4
    assert bench.broker.calls.count("abort") == 0


@pytest.mark.parametrize("error", [RETRIABLE, ABORTABLE, FATAL], ids=["retriable", "abortable", "fatal"])
@pytest.mark.parametrize("call", ["init", "begin", "produce", "offsets", "commit", "abort"])
def test_whatever_fails_each_answer_is_visible_once(bench: Bench, call: str, error: KafkaError) -> None:
    bench.broker.failures = {call: [error, error]}
    if call == "abort":
        bench.broker.failures["offsets"] = [ABORTABLE, ABORTABLE]
    bench.deliver(bench.records(3))
    bench.deliver(bench.records(2))
    bench.assert_settled(5)
    assert bench.collected == 2  # the answers themselves are made once


@pytest.mark.parametrize("call", ["init", "begin", "produce", "offsets", "commit", "abort"])
def test_it_is_known_how_long_a_call_takes(bench: Bench, call: str) -> None:
    asked: list[float | None] = []
    bench.broker.before[call] = lambda: asked.append(bench.transactions.asking_s())
    bench.broker.failures = {"offsets": [ABORTABLE]} if call == "abort" else {}
    bench.deliver(bench.records(3))
    assert asked[0] is not None
    assert 0 <= asked[0] < 10
    assert bench.transactions.asking_s() is None


def test_waiting_for_the_next_try_counts_for_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float | None] = []
    wait = bench.tracker.wait_unless_given_back

    def look(records: object, timeout_s: float) -> None:
        asked.append(bench.transactions.asking_s())
        wait(records, timeout_s)

    monkeypatch.setattr(bench.tracker, "wait_unless_given_back", look)
    bench.broker.failures = {"init": [ABORTABLE], "commit": [FATAL]}
    bench.deliver(bench.records(3))
    assert asked == [None, None]


def test_a_retriable_commit_is_asked_for_again_and_nothing_else(bench: Bench) -> None:
    bench.broker.failures = {"commit": [RETRIABLE] * 3}
    bench.deliver(bench.records(1))
    assert bench.broker.calls[-4:] == ["commit"] * 4
    bench.assert_settled(1)


@pytest.mark.parametrize("error", [ABORTABLE, FATAL], ids=["abortable", "fatal"])
def test_a_commit_that_came_through_unheard_is_not_done_twice(bench: Bench, error: KafkaError) -> None:
    bench.deliver(bench.records(2))
    bench.broker.lost_answers = 1
    bench.broker.failures = {"commit": [error]}
    bench.deliver(bench.records(3))
    bench.assert_settled(5)


@pytest.mark.parametrize("call", ["begin", "produce"])
def test_what_went_to_somebody_else_is_aborted_before_its_offsets_are_sent(bench: Bench, call: str) -> None:
    bench.broker.before[call] = bench.give_up
    with pytest.raises(GivenBackError):
        bench.deliver(bench.records(2))
    assert "offsets" not in bench.broker.calls
    assert bench.broker.calls[-1] == "abort"
    assert bench.broker.visible == []
    assert bench.transactions.wait_closed()
    assert not bench.committer.sending.locked()


def test_who_is_in_no_group_sends_no_offsets_and_waits_until_the_records_are_taken_away(bench: Bench) -> None:
    """The broker takes offsets without a member's id from anybody."""
    bench.transactions.joined(cast("Consumer", FakeConsumer(bench.broker, member_id=None)))
    waits: list[OutageError] = []

    def blocked(outage: OutageError) -> None:
        waits.append(outage)
        bench.give_up()

    bench.patience = Patience("g", bench.tracker, blocked)
    with pytest.raises(GivenBackError):
        bench.deliver(bench.records(2))
    assert len(waits) == 1
    assert "offsets" not in bench.broker.calls
    assert bench.broker.visible == []
    assert bench.transactions.wait_closed()


def test_a_commit_without_an_answer_is_settled_when_the_batch_is_given_back(bench: Bench) -> None:
    records = bench.records(2)
    bench.broker.failures = {"commit": [RETRIABLE] * 99}
    bench.broker.before["commit"] = bench.give_up
    with pytest.raises(GivenBackError):
        bench.deliver(records)
    assert bench.broker.calls[-1] == "purge"
    assert bench.transactions.wait_closed()
    assert not bench.committer.sending.locked()


def test_another_stands_in_for_what_is_refused(bench: Bench) -> None:
    bench.broker.refused = {b"r1"}
    bench.deliver(bench.records(3), replacement=b"small")
    assert bench.broker.visible == [b"r0", b"small", b"r2"]
    assert bench.broker.calls.count("abort") == 1
    assert bench.outages == []


def test_what_is_refused_and_has_no_stand_in_waits(bench: Bench) -> None:
    bench.broker.refused = {b"r1"}
    times: list[int] = []

    def mend() -> None:
        times.append(1)
        if len(times) == 1:
            bench.broker.before["abort"] = mend
        else:
            bench.broker.refused = set()

    bench.broker.before["abort"] = mend
    bench.deliver(bench.records(3))
    bench.assert_settled(3)
    assert [type(outage) for outage in bench.outages] == [SetupError]


def test_an_error_of_our_own_leaves_nothing_open(bench: Bench) -> None:
    def act() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        bench.transactions.deliver(bench.records(1), act, bench.patience)
    assert bench.broker.calls == []
    assert bench.transactions.outbox.collect(lambda: None) == []


def test_errands_begin_the_producer_and_pass_markers(bench: Bench) -> None:
    assert bench.transactions.has_errand()
    bench.transactions.run_errand()
    assert not bench.transactions.has_errand()
    bench.deliver(bench.records(2))
    bench.partition.reach(3)  # a marker of somebody's transaction
    assert bench.transactions.has_errand()
    bench.transactions.run_errand()
    assert bench.broker.offset == 3
    assert not bench.transactions.has_errand()


def test_markers_in_a_quiet_partition_are_passed_while_others_are_busy(bench: Bench) -> None:
    quiet = bench.tracker.assign(TOPIC, 1)
    quiet.take(4, 0, None, b"", [], 1)  # in hand, in a batch that comes later
    quiet.reach(9)
    bench.tracker.assign(TOPIC, 2).reach(7)
    bench.deliver(bench.records(2))
    assert bench.broker.offsets == {0: 2, 1: 4, 2: 7}


def test_an_errand_that_fails_is_done_at_the_next_call(bench: Bench) -> None:
    bench.broker.failures = {"init": [RETRIABLE, FATAL]}
    for _ in range(2):
        bench.transactions.run_errand()
        assert bench.transactions.has_errand()
        assert isinstance(bench.transactions.problem(), OutageError)
    bench.transactions.run_errand()
    assert not bench.transactions.has_errand()
    assert bench.transactions.problem() is None
    assert bench.broker.producers == 2


def test_an_errand_whose_partitions_went_away_is_no_problem_any_more(bench: Bench) -> None:
    bench.deliver(bench.records(2))
    bench.partition.reach(3)
    bench.broker.failures = {"offsets": [ABORTABLE]}
    bench.transactions.run_errand()
    assert bench.transactions.problem() is not None
    bench.give_up()
    assert bench.transactions.has_errand()
    bench.transactions.run_errand()
    assert bench.transactions.problem() is None
    assert not bench.transactions.has_errand()


def test_nothing_is_committed_beside_the_transactions(bench: Bench) -> None:
    for record in bench.records(2):
        record.finish()
    bench.committer.commit(cast("Consumer", object()))  # has no method to call
    assert [place.offset for place in bench.committer.due()] == [2]


@pytest.mark.parametrize("busy", [False, True])
def test_offsets_that_are_lost_are_reported_together_with_the_offset_behind_them(bench: Bench, *, busy: bool) -> None:
    quiet = bench.tracker.assign(TOPIC, 1)
    bench.transactions.run_errand()
    bench.broker.failures = {"offsets": [ABORTABLE]}
    reported = bench.lose(1, 5, 9)
    assert bench.transactions.has_errand()
    if busy:
        bench.deliver(bench.records(1))
    else:
        bench.transactions.run_errand()
        assert (bench.broker.visible, bench.broker.offsets, reported) == ([], {}, [])
        bench.transactions.run_errand()
    assert reported == ["reported"]
    assert bench.broker.visible == [*([b"r0"] if busy else []), b"lost 5"]
    assert bench.broker.offsets[1] == quiet.position == 9
    assert not bench.transactions.has_errand()


def test_lost_offsets_wait_for_records_that_were_read_before(bench: Bench) -> None:
    """An answer to them would move the offset back, and they would be lost once more."""
    partition = bench.tracker.assign(TOPIC, 1)
    record = partition.take(4, 0, None, b"", [], 1)
    reported = bench.lose(1, 5, 9)
    bench.deliver(bench.records(1))
    assert not reported
    bench.deliver([record])
    assert not reported
    assert bench.broker.offsets == {0: 1, 1: 5}
    bench.transactions.run_errand()
    assert reported
    assert bench.broker.offsets == {0: 1, 1: 9}
    bench.deliver([partition.take(9, 0, None, b"", [], 1)])
    assert bench.broker.offsets == {0: 1, 1: 10}


def test_of_a_partition_that_went_away_somebody_else_reports_what_is_lost(bench: Bench) -> None:
    bench.tracker.assign(TOPIC, 1)
    bench.transactions.run_errand()
    reported = bench.lose(1, 5, 9)
    bench.tracker.revoke(TOPIC, 1)
    assert not bench.transactions.has_errand()
    bench.tracker.assign(TOPIC, 1)
    bench.deliver(bench.records(1))
    assert not reported
    assert bench.broker.offsets == {0: 1}
    bench.tracker.revoke(TOPIC, 1)
    bench.lose(1, 5, 9)  # too late
    assert not bench.transactions.has_errand()


def test_what_is_lost_by_now_is_reported_once(bench: Bench) -> None:
    bench.tracker.assign(TOPIC, 1)
    reported = bench.lose(1, 5, 9), bench.lose(1, 5, 12)
    bench.transactions.run_errand()
    assert reported == ([], ["reported"])
    assert bench.broker.visible == [b"lost 5"]
    assert bench.broker.offsets == {1: 12}


def test_a_commit_in_doubt_is_not_taken_for_done_where_offsets_begin_again(bench: Bench) -> None:
    """The topic was made anew: the offset that the group had leads further than the one in doubt."""
    bench.broker.offsets = {0: 100}
    bench.broker.failures = {"commit": [FATAL]}
    bench.deliver(bench.records(2))
    bench.assert_settled(2)


@pytest.mark.parametrize(
    ("error", "lost_answers"), [(FATAL, 0), (FATAL, 1), (ABORTABLE, 0), (ABORTABLE, 1), (RETRIABLE, 0)]
)
def test_an_errand_that_is_in_doubt_says_what_is_lost_once(bench: Bench, error: KafkaError, lost_answers: int) -> None:
    bench.tracker.assign(TOPIC, 1)
    bench.transactions.run_errand()
    bench.broker.failures, bench.broker.lost_answers = {"commit": [error, RETRIABLE]}, lost_answers
    reported = bench.lose(1, 5, 9)
    bench.transactions.run_errand()
    assert reported == ["reported"]
    assert bench.broker.visible == [b"lost 5"]
    bench.deliver(bench.records(1))
    assert bench.broker.visible == [b"lost 5", b"r0"]
    assert bench.transactions.problem() is None
