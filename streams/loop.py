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
from typing import Generic, Protocol, TypeVar

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from schemas.errors import OutageError
from schemas.headers import Headers
from sightline.runtime import metrics
from sightline.runtime.backoff import Backoff
from sightline.runtime.clock import Clock
from sightline.runtime.faults import IN_REVOKE, Faults
from sightline.runtime.kafka import map_kafka_error
from sightline.runtime.log import get_logger
from streams.lag import LagGauges
from streams.offsets import LostRange, OffsetRecovery
from streams.tracker import Record, Tracker

_log = get_logger(__name__)
Prepared = TypeVar("Prepared")
Done = TypeVar("Done")

_POLL_S = 0.1
_COMMIT_EVERY_S = 0.2
_TICK_EVERY_S = 1.0
# Shorter stalls only stop the polling; pausing throws away what librdkafka has fetched ahead.
_PAUSE_AFTER_S = 1.0
# A hand-over may take 5 s in all: what is not done by then is given back.
_REVOKE_GRACE_S = 3.0
_STALLED_AFTER_S = 30.0
_CHECK_EVERY_S = 3.0


class Handler(Protocol[Prepared]):
    """What is done with the records. Both methods run in work threads and may block."""

    def prepare(self, records: Sequence[Record]) -> Prepared:
        """Do what needs no order; several batches at a time. OutageError is waited out, then it is called again."""
        ...

    def deliver(self, records: Sequence[Record], prepared: Prepared) -> None:
        """Publish or store, one batch at a time and in order; sees to it that each record is finished.

        OutageError is waited out, then it is called again with the same arguments.
        """
        ...

    def lost(self, lost: LostRange, on_reported: Callable[[], None]) -> None:
        """Report offsets that retention took; `on_reported` says that the report is safe. Must not block."""
        ...

    def blocked(self, outage: OutageError) -> None:
        """Hear, once an outage, that it has begun; called from a work thread."""
        ...


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch is full: at the first of these. `inflight_bytes` bounds all batches together."""

    records: int
    size_bytes: int
    wait_s: float
    inflight_bytes: int
    threads: int


class GivenBackError(Exception):
    """The batch's partitions went to somebody else, or the process is ending: it is nobody's business here."""


class Loop(Generic[Prepared]):
    """One consumer group's loop over `topics`. `run` returns after `stop`, or raises what broke it."""

    def __init__(  # noqa: PLR0913 -- a composition root hands everything in
        self,
        consumer: Consumer,
        group: str,
        topics: Sequence[str],
        handler: Handler[Prepared],
        limits: BatchLimits,
        clock: Clock,
        faults: Faults,
    ) -> None:
        self._consumer = consumer
        self._group = group
        self._topics = list(topics)
        self._handler = handler
        self._limits = limits
        self._clock = clock
        self._faults = faults
        self._tracker = Tracker(lambda topic: metrics.RECORDS_FINISHED.labels(group, topic).inc())
        self._offsets = OffsetRecovery(consumer, group)
        self._next_check = 0.0
        self._lag = LagGauges(consumer, group, clock)
        self._stop = threading.Event()
        self._batches: deque[Future[None]] = deque()
        self._gathering: list[Record] = []
        self._executor = ThreadPoolExecutor(limits.threads, thread_name_prefix=f"work-{group}")
        self._outages: dict[int, OutageError] = {}
        self._problem: str | None = "not assigned yet"
        self._joined = False
        self._paused = False
        self._full_since: float | None = None
        self._last_turn = clock.monotonic()
        self._last_commit = 0.0
        self._last_tick = 0.0

    def run(self) -> None:
        """Consume until `stop`; blocks. Raises whatever a handler raises besides OutageError."""
        self._consumer.subscribe(
            self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )
        try:
            while not self._stop.is_set():
                self._turn()
        finally:
            self._shut_down()

    def stop(self) -> None:
        """End `run`: what is in hand is finished or given back. From any thread or signal handler."""
        self._stop.set()

    def stalled(self) -> str | None:
        """Say that the loop has not turned lately, or None: the liveness of the process."""
        silent_s = self._clock.monotonic() - self._last_turn
        return f"{self._group}: the loop has not turned for {silent_s:.0f} s" if silent_s > _STALLED_AFTER_S else None

    def unready(self) -> str | None:
        """Say what is waited for, or None: assigned, and nothing stands in the way."""
        outage = next(iter(list(self._outages.values())), None)
        return f"{self._group}: {outage}" if outage is not None else self._problem

    def _turn(self) -> None:
        self._last_turn = self._clock.monotonic()
        self._reap()
        if self._last_turn - self._last_commit >= _COMMIT_EVERY_S:
            self._last_commit = self._last_turn
            self._commit(asynchronous=True)
        if self._last_turn - self._last_tick >= _TICK_EVERY_S:
            self._last_tick = self._last_turn
            self._tick()
        if self._has_room():
            self._resume()
            records = self._fetch()
            if records:
                self._submit(records)
        else:
            self._wait_for_room()

    # -- fetching -----------------------------------------------------------------------------------------

    def _has_room(self) -> bool:
        return len(self._batches) < self._limits.threads and self._tracker.size_bytes < self._limits.inflight_bytes

    def _fetch(self) -> list[Record]:
        """Cut a batch: `consume(n)` would wait for all n, so records are polled one by one."""
        self._gathering = []
        size_bytes = 0
        deadline = self._clock.monotonic() + _POLL_S
        while len(self._gathering) < self._limits.records and size_bytes < self._limits.size_bytes:
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
        return [record for record in records if record.held]

    def _take(self, message: KafkaMessage) -> Record | None:
        error = message.error()
        if error is not None:
            self._on_error(message, error)
            return None
        topic, partition, offset = _place(message)
        tracked = self._tracker.get(topic, partition)
        if tracked is None:  # fetched before a rebalance, seen after it
            return None
        value = message.value()
        record = tracked.take(offset, message.timestamp()[1], message.key(), value, _headers(message))
        metrics.RECORDS_READ.labels(self._group, topic).inc()
        metrics.BYTES_READ.labels(self._group, topic).inc(record.size_bytes)
        self._problem = None
        return record

    def on_error(self, error: KafkaError) -> None:
        """Hear of trouble that belongs to no partition, such as all brokers away. The consumer's `error_cb`."""
        if error.fatal():
            _log.error("fatal consumer error", group=self._group, code=error.name())
        self._problem = f"{self._group}: {map_kafka_error(error)}"

    def _on_error(self, message: KafkaMessage, error: KafkaError) -> None:
        code = error.code()
        if code == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001 -- this is how the library names it
            self._offsets.note(*_place(message)[:2])
        elif code == KafkaError._MAX_POLL_EXCEEDED:  # noqa: SLF001
            metrics.EVICTIONS.labels(self._group).inc()
            _log.error("evicted for silence", group=self._group)
        elif error.fatal():
            raise KafkaException(error)
        else:
            self._problem = f"{self._group}: {map_kafka_error(error)}"
            _log.warning("consumer error", group=self._group, code=error.name())

    # -- working ------------------------------------------------------------------------------------------

    def _submit(self, records: list[Record]) -> None:
        metrics.BATCH_RECORDS.labels(self._group).observe(len(records))
        previous = self._batches[-1] if self._batches else None
        self._batches.append(self._executor.submit(self._work, records, previous))
        self._batches[-1].add_done_callback(self._wake)

    def _work(self, records: list[Record], previous: Future[None] | None) -> None:
        try:
            prepared = self._insist("prepare", records, lambda: self._handler.prepare(records))
            if previous is not None:
                wait([previous])
                previous.result()  # its failure ends the process: nothing may overtake it
            self._insist("deliver", records, lambda: self._handler.deliver(records, prepared))
        except GivenBackError:
            _log.info("batch given back", group=self._group, records=len(records))

    def _insist(self, step: str, records: list[Record], act: Callable[[], Done]) -> Done:
        """Do one step, waiting out every outage; raise GivenBackError when it is no longer ours to do."""
        backoff = Backoff()
        me = threading.get_ident()
        try:
            while any(record.held for record in records):
                started = self._clock.monotonic()
                try:
                    done = act()
                except OutageError as outage:
                    self._begin_waiting(me, outage)
                    self._tracker.wait_unless_given_back(records, backoff.next_delay_s())
                else:
                    metrics.BATCH_SECONDS.labels(self._group, step).observe(self._clock.monotonic() - started)
                    return done
            raise GivenBackError
        finally:
            self._end_waiting(me)

    def _begin_waiting(self, thread: int, outage: OutageError) -> None:
        metrics.OUTAGES.labels(self._group, outage.service).inc()
        if thread not in self._outages:
            _log.warning(
                "waiting", group=self._group, service=outage.service, reason=outage.reason, kind=type(outage).__name__
            )
            self._handler.blocked(outage)
        self._outages[thread] = outage
        metrics.WAITING.labels(self._group, outage.service).set(1)
        with self._tracker.changed:
            self._tracker.changed.notify_all()

    def _end_waiting(self, thread: int) -> None:
        outage = self._outages.pop(thread, None)
        if outage is not None and not self._outages:
            metrics.WAITING.labels(self._group, outage.service).set(0)
            _log.info("no longer waiting", group=self._group, service=outage.service)

    def _reap(self) -> None:
        while self._batches and self._batches[0].done():
            self._batches.popleft().result()

    # -- back-pressure ------------------------------------------------------------------------------------

    def _wait_for_room(self) -> None:
        """Wait a little for room; after a while pause the partitions and keep polling, for the group's sake."""
        now = self._clock.monotonic()
        if self._full_since is None:
            self._full_since = now
        if not self._paused and now - self._full_since < _PAUSE_AFTER_S:
            with self._tracker.changed:
                self._tracker.changed.wait_for(self._room_made, _POLL_S)
            return
        self._pause()
        message = self._consumer.poll(_POLL_S)
        if message is not None:
            record = self._take(message)
            if record is not None:  # it slipped through before the pause took hold
                self._submit([record])

    def _room_made(self) -> bool:
        return self._stop.is_set() or (
            (not self._batches or self._batches[0].done() or len(self._batches) < self._limits.threads)
            and self._tracker.size_bytes < self._limits.inflight_bytes
        )

    def _wake(self, _: Future[None]) -> None:
        with self._tracker.changed:
            self._tracker.changed.notify_all()

    def _pause(self) -> None:
        if not self._paused:
            self._paused = True
            metrics.PAUSED.labels(self._group).set(1)
            self._consumer.pause(self._consumer.assignment())

    def _resume(self) -> None:
        self._full_since = None
        if self._paused:
            self._paused = False
            metrics.PAUSED.labels(self._group).set(0)
            self._consumer.resume(self._consumer.assignment())

    # -- offsets ------------------------------------------------------------------------------------------

    def _commit(self, *, asynchronous: bool) -> None:
        offsets = []
        with self._tracker.changed:
            for tracked in self._tracker.held():
                offset = tracked.committable()
                if offset is not None:
                    offsets.append(TopicPartition(tracked.topic, tracked.partition, offset))
                    tracked.mark_committed(offset)
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=offsets, asynchronous=asynchronous)
        except KafkaException as error:
            self.on_commit(error.args[0], offsets)

    def on_commit(self, error: KafkaError | None, offsets: list[TopicPartition]) -> None:
        """Check a commit; what failed is tried again with the next one. The consumer's `on_commit`."""
        failed = [offset for offset in offsets if error is not None or offset.error is not None]
        for offset in failed:
            tracked = self._tracker.get(offset.topic, offset.partition)
            if tracked is not None:
                tracked.mark_committed(None)
        if failed:
            first = error if error is not None else failed[0].error
            metrics.COMMIT_ERRORS.labels(self._group, first.name()).inc()
            _log.warning("commit failed, will be tried again", group=self._group, code=first.name())

    def _tick(self) -> None:
        self._offsets.recover(self._tracker, self._handler.lost)
        self._check_topics()
        metrics.INFLIGHT_BYTES.labels(self._group).set(self._tracker.size_bytes)
        metrics.INFLIGHT_RECORDS.labels(self._group).set(self._tracker.records)
        self._lag.update(self._tracker, paused=self._paused)

    def _check_topics(self) -> None:
        """While something is wrong with the broker or a topic, ask again every few seconds whether it still is."""
        now = self._clock.monotonic()
        if self._problem is None or now < self._next_check:
            return
        self._next_check = now + _CHECK_EVERY_S
        try:
            known = self._consumer.list_topics(timeout=1.0).topics
        except KafkaException as error:
            self._problem = f"{self._group}: {map_kafka_error(error.args[0])}"
            return
        missing = [topic for topic in self._topics if topic not in known or known[topic].error is not None]
        if missing:
            self._problem = f"{self._group}: no topic {', '.join(missing)}"
        elif self._joined:
            self._problem = None

    # -- rebalancing --------------------------------------------------------------------------------------

    def _on_assign(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        metrics.REBALANCES.labels(self._group, "assigned").inc()
        _log.info("assigned", group=self._group, partitions=[f"{p.topic}/{p.partition}" for p in partitions])
        for partition in partitions:
            self._tracker.assign(partition.topic, partition.partition)
        self._problem = None
        self._joined = True
        self._paused = False  # a new assignment starts unpaused

    def _on_revoke(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Finish what is in hand, or give it back; then commit what is finished, while the partitions are ours."""
        metrics.REBALANCES.labels(self._group, "revoked").inc()
        self._faults.passing(IN_REVOKE)
        self._tracker.wait_until_left(_REVOKE_GRACE_S, self._gathering, give_up=lambda: bool(self._outages))
        self._commit(asynchronous=False)
        self._give_up(partitions)

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        """Commit nothing: somebody else may own the partitions already."""
        metrics.REBALANCES.labels(self._group, "lost").inc()
        _log.warning("assignment lost", group=self._group)
        self._give_up(partitions)

    def _give_up(self, partitions: list[TopicPartition]) -> None:
        given_back = sum(self._tracker.revoke(partition.topic, partition.partition) for partition in partitions)
        metrics.RECORDS_HANDED_BACK.labels(self._group).inc(given_back)
        self._offsets.forget(partitions)
        for partition in partitions:
            metrics.forget_partition(self._group, partition.topic, partition.partition)
        _log.info("revoked", group=self._group, partitions=len(partitions), given_back=given_back)

    def _shut_down(self) -> None:
        """Close the consumer, which revokes first, as any hand-over does."""
        self._consumer.close()
        self._executor.shutdown(cancel_futures=True)


def _place(message: KafkaMessage) -> tuple[str, int, int]:
    """Return topic, partition and offset; the library types them as optional, a fetched message has all three."""
    return message.topic() or "", message.partition() or 0, message.offset() or 0


def _headers(message: KafkaMessage) -> Headers | None:
    """Return the headers as they are, or None when a name is not UTF-8: the library cannot read any then."""
    try:
        return list(message.headers() or [])
    except SystemError:
        return None
