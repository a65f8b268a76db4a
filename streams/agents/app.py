"""The Faust app: one agent for each topic, which hands every record on.

What Faust does otherwise than one would think, and what follows from it here:

- an agent that raises has acknowledged its event all the same: the body never raises;
- serializers other than `raw` wedge on one undecodable record: whoever takes the records decodes them;
- it reads uncommitted records: the consumer is told otherwise;
- its threads are not daemons: one that hangs would keep the process alive;
- its own health page is well while the broker is away: no web server, `Progress` says how far it has come;
- it makes folders for tables where it is started: there are no tables, so no folders;
- some of its tasks do not end when they are cancelled after a crash: the event loop is closed over them;
- without a broker it does not stop, and its consumer would stay a member of the group for ever: its thread is ended.

Nothing is lost with an app that is stopped or crashes: whoever takes the records keeps by itself how far it has come,
and sets the group's offsets by that before the next start.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Coroutine, Mapping
from typing import Any, Final, cast

import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, StreamT
from faust.types.transports import ConsumerT, TransportT
from mode.threads import WorkerThread

from schemas.errors import OutageError
from schemas.headers import Headers
from sightline.runtime.log import get_logger
from sightline.runtime.settings import KafkaSettings
from streams.agents.credentials import credentials
from streams.agents.progress import Place
from streams.read import TopicRecord

_log = get_logger(__name__)
# Our subclasses of its services would otherwise narrate under the name of this module.
_FAUST_LOG: Final = logging.getLogger("faust")
SERVICE = "faust"
# The shortest that brokers allow by default: for so long the group waits for a monitor that was killed.
_SESSION_S = 6.0
_HEARTBEAT_S = 1.5
_FETCH_BYTES = 8 * 1024 * 1024
_START_S = 30.0
_STOP_S = 3.0
_LEFT_OVER_S = 0.5
_ANSWER_S = 5.0

# Takes one record; a coroutine is waited for before the next one of its topic comes.
Take = Callable[[TopicRecord], Awaitable[None] | None]


class _DaemonThread(WorkerThread):
    """A thread that does not outlive the process."""

    def __init__(self, service: Any, **options: Any) -> None:
        super().__init__(service, **options)
        self.daemon = True


class _CommittedThread(driver.AIOKafkaConsumerThread):
    """Reads committed records only, in small fetches. The library has no settings for either."""

    logger = _FAUST_LOG
    _abandoned = False

    def abandon(self) -> None:
        """End it where it stands; the group forgets its member when the session is over."""
        self._abandoned = True
        with contextlib.suppress(RuntimeError):  # it has ended by itself
            self.thread_loop.call_soon_threadsafe(self.thread_loop.stop)

    def _start_thread(self) -> None:
        try:
            super()._start_thread()
        except RuntimeError:  # that the loop was stopped, or that of the app is gone
            if not self._abandoned:
                raise

    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._isolation_level = "read_committed"  # noqa: SLF001
        consumer._fetch_max_bytes = _FETCH_BYTES  # noqa: SLF001
        return consumer


class _Consumer(driver.Consumer):
    logger = _FAUST_LOG

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        thread = _CommittedThread(self, loop=self.loop, beacon=self.beacon, Worker=_DaemonThread)
        cast("_App", self.app).reader = thread
        return thread


class _Transport(driver.Transport):
    Consumer = cast("type[ConsumerT]", _Consumer)


class _App(faust.App):
    logger = _FAUST_LOG
    reader: _CommittedThread | None = None

    async def on_first_start(self) -> None:
        """Make no folders, as Faust does for tables: there are none, and the file system may be read-only."""


class Agents:
    """One Faust app in the running event loop. `take` hears of each record, in order within its partition."""

    def __init__(self, kafka: KafkaSettings, group: str, queues: Mapping[str, int], take: Take) -> None:
        """`queues`: how many records may wait for the agent of each topic.

        Raises ConfigurationError when the properties ask for what Faust's client cannot do.
        """
        self._take = take
        servers = [f"kafka://{server.strip()}" for server in kafka.bootstrap_servers.split(",")]
        self._app = _App(
            group,
            broker=servers,
            broker_credentials=credentials(kafka.properties),
            broker_client_id="sightline",
            broker_session_timeout=_SESSION_S,
            broker_heartbeat_interval=_HEARTBEAT_S,
            consumer_auto_offset_reset="earliest",  # only what retention overtook, and partitions added later
            consumer_metadata_max_age_ms=10_000,
            stream_buffer_maxsize=max(queues.values()),
            key_serializer="raw",
            value_serializer="raw",
            store="memory://",
            topic_allow_declare=False,
            topic_disable_leader=True,
            web_enabled=False,
            loop=asyncio.get_running_loop(),
        )
        self._app.transport = cast("TransportT", _Transport(self._app.conf.broker_consumer, self._app, self._app.loop))
        for name, size in queues.items():
            channel: Any = self._app.topic(name, key_serializer="raw", value_serializer="raw")
            channel.maxsize = size  # given to `topic`, it gets lost on the way
            self._app.agent(channel, name=name)(self._watch)

    async def start(self) -> None:
        """Join the group and begin to read. Raises OutageError when that fails or takes too long."""
        starting = asyncio.ensure_future(self._app.start())
        try:
            await asyncio.wait([starting], timeout=_START_S)
        finally:
            late = starting.cancel()
        if late:
            raise OutageError(SERVICE, f"not started within {_START_S:.0f} s")
        if (error := starting.exception()) is not None:
            raise OutageError(SERVICE, f"start failed: {type(error).__name__}") from error

    async def stop(self) -> None:
        """Leave the group; gives up after some seconds, and never raises what the app makes of its end."""
        stopping = asyncio.ensure_future(self._app.stop())
        await asyncio.wait([stopping], timeout=_STOP_S)
        if not stopping.done():
            stopping.cancel()
            _log.warning("faust does not stop")
        elif (error := stopping.exception()) is not None:
            _log.warning("faust stopped badly", error=type(error).__name__)
        else:
            return
        if self._app.reader is not None:
            self._app.reader.abandon()

    def check(self) -> None:
        """Raise OutageError when the app has crashed."""
        if self._app.crashed or self._app.should_stop:
            raise OutageError(SERVICE, f"crashed: {type(self._app.crash_reason).__name__}")

    def assigned(self) -> set[Place]:
        """Return the partitions that the group gave us; none while it settles."""
        return {(place.topic, place.partition) for place in self._app.consumer.assignment()}

    async def positions(self, places: Collection[Place]) -> dict[Place, int]:
        """Return how far those of `places` are fetched of which no record is with its agent; may be behind.

        Records that wait for their agent may lie before a position: the library does not say which do. Raises
        OutageError when the consumer does not answer.
        """
        waiting = {(message.topic, message.partition) for message in self._app.consumer.unacked}
        try:
            return {
                place: position
                for place in places
                if place not in waiting and (position := await self._ask(self._app.consumer.position(TP(*place))))
            }
        except TimeoutError:
            raise OutageError(SERVICE, f"the consumer gave no answer within {_ANSWER_S:.0f} s") from None

    @staticmethod
    async def _ask(answer: Awaitable[int | None]) -> int | None:
        return await asyncio.wait_for(answer, _ANSWER_S)

    async def _watch(self, stream: StreamT[bytes]) -> None:
        """Be the agent of one topic."""
        async for event in stream.events():
            message = event.message
            try:
                taken = self._take(
                    TopicRecord(
                        message.topic,
                        message.partition,
                        message.offset,
                        round((message.timestamp or 0.0) * 1000),
                        cast("bytes | None", message.key),
                        cast("bytes | None", message.value),
                        _headers(message.headers),
                    )
                )
                if taken is not None:
                    await taken
            except Exception:  # noqa: BLE001 -- raised here, the record would count as done and the agent would be gone
                _log.exception("record not taken", topic=message.topic, offset=message.offset)


def run_in_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in an event loop of its own, as `asyncio.run` does, but wait for nothing that is left over."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        loop.run_until_complete(main)
    finally:
        left_over = asyncio.all_tasks(loop)
        for task in left_over:
            task.cancel()
        if left_over:
            loop.run_until_complete(asyncio.wait(left_over, timeout=_LEFT_OVER_S))
        asyncio.set_event_loop(None)
        loop.close()


def _headers(headers: Any) -> Headers:
    return list(headers.items() if isinstance(headers, Mapping) else headers or [])
