"""Exactly once: what a batch gives rise to and the offsets of its records become visible together, or not at all.

In this order, for each batch:

1. collect everything that its records give rise to;
2. begin a transaction, hand the messages over, and wait until the broker has them all;
3. take the group's metadata as it was at the last assignment, and only then look whether the records are still ours:
   an assignment that has ended shows in the records, or the broker finds its metadata old;
4. send the offsets with that metadata, and commit;
5. finish the records.

A transaction that fails is aborted, and the same batch goes into the next one: its records stay in hand, so nothing
is sought back, and nothing passed by. Nothing stays open when the batch is given back. When nobody knows whether a
commit came through, the group's committed offsets tell, once a new producer has settled the old one's transaction.

From step 4 on no offset is committed beside the transaction (`Committer.sending`): an older one, written later, would
stand.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition

from schemas.errors import OutageError
from sightline.runtime import metrics
from sightline.runtime.backoff import Backoff
from sightline.runtime.faults import BEFORE_COMMIT, IN_TRANSACTION, Faults
from sightline.runtime.kafka import SERVICE, make_consumer, make_transactional_producer, map_kafka_error
from sightline.runtime.log import get_logger
from sightline.runtime.settings import KafkaSettings
from streams.commits_by_transaction import TransactionalCommitter
from streams.outbox import Outbox, Parcel
from streams.parcels import ReplacedError, replace_refused, send_parcels
from streams.passages import Passage, Passages
from streams.patience import GivenBackError, Patience
from streams.tracker import Record, TrackedPartition, Tracker

_log = get_logger(__name__)
# How long a killed worker holds up readers of committed records, when its slot does not come back.
TRANSACTION_S: Final = 10.0
_CALL_S: Final = 5.0
# A hand-over waits so long for a commit or an abort; after that the producer is dropped, and the broker decides.
_LEAVE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class _Load:
    """What becomes visible together. `holders` are those whose assignments must still stand."""

    parcels: list[Parcel]
    offsets: list[TopicPartition]
    passages: list[Passage]
    holders: Sequence[Record | TrackedPartition]

    @property
    def places(self) -> list[TopicPartition]:
        """All the offsets that it commits."""
        return [*self.offsets, *(passage.place for passage in self.passages)]

    def held(self) -> bool:
        """Tell whether all of it is still ours."""
        return all(holder.held for holder in self.holders)


class Transactions:
    """The transactions of one group in this process. `slot` must be no other live process's.

    `deliver` and `run_errand` are called by one thread at a time; the rest from any.
    """

    def __init__(self, kafka: KafkaSettings, group: str, slot: str, faults: Faults) -> None:
        self._kafka = kafka
        self._group = group
        self._id = f"{group}.{slot}"
        self.outbox = Outbox()  # what stands in the place of a publisher
        self._faults = faults
        self._metadata: object = None
        self._producer: Producer | None = None
        self._begun = False  # a producer that is begun has an epoch: older ones of this id are shut out
        self._disturbed = threading.Event()  # the present producer has lost a broker
        self._sent_before = False  # it has, and so remembers the group's coordinator
        self._sent: list[TopicPartition] = []
        self._sending = False  # we hold the committer's lock
        self._committing = False
        self._doubtful = False
        self._problem: OutageError | None = None
        self._asking_since: float | None = None
        self._closed = threading.Event()  # set: no transaction is open
        self._closed.set()

    def bind(self, tracker: Tracker, committer: TransactionalCommitter) -> None:
        """Say whose offsets are sent; once, before anything else."""
        self._tracker = tracker
        self._committer = committer
        self.passages = Passages(tracker)  # offsets that lead over what is lost, with the alerts that say so

    def joined(self, consumer: Consumer) -> None:
        """Take up the group's metadata; called with each assignment, in the polling thread, before it is taken on.

        Asked for later it could be that of a member who has lost his partitions, or of no member at all, whom the
        broker does not fence. And a work thread would wait for seconds: the client lets one thread in at a time.
        """
        metadata = consumer.consumer_group_metadata()
        # Looked at second: a member who is put out does not come back before we have given his partitions up.
        self._metadata = metadata if consumer.memberid() else None

    def deliver(self, records: Sequence[Record], act: Callable[[], None], patience: Patience) -> None:
        """Call `act`, which publishes into the outbox, and make that and the records' offsets visible together.

        Blocks through any outage. Raises GivenBackError, and whatever else `act` raises.
        """
        parcels = patience.insist(records, lambda: self.outbox.collect(act))
        load = self._load(parcels, records)
        try:
            patience.insist(records, lambda: self._try(load))
            self._problem = None
            self._finish(load)
        finally:
            self._leave()

    def has_errand(self) -> bool:
        """Tell whether a producer is to be begun, or offsets lead past what is no record, or is lost."""
        waiting = self._committer.due() or self.passages.ready()
        return not self._begun or self._problem is not None or bool(waiting)

    def run_errand(self) -> None:
        """Begin a producer, which ends what an earlier process of this id left open; commit what needs no message.

        May block for seconds. What fails is tried at the next call.
        """
        try:
            self._ready()
            load = self._load([], [])
            if load.places:
                self._insist(load)
                self._finish(load)
        except OutageError as outage:
            self._problem = outage
            _log.info("transactions wait", group=self._group, reason=str(outage))
        except GivenBackError:
            self._problem = None
        else:
            self._problem = None
        finally:
            self._leave()

    def _insist(self, load: _Load) -> None:
        """Try it once, and as long as nobody knows whether it came through: sent again, it could stand twice."""
        backoff = Backoff()
        while True:
            try:
                self._try(load)
            except OutageError as outage:
                if not (self._committing or self._doubtful) or not load.held():
                    raise
                self._problem = outage
                self._tracker.wait_unless_given_back(load.holders, backoff.next_delay_s())
            else:
                return

    def problem(self) -> OutageError | None:
        """Return what kept the last errand from its end: publishing is not possible at present."""
        return self._problem

    def asking_s(self) -> float | None:
        """Return how long the client has been asked for what it does or refuses in seconds; None: it is not asked."""
        since = self._asking_since  # read once: it is asked from any thread
        return None if since is None else time.monotonic() - since

    def wait_closed(self) -> bool:
        """Block until no transaction is open, for two seconds at most; a hand-over calls it in the end."""
        return self._closed.wait(_LEAVE_S)

    # -- one try ------------------------------------------------------------------------------------------

    def _load(self, parcels: list[Parcel], records: Sequence[Record]) -> _Load:
        """Put together what the next transaction carries: what is due elsewhere goes with a batch.

        While others are busy, no errand is run for a partition that is not.
        """
        passages = self.passages.ready()
        passed = {_key(passage.place) for passage in passages}
        offsets = {_key(place): place for place in self._committer.due() if _key(place) not in passed}
        holders: list[Record | TrackedPartition] = [*records, *(passage.tracked for passage in passages)]
        if not records:
            holders += self._tracked(offsets)
        offsets |= _behind(records)
        reports = [parcel for passage in passages for parcel in passage.parcels]
        return _Load([*parcels, *reports], list(offsets.values()), passages, holders)

    def _tracked(self, keys: Collection[tuple[str, int]]) -> list[TrackedPartition]:
        tracked = [one for key in keys if (one := self._tracker.get(*key)) is not None]
        if len(tracked) < len(keys):
            raise GivenBackError
        return tracked

    def _try(self, load: _Load) -> None:
        """Run the whole in one transaction. Raises OutageError: call again; GivenBackError: not ours any more."""
        while True:
            try:
                if self._committing:
                    self._commit(_CALL_S)
                elif not self._was_committed(load.places):
                    self._run(self._ready(), load)
            except KafkaException as error:
                self._fail(error.args[0])
                raise map_kafka_error(error.args[0]) from error
            except ReplacedError:
                self._abort()
            except (OutageError, GivenBackError):
                self._abort()
                raise
            else:
                return

    @contextmanager
    def _asking(self) -> Iterator[None]:
        self._asking_since = time.monotonic()
        try:
            yield
        finally:
            self._asking_since = None

    def _run(self, producer: Producer, load: _Load) -> None:
        self._closed.clear()
        with self._asking():
            producer.begin_transaction()
            failures = send_parcels(producer, load.parcels, load.held, timeout_s=TRANSACTION_S)
        replace_refused(failures)
        self._faults.passing(IN_TRANSACTION)
        if not self._sending:  # kept where a commit before this one was in doubt
            self._committer.begin_sending()
            self._sending = True
        metadata = self._metadata
        if not load.held():
            raise GivenBackError
        if metadata is None:
            raise OutageError(SERVICE, "the group has put us out")
        if self._is_disturbed(producer):
            raise OutageError(SERVICE, "a broker was away")
        if not self._sent_before:
            self._disturbed.clear()
            self._sent_before = True
        self._sent = self._committer.with_marks(load.offsets, [passage.place for passage in load.passages])
        with self._asking():
            producer.send_offsets_to_transaction(self._sent, metadata, _CALL_S)
        self._faults.passing(BEFORE_COMMIT)
        self._committing = True
        self._commit(_CALL_S)

    def _commit(self, timeout_s: float) -> None:
        if self._producer is not None:
            with self._asking():
                self._producer.commit_transaction(timeout_s)
        self._committing = False
        self._closed.set()

    def _finish(self, load: _Load) -> None:
        """Note what is committed, then finish the records: in between nothing else may commit."""
        metrics.TRANSACTIONS.labels(self._group, "committed").inc()
        self.passages.committed(load.passages)
        self._committer.committed(self._sent)
        for parcel in load.parcels:
            for outgoing in parcel.messages:
                metrics.MESSAGES_PUBLISHED.labels(outgoing.message.topic).inc()
            parcel.on_done()

    def _ready(self) -> Producer:
        """Return a producer that has no transaction open. Raises OutageError."""
        self._abort()
        if self._producer is not None and self._is_disturbed(self._producer):
            self._drop()
        if self._producer is None:
            self._disturbed = threading.Event()
            self._producer = self._make(self._disturbed)
        if not self._begun:
            self._begin(self._producer)
        return self._producer

    def _make(self, disturbed: threading.Event) -> Producer:
        return make_transactional_producer(self._kafka, self._id, TRANSACTION_S, lambda _: disturbed.set())

    def _begin(self, producer: Producer) -> None:
        try:
            with self._asking():
                producer.init_transactions(_CALL_S)
        except KafkaException as error:
            if not error.args[0].retriable():
                self._drop()
            raise map_kafka_error(error.args[0]) from error
        self._begun = True

    def _is_disturbed(self, producer: Producer) -> bool:
        """Tell whether a broker was away: the group's coordinator, as the client remembers it, may be that one.

        Sent to it, offsets wait for ever, whatever the time that they are given (librdkafka issue 5511). A client that
        has sent none yet remembers nobody; so each one gets a transaction through, also while a broker stays away.
        Not all is heard: of a broker that leaves the cluster's metadata before its connection ends, nothing is said.
        There `asking_s` tells.
        """
        producer.poll(0)
        return self._sent_before and self._disturbed.is_set()

    def _was_committed(self, offsets: Sequence[TopicPartition]) -> bool:
        """Tell whether a commit without an answer came through. Raises OutageError, KafkaException.

        The new producer has settled it, and the broker answers only when no offset is pending. Offsets need not grow:
        those of a topic that was made anew begin again. Where others have led on, we do not hold the partition.
        """
        if not self._doubtful:
            return False
        self._ready()
        wanted = {_key(place): place.offset for place in offsets}
        with self._asking(), closing(make_consumer(self._kafka, self._group)) as consumer:
            found = consumer.committed([TopicPartition(*place) for place in wanted], timeout=_CALL_S)
        for place in found:
            if place.error is not None:
                raise KafkaException(place.error)
        self._doubtful = False
        return all(place.offset == wanted[_key(place)] for place in found)

    # -- when it fails ------------------------------------------------------------------------------------

    def _fail(self, error: KafkaError) -> None:
        """Tell the kinds apart: a commit that is retriable is asked for again, what is fatal needs a new producer."""
        _log.warning(
            "transaction failed",
            id=self._id,
            code=error.name(),
            fatal=error.fatal(),
            retriable=error.retriable(),
            abortable=error.txn_requires_abort(),
        )
        if self._committing and error.retriable():
            return
        self._doubtful = self._doubtful or self._committing
        self._committing = False
        if error.fatal() or error.code() == KafkaError._TIMED_OUT:  # noqa: SLF001 -- the name it has
            # What it waited for may never come.
            self._drop()
        else:
            self._abort()

    def _abort(self) -> None:
        """Take back what is open; where that cannot be done now, a new producer will. Never raises."""
        if self._closed.is_set():
            return
        if self._producer is None or self._committing:
            self._drop()
            return
        metrics.TRANSACTIONS.labels(self._group, "aborted").inc()
        try:
            with self._asking():
                self._producer.abort_transaction(_CALL_S)
        except KafkaException as error:
            _log.warning("abort failed", id=self._id, code=error.args[0].name())
            self._drop()
        else:
            self._settle()

    def _drop(self) -> None:
        """Give the producer up; the next one of the same id settles what this one left open."""
        if self._producer is not None:
            metrics.TRANSACTIONS.labels(self._group, "dropped").inc()
            with self._asking():
                with suppress(KafkaException):
                    self._producer.purge(in_queue=True, in_flight=True)
                self._producer = None  # which ends its threads
        self._begun, self._committing, self._sent_before = False, False, False
        self._settle()

    def _settle(self) -> None:
        """Let others commit again, unless the offsets of this transaction may stand yet."""
        self._closed.set()
        if self._sending and not self._doubtful:
            self._sending = False
            self._committer.sending.release()

    def _leave(self) -> None:
        """Leave nothing open when a batch is over, done or given back."""
        if self._committing:
            with suppress(KafkaException):
                self._commit(_LEAVE_S)
        self._abort()
        self._doubtful = False
        self._settle()


def _key(place: TopicPartition) -> tuple[str, int]:
    return place.topic, place.partition


def _behind(records: Sequence[Record]) -> dict[tuple[str, int], TopicPartition]:
    """Return the offsets behind a batch; all before it is finished, since batches are delivered in order."""
    last: dict[tuple[str, int], int] = {}
    for record in records:
        place = record.topic, record.partition
        last[place] = max(last.get(place, 0), record.offset + 1)
    return {place: TopicPartition(*place, offset) for place, offset in last.items()}
