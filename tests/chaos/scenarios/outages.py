"""The broker, the database and the object store go away, refuse, or are slow; everything waits, nobody is blamed."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from sqlalchemy import Engine, text

from schemas import topics
from sightline.runtime.database import database_engine
from tests.chaos.keeper import gave_up, start_kept, tending
from tests.chaos.stage import Proxies, Stage, configure
from tests.chaos.traffic import flowing, good, is_broken, publish, varied
from tests.scenes import LEFT, SEEN, put_models_in_force
from tests.world import Running, World

_READY_WITHIN_S = 90


def broker_restarts(stage: Stage) -> None:
    """The broker is killed, frozen, or stopped, and comes back, while frames flow."""
    world, kafka = stage.world(), stage.services.kafka
    kept = start_kept(world)
    for keeper in kept:
        keeper.running.wait_ready()
    # Frozen for longer than its own session, a broker comes back to find that it may not lead any more.
    ways = (
        ("kill -9 the broker", kafka.kill, kafka.start),
        ("broker frozen", kafka.freeze, kafka.thaw),
        ("broker stopped", kafka.stop, kafka.start),
    )
    seconds = stage.size.faults * (stage.size.outage_s + 8.0)
    with tending(kept), flowing(world, stage.size.frames, seconds) as flow:
        for number in range(stage.size.faults):
            stage.pause(1.0, 2.0)
            name, end, begin = ways[number % len(ways)]
            end()
            stage.fault(name)
            if end != kafka.freeze:
                _away(stage, [keeper.running for keeper in kept], "broker")
            time.sleep(stage.size.outage_s)
            begin()
            stage.expect(lambda: all(keeper.running.ready() for keeper in kept), _READY_WITHIN_S, "all ready again")
    with tending(kept):
        stage.prove(world, flow.published)
    # A client may forget a broker that shuts down, for good.
    stage.say(f"{gave_up(world)} processes ended themselves and were started anew")


def longer_than_timeouts(stage: Stage) -> None:
    """Outages longer than every timeout of Kafka's, with a rebalance in the middle; for a minute in the full form."""
    world = stage.world()
    configure(world, {"max.poll.interval.ms": 10_000, "session.timeout.ms": 6_000, "message.timeout.ms": 10_000})
    processes = world.start_all()
    count = stage.size.frames // 4
    published = publish(world, count, good)
    half_s = stage.size.outage_s / 2
    with flowing(world, 20, stage.size.outage_s, good, start=300_000) as flow:
        stage.services.postgres.stop()
        stage.services.s3.stop()
        stage.fault("database stopped")
        stage.fault("object store stopped")
        time.sleep(half_s)
        processes += [world.start_worker(), world.start_sink("postgres"), world.start_sink("objects")]
        stage.fault("a rebalance of every group")
        time.sleep(half_s)
        stage.services.postgres.start()
        stage.services.s3.start()
    published += flow.published + publish(world, count, good, 100_000)
    # Whoever waits for a database goes on polling. Without a broker a member is out of its group in any case.
    for process in processes:
        if evictions := process.metric("sightline_evictions_total"):
            stage.outcome.find(f"evicted: {evictions:.0f} times, for silence")
    stage.services.kafka.kill()
    stage.fault(f"kill -9 the broker, for {stage.size.outage_s:.0f} s")
    time.sleep(stage.size.outage_s)
    stage.services.kafka.start()
    published += publish(world, stage.size.frames - 2 * count, good, 200_000)
    stage.prove(world, published)
    for process in processes:
        stage.expect(process.ready, _READY_WITHIN_S, "ready again")


def stores(stage: Stage) -> None:
    """Database and object store are stopped, killed, refuse everybody, or answer slowly, while frames flow."""
    world = stage.world()
    proxies = stage.proxies()
    proxies.lead(world)
    processes = world.start_all()
    _, rows, objects = processes
    ways = _ways(stage, world, proxies, rows, objects)
    with flowing(world, stage.size.frames, stage.size.faults * (stage.size.outage_s + 3.0), good) as flow:
        for number in range(stage.size.faults):
            # Each way once, then any.
            name, happen = ways[number] if number < len(ways) else stage.chance.choice(ways)
            stage.fault(name)
            with happen():
                time.sleep(stage.size.outage_s)
            stage.expect(lambda: rows.ready() and objects.ready(), _READY_WITHIN_S, f"the sinks ready after: {name}")
    stage.prove(world, flow.published)


_Way = tuple[str, Callable[[], AbstractContextManager[None]]]


def _ways(stage: Stage, world: World, proxies: Proxies, rows: Running, objects: Running) -> Sequence[_Way]:
    postgres, s3 = stage.services.postgres, stage.services.s3
    server = stage.stack.enter_context(_engine(postgres.url))
    database = world.engine.url.database

    @contextmanager
    def away(service: object, sink: Running, end: Callable[[], None], begin: Callable[[], None]) -> Iterator[None]:
        end()
        _away(stage, [sink], str(service))
        yield
        begin()

    @contextmanager
    def refusing_database() -> Iterator[None]:
        with server.connect() as connection:
            connection.execute(text(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false"))
            connection.execute(
                text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname='{database}'")
            )
        try:
            _away(stage, [rows], "database")
            yield
        finally:
            with server.connect() as connection:
                connection.execute(text(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true"))

    @contextmanager
    def refusing_store() -> Iterator[None]:
        right = s3.secret_key
        s3.stop()
        s3.secret_key = "another-secret-for-a-while"  # noqa: S105 -- that it is another one is all that counts
        s3.start()
        try:
            _away(stage, [objects], "object store")
            yield
        finally:
            s3.stop()
            s3.secret_key = right
            s3.start()

    @contextmanager
    def slow() -> Iterator[None]:
        for name in ("postgres", "s3"):
            proxies.delay(name, 800, 400)
            proxies.narrow(name, 200)
        yield
        proxies.heal()

    return (
        ("database stopped", lambda: away("database", rows, postgres.stop, postgres.start)),
        ("object store stopped", lambda: away("object store", objects, s3.stop, s3.start)),
        ("database refuses", refusing_database),
        ("object store refuses", refusing_store),
        ("both slow", slow),
        ("kill -9 the database", lambda: away("database", rows, postgres.kill, postgres.start)),
        ("kill -9 the object store", lambda: away("object store", objects, s3.kill, s3.start)),
    )


def stores_and_models(stage: Stage) -> None:
    """Loaded models need no store: results flow on while database and object store are away."""
    world = stage.world("polyp")
    put_models_in_force(world, "polyp")
    worker, *sinks = world.start_all()
    count = stage.size.frames // 3
    published = publish(world, count, varied)
    world.wait_for_rows(count)
    for number, (name, service) in enumerate((("database", stage.services.postgres), ("S3", stage.services.s3)), 1):
        service.stop()
        stage.fault(f"{name} stopped")
        sent = publish(world, count, varied, start=number * 100_000)
        published.extend(sent)
        _away(stage, sinks, name, any_one=True)
        good_ones = sum(not is_broken(frame) for frame in published)
        stage.expect(
            lambda good_ones=good_ones: world.count(topics.results(world.pipeline)) >= good_ones,  # type: ignore[misc]
            60,
            "results during the outage",
        )
        time.sleep(stage.size.outage_s)
        stage.expect(worker.ready, 1, "the worker is ready all the while")
        service.start()
        stage.expect(lambda: all(sink.ready() for sink in sinks), _READY_WITHIN_S, "the sinks ready again")
    evidence = stage.prove(world, published)
    if any(result["detections"][0]["bbox"] != SEEN[LEFT] for result in evidence.topic_results):
        stage.outcome.find("changed: a detection lies elsewhere")


def _away(stage: Stage, processes: Sequence[Running], what: str, *, any_one: bool = False) -> None:
    """See that processes notice: not ready, and alive."""
    noticed = any if any_one else all
    stage.expect(lambda: noticed(not one.ready() for one in processes), 60, f"not ready without the {what}")
    for process in processes:
        if _is_dead(process):
            stage.outcome.find(f"dead: {process.process.args!r} without the {what}")


def _is_dead(process: Running) -> bool:
    """Tell whether it is not live, other than by a client that forgot all brokers: then it is started anew."""
    try:
        status, said = process.get("/health/live")
    except OSError:
        status, said = 0, process.log.read_text(encoding="utf-8")
    return status != 200 and "has known no broker" not in said


@contextmanager
def _engine(url: str) -> Iterator[Engine]:
    engine = database_engine(url, application_name="chaos").execution_options(isolation_level="AUTOCOMMIT")
    try:
        yield engine
    finally:
        engine.dispose()
