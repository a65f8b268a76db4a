"""The consumer loop that worker and sinks share.

One thread (the caller of `run`) polls Kafka, cuts batches and commits; a few work threads prepare batches side by
side and deliver them in the order in which they were fetched. A record is finished when its handler says so,
from whatever thread; only finished records move the committed offset. What keeps it safe, in order:

1. a record is taken under the assignment in which it was fetched;
2. its handler makes everything that it gives rise to, and has it acknowledged;
3. the record is finished;
4. the lowest unfinished offset of each partition still held is committed: asynchronously while running,
   synchronously when partitions are taken away and at the end.

The loop keeps polling through any outage, with its partitions paused, so that it is never evicted for silence.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from functools import partial
from typing import Generic

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from sightline.runtime import metrics
from sightline.runtime.clock import Clock
from sightline.runtime.faults import IN_REVOKE, Faults
from sightline.runtime.kafka import is_fatal, make_admin, make_consumer, map_kafka_error
from sightline.runtime.log import get_logger
from sightline.runtime.pulse import Pulse
from sightline.runtime.settings import KafkaSettings
from streams.alerts import Alarm
from streams.commits import Committer
from streams.commits_by_transaction import TransactionalCommitter
from streams.handler import Handler, Prepared
from streams.lag import LagGauges, see_log_ends
from streams.lookup import missing_topics
from streams.messages import headers_of
from streams.offsets import LostRange, OffsetRecovery
from streams.patience import GivenBackError, Patience
from streams.tracker import Record, Tracker
from streams.transaction import Transactions
from streams.watch import Watch
from streams.weight import weigh

_log = get_logger(__name__)

_POLL_S = 0.1
_QUICK_POLL_S = 0.005
_QUICK_FOR_S = 1.0
# Who gives way to others looks this often whether they are done.
_YIELD_S = 0.01
_COMMIT_EVERY_S = 0.2
_TICK_EVERY_S = 1.0
_CHECK_EVERY_S = 3.0
# Shorter stalls only stop the polling; pausing throws away what librdkafka has fetched ahead.
_PAUSE_AFTER_S = 1.0
_PAUSE_FOR_MARKS_AFTER_S = 0.05
# A hand-over may take 5 s in all: what is not done by then is given back.
_REVOKE_GRACE_S = 3.0
_STALLED_AFTER_S = 30.0
# Long before that our session is over, and what is unanswered then is of no matter any more.
_UNANSWERED_S = 90.0
# What a transaction asks of its client is answered within seconds, or is refused; an abort may take twenty.
_ASKING_S = 45.0


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch is full: at the first of these.

    `inflight_bytes` bounds all batches together; a claim check counts for `claim_bytes`. `threads` batches are worked
    on at the same time, and one more is ready.
    """

    records: int
    size_bytes: int
    wait_s: float
    inflight_bytes: int
    threads: int
    claim_bytes: int = 0


class Loop(Generic[Prepared]):
    """One consumer group's loop over `topics`. `run` returns after `stop`, or raises what broke it.

    `allowance` says how many records the next batch may have, 0 for none yet; it is asked once a turn.
    `watch` knows which records are to be tried alone, and keeps its marks beside the committed offsets. With
    `transactions`, what a batch gives rise to and its offsets become visible together.
    """

    def __init__(  # noqa: PLR0913, PLR0917 -- only composition roots call it
        self,
        kafka: KafkaSettings,
        group: str,
        topics: Sequence[str],
        handler: Handler[Prepared],
        alarm: Alarm,
        limits: BatchLimits,
        clock: Clock,
        faults: Faults,
        allowance: Callable[[], int] | None = None,
        watch: Watch | None = None,
        transactions: Transactions | None = None,
    ) -> None:
        self._group = group
        self._watch = watch
        self._allowance = allowance or (lambda: limits.records)
        self._topics = list(topics)
        self._handler = handler
        self._alarm = alarm
        self._limits = limits
        self._clock = clock
        self._faults = faults
        self._tracker = Tracker(lambda topic: metrics.RECORDS_FINISHED.labels(group, topic).inc())
        self._patience = Patience(group, self._tracker, alarm.blocked)
        self._transactions = transactions
        committer = Committer if transactions is None else TransactionalCommitter
        self._committer = committer(group, self._tracker, watch)
        self._pulse = Pulse(f"{group}: the consumer", clock)
        self._pulse.begin()
        self._consumer = make_consumer(
            kafka,
            group,
            on_commit=self._committer.on_commit,
            on_error=self._on_error,
            on_statistics=self._pulse.beat,
        )
        if transactions is not None and isinstance(self._committer, TransactionalCommitter):
            transactions.bind(self._tracker, self._committer)
        self._offsets = OffsetRecovery(self._consumer, group)
        self._lag = LagGauges(self._consumer, partial(make_admin, kafka), group, clock)
        self._executor = ThreadPoolExecutor(limits.threads, thread_name_prefix=f"work-{group}")
        self._batches: deque[Future[None]] = deque()
        self._gathering: list[Record] = []
        self._stop = threading.Event()
        self._problem: str | None = f"{group}: not assigned yet"
        self._fatal: KafkaError | None = None
        self._joined = False
        self._paused = False
        self._full_since: float | None = None
        self._slipped = False  # a record came along while there was no room
        self._last_turn = clock.monotonic()
        self._next_commit = self._next_tick = self._next_check = self._quick_until = 0.0

    def run(self) -> None:
        """Consume until `stop`; blocks. Raises whatever a handler raises besides OutageError."""
        if self._transactions is not None:
            self._transactions.run_errand()  # readers stand still before what a process before us left open
        if self._watch is not None:
            self._stop.wait(self._watch.join_in_s(self._clock.monotonic()))
        self._consumer.subscribe(
            self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        try:
            while not self._stop.is_set():
                self._turn()
        finally:
            self._committer.dismiss()
            self._consumer.close()  # revokes first, as any hand-over does
            self._executor.shutdown(cancel_futures=True)

    def stop(self) -> None:
        """End `run`: what is in hand is finished or given back. From any thread."""
        self._stop.set()

    def in_hand(self) -> int:
        """Return how many records are taken and neither finished nor given back. From any thread."""
        return self._tracker.records

    def stalled(self) -> str | None:
        """Say that the loop has not turned lately, or None: the liveness of the process."""
        now = self._clock.monotonic()
        silent_s, unanswered_s = now - self._last_turn, self._committer.unanswered_s(now)
        if silent_s > _STALLED_AFTER_S:
            return f"{self._group}: the loop has not turned for {silent_s:.0f} s"
        if unanswered_s is not None and unanswered_s > _UNANSWERED_S:
            return f"{self._group}: a commit has had no answer for {unanswered_s:.0f} s"
        asking_s = None if self._transactions is None else self._transactions.asking_s()
        if asking_s is not None and asking_s > _ASKING_S:
            return f"{self._group}: a transaction's client has been asked for {asking_s:.0f} s"
        return self._pulse.stopped()

    def unready(self) -> str | None:
        """Say what is waited for, or None: assigned, and nothing stands in the way."""
        outage = self._patience.outage() or self._committer.problem
        if outage is None and self._transactions is not None:
            outage = self._transactions.problem()
        if outage is not None:
            return f"{self._group}: {outage}"
        return self._problem or (f"{self._group}: offsets are being looked for" if self._offsets.pending() else None)

    def _turn(self) -> None:
        now = self._last_turn = self._clock.monotonic()
        if self._fatal is not None:
            raise KafkaException(self._fatal)
        while self._batches and self._batches[0].done():
            self._batches.popleft().result()
        if now >= self._next_commit:
            self._next_commit = now + _COMMIT_EVERY_S
            self._committer.commit(self._consumer)
        if self._committer.asked():
            self._quick_until = now + _QUICK_FOR_S
        self._committer.answer(self._consumer, now)
        if now >= self._next_tick:
            self._next_tick = now + _TICK_EVERY_S
            self._tick(now)
        if self._has_room():
            self._resume()
            self._submit(self._fetch())
        else:
            self._wait_for_room(now)

    def _tick(self, now: float) -> None:
        self._offsets.recover(self._tracker, self._report_lost)
        self._run_errand()
        if now >= self._next_check and (self._problem is not None or self._committer.problem is not None):
            self._next_check = now + _CHECK_EVERY_S
            self._problem = self._check_topics()
            # A commit needs the right to read, which no look-up would show.
            self._committer.commit_again()
        metrics.INFLIGHT_BYTES.labels(self._group).set(self._tracker.size_bytes)
        metrics.INFLIGHT_RECORDS.labels(self._group).set(self._tracker.records)
        self._lag.update(self._tracker)

    def _check_topics(self) -> str | None:
        """While something is wrong with the broker or a topic, ask whether it still is."""
        problem = missing_topics(self._consumer, self._topics) or (None if self._joined else "not assigned yet")
        return None if problem is None else f"{self._group}: {problem}"

    # -- fetching and working -----------------------------------------------------------------------------

    def _fetch(self) -> list[Record]:
        """Cut a batch: `consume(n)` would wait for all n, so records are polled one by one.

        What came along while there was no room goes first.
        """
        size_bytes = _size_bytes(self._gathering)
        deadline = self._clock.monotonic() + (self._limits.wait_s if self._gathering else self._poll_s())
        most = min(self._limits.records, self._allowance())
        while len(self._gathering) < most and size_bytes < self._limits.size_bytes:
            message = self._consumer.poll(max(deadline - self._clock.monotonic(), 0.0))
            if message is None:
                break
            record = self._take(message)
            if record is not None:
                if not self._gathering:
                    deadline = self._clock.monotonic() + self._limits.wait_s
                self._gathering.append(record)
                size_bytes += record.size_bytes
        records, self._gathering = self._gathering, []
        see_log_ends(self._consumer, records, self._tracker)
        return records

    def _take(self, message: KafkaMessage) -> Record | None:
        error = message.error()
        topic, partition, offset = message.topic() or "", message.partition() or 0, message.offset() or 0
        if error is not None:
            self._on_partition_error(topic, partition, offset, error)
            return None
        tracked = self._tracker.get(topic, partition)
        if tracked is None:  # fetched before a rebalance, seen after it
            return None
        key, value, headers = message.key(), message.value(), headers_of(message)
        size_bytes = weigh(key, value, headers, self._limits.claim_bytes)
        record = tracked.take(offset, message.timestamp()[1], key, value, headers, size_bytes)
        metrics.RECORDS_READ.labels(self._group, topic).inc()
        metrics.BYTES_READ.labels(self._group, topic).inc(len(value or b""))
        return record

    def _on_partition_error(self, topic: str, partition: int, offset: int, error: KafkaError) -> None:
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 -- this is how the library names it
            self._offsets.note(topic, partition)
        elif error.code() == KafkaError._MAX_POLL_EXCEEDED:  # noqa: SLF001
            metrics.EVICTIONS.labels(self._group).inc()
            _log.error("evicted for silence", group=self._group)
        elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001
            tracked = self._tracker.get(topic, partition)
            if tracked is not None:
                tracked.reach(offset)
        else:
            self._on_error(error)

    def _on_error(self, error: KafkaError) -> None:
        """Hear of trouble, such as all brokers away; `_check_topics` says when it is over."""
        _log.warning("consumer error", group=self._group, code=error.name())
        self._problem = f"{self._group}: {map_kafka_error(error)}"
        if is_fatal(error):
            self._fatal = error

    def _submit(self, records: list[Record]) -> None:
        for batch in [records] if self._watch is None else self._watch.split(records):
            self._submit_batch(batch)

    def _submit_batch(self, records: list[Record]) -> None:
        if not records:
            return
        self._committer.cover(self._consumer, records, self._clock.monotonic())
        metrics.BATCH_RECORDS.labels(self._group).observe(len(records))
        previous = self._batches[-1] if self._batches else None
        batch = self._executor.submit(self._work, records, previous)
        self._batches.append(batch)
        batch.add_done_callback(lambda _: self._notify())

    def _work(self, records: list[Record], previous: Future[None] | None) -> None:
        try:
            with metrics.BATCH_SECONDS.labels(self._group, "prepare").time():
                prepared = self._patience.insist(records, lambda: self._handler.prepare(records))
            if previous is not None:
                wait([previous])
                previous.result()  # its failure ends the process, and nothing may overtake it
            with metrics.BATCH_SECONDS.labels(self._group, "deliver").time():
                self._deliver(records, partial(self._handler.deliver, records, prepared))
        except GivenBackError:
            _log.info("batch given back", group=self._group, records=len(records))

    def _deliver(self, records: list[Record], deliver: Callable[[], None]) -> None:
        if self._transactions is None:
            self._patience.insist(records, deliver)
        else:
            self._transactions.deliver(records, deliver, self._patience)

    def _report_lost(self, lost: LostRange, goes_on_at: TopicPartition, on_reported: Callable[[], None]) -> None:
        """Alert that offsets are lost: with the group's new offset where that goes by transactions."""
        if self._transactions is None:
            self._alarm.lost(lost, on_reported)
        else:
            report = partial(self._alarm.lost, lost, on_reported)
            self._transactions.passages.add(lost.from_offset, goes_on_at, report)

    def _run_errand(self) -> None:
        """While nothing is in hand, let the transactions look after themselves; a later batch waits for that."""
        if self._transactions is not None and not self._batches and self._transactions.has_errand():
            self._batches.append(self._executor.submit(self._transactions.run_errand))

    def _poll_s(self) -> float:
        """Return how long to poll: short while records are tried alone, each of which waits for us before it."""
        return _QUICK_POLL_S if self._clock.monotonic() < self._quick_until else _POLL_S

    def _notify(self) -> None:
        with self._tracker.changed:
            self._tracker.changed.notify_all()

    # -- back-pressure ------------------------------------------------------------------------------------

    def _has_room(self) -> bool:
        working = sum(not batch.done() for batch in self._batches)
        if not self._may_take():
            return False
        # What came along goes next: it must not be in its own way.
        in_work_bytes = self._tracker.size_bytes - _size_bytes(self._gathering)
        return working <= self._limits.threads and in_work_bytes < self._limits.inflight_bytes

    def _may_take(self) -> bool:
        """Tell whether work is wanted at all."""
        return not self._patience.halted() and bool(self._allowance())

    def _wait_for_room(self, now: float) -> None:
        """Wait a little for room; after a while pause the partitions and keep polling, for the group's sake.

        The answer to marks is heard while polling. Where work waits for one, a record may come along.
        """
        if self._full_since is None:
            self._full_since = now
        awaited = self._committer.answer_awaited()
        if self._paused or now - self._full_since >= _PAUSE_AFTER_S or (awaited and self._is_held_up(now)):
            self._pause()
            self._poll_without_room(_QUICK_POLL_S if awaited else self._poll_s())
            return
        wait_s = self._poll_s() if self._allowance() else _YIELD_S
        with self._tracker.changed:
            self._tracker.changed.wait_for(
                lambda: (
                    self._stop.is_set()
                    or self._committer.asked()
                    or self._has_room()
                    or self._committer.answer_awaited() != awaited
                ),
                _QUICK_POLL_S if awaited else wait_s,
            )
        if awaited and not self._slipped and self._may_take() and self._committer.answer_awaited():
            self._poll_without_room(0)

    def _is_held_up(self, now: float) -> bool:
        """Tell whether no record may come along any more while the answer to marks is awaited."""
        return not self._may_take() or (
            self._slipped and (self._committer.unanswered_s(now) or 0.0) > _PAUSE_FOR_MARKS_AFTER_S
        )

    def _poll_without_room(self, timeout_s: float) -> None:
        message = self._consumer.poll(timeout_s)
        record = None if message is None else self._take(message)
        if record is not None:
            self._slipped = True
            self._gathering.append(record)

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            metrics.PAUSED.labels(self._group).set(1)
            self._consumer.pause(self._consumer.assignment())

    def _resume(self) -> None:
        self._full_since = None
        self._slipped = False
        if self._paused:
            self._paused = False
            metrics.PAUSED.labels(self._group).set(0)
            self._consumer.resume(self._consumer.assignment())

    # -- rebalancing --------------------------------------------------------------------------------------

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        metrics.REBALANCES.labels(self._group, "assigned").inc()
        _log.info("assigned", group=self._group, partitions=[f"{p.topic}/{p.partition}" for p in partitions])
        for partition in partitions:
            self._tracker.assign(partition.topic, partition.partition)
        try:
            if self._transactions is not None:
                self._transactions.joined(consumer)
            places = self._offsets.start(partitions)
            consumer.assign(places)
            self._committer.begin(consumer, places, self._clock.monotonic())
            # librdkafka keeps a partition's pause over a rebalance: without this it would stand still for ever.
            consumer.resume(partitions)
        except KafkaException as error:
            # Out of a callback, the library would let it arrive as something that is no exception.
            self._fatal = error.args[0]
        self._paused = False
        metrics.PARTITIONS.labels(self._group).set(len(partitions))
        metrics.PAUSED.labels(self._group).set(0)
        self._joined = True
        # Assigned is not yet well: a topic may be missing, so look before saying so.
        self._problem = self._problem or f"{self._group}: just assigned"
        self._next_check = self._next_tick = 0.0

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Finish what is in hand, or give it back; then commit what is finished, while the partitions are ours."""
        metrics.REBALANCES.labels(self._group, "revoked").inc()
        self._committer.dismiss()
        self._committer.settle(consumer)
        self._faults.passing(IN_REVOKE)
        self._tracker.wait_until_left(
            _REVOKE_GRACE_S, self._gathering, give_up=lambda: self._patience.outage() is not None
        )
        self._committer.commit_now(consumer)
        self._give_up(partitions)
        if self._transactions is not None:
            self._transactions.wait_closed()

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Commit nothing: somebody else may own the partitions already."""
        metrics.REBALANCES.labels(self._group, "lost").inc()
        self._joined = False
        self._problem = f"{self._group}: assignment lost"
        self._committer.dismiss()
        self._give_up(partitions)
        self._committer.forget()

    def _give_up(self, partitions: list[TopicPartition]) -> None:
        given_back = sum(self._tracker.revoke(partition.topic, partition.partition) for partition in partitions)
        metrics.RECORDS_HANDED_BACK.labels(self._group).inc(given_back)
        self._gathering = [record for record in self._gathering if record.held]
        self._offsets.forget(partitions)
        metrics.PARTITIONS.labels(self._group).set(len(self._tracker.held()))
        for partition in partitions:
            if self._watch is not None:
                self._watch.dropped(partition.topic, partition.partition)
            metrics.forget_partition(self._group, partition.topic, partition.partition)
        _log.info("revoked", group=self._group, partitions=len(partitions), given_back=given_back)


def _size_bytes(records: Sequence[Record]) -> int:
    return sum(record.size_bytes for record in records)
