"""What a scenario is given: real services, worlds on them, its seed, and somebody who audits what became of it."""

import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml

from infra.local.process import free_port
from infra.local.toxiproxy import Toxiproxy
from tests.audit import Evidence, audit, collect
from tests.chaos.outcome import Outcome
from tests.chaos.traffic import is_broken
from tests.services import S3, Kafka, Postgres, running
from tests.world import Published, World, make_world, wait_for

# When nothing more has come for so long, nothing more will come.
_STILL_S = 180.0
_KAFKA, _POSTGRES, _S3 = "kafka", "postgres", "s3"


@dataclass(frozen=True)
class Size:
    """How much a scenario is asked for, at least; an outage of it takes about `outage_s`."""

    frames: int
    faults: int
    outage_s: float = 0.0


@dataclass
class Services:
    """The services that all scenarios of a run share, each up when a scenario begins."""

    kafka: Kafka
    postgres: Postgres
    s3: S3


class Proxies:
    """Kafka, PostgreSQL and S3 behind proxies: `env` leads a process there."""

    names = (_KAFKA, _POSTGRES, _S3)

    def __init__(self, toxiproxy: Toxiproxy, services: Services) -> None:
        self._toxiproxy = toxiproxy
        assert services.kafka.via_port is not None
        ports = {_KAFKA: services.kafka.via_port, _POSTGRES: free_port(), _S3: free_port()}
        upstreams = {
            _KAFKA: services.kafka.via_upstream,
            _POSTGRES: f"127.0.0.1:{services.postgres.port}",
            _S3: f"127.0.0.1:{services.s3.port}",
        }
        for name in self.names:
            toxiproxy.proxy(name, ports[name], upstreams[name])
        self._ports = ports
        self._postgres_port = services.postgres.port
        self._swallowing: set[str] = set()

    def lead(self, world: World) -> None:
        """Let the processes of a world go through the proxies; the auditor does not."""
        world.env |= {
            "SIGHTLINE_KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{self._ports[_KAFKA]}",
            "SIGHTLINE_DATABASE_URL": world.env["SIGHTLINE_DATABASE_URL"].replace(
                f":{self._postgres_port}/", f":{self._ports[_POSTGRES]}/"
            ),
            "SIGHTLINE_S3_ENDPOINT_URL": f"http://127.0.0.1:{self._ports[_S3]}",
        }

    def cut(self, name: str) -> None:
        """End all connections, and refuse new ones."""
        self._toxiproxy.cut(name)

    def delay(self, name: str, ms: int, jitter_ms: int) -> None:
        """Let every answer come late, by `ms` give or take `jitter_ms`."""
        self._toxiproxy.disturb(name, "latency", latency=ms, jitter=jitter_ms)

    def swallow(self, name: str, share: float) -> None:
        """Lose all that is said on a share of the connections, in both directions, without ending them."""
        self._swallowing.add(name)
        for stream in ("upstream", "downstream"):
            self._toxiproxy.disturb(name, "timeout", stream, share, timeout=0)

    def reset_after(self, name: str, size_bytes: int) -> None:
        """End each connection in the middle of what it says, after so many bytes."""
        self._toxiproxy.disturb(name, "limit_data", bytes=size_bytes)

    def narrow(self, name: str, kb_per_s: int) -> None:
        """Let through only so much."""
        self._toxiproxy.disturb(name, "bandwidth", rate=kb_per_s)

    def heal(self) -> None:
        """Let everything through again."""
        for name in self._swallowing:
            # What was swallowed is missing in the middle of what is said, which no network does: begin anew.
            self._toxiproxy.cut(name)
        self._swallowing.clear()
        self._toxiproxy.heal()


class Stage:
    """One run of one scenario. Enter it; at the end all that it started is gone."""

    def __init__(self, outcome: Outcome, size: Size, services: Services, folder: Path) -> None:
        self.outcome = outcome
        self.size = size
        self.services = services
        self.chance = random.Random(f"{outcome.scenario}:{outcome.seed}")
        self.folder = folder
        self.stack = ExitStack()
        self._worlds = 0
        self._began = time.monotonic()

    def __enter__(self) -> Self:
        for service in (self.services.s3, self.services.postgres, self.services.kafka):
            service.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stack.close()
        self.outcome.seconds = time.monotonic() - self._began

    def world(self, like: str = "civic", *, bootstrap: str | None = None, postgres: Postgres | None = None,
              s3: S3 | None = None) -> World:  # fmt: skip
        """Make a world on the shared services, or on those that are named."""
        store = s3 or self.services.s3
        access = {"endpoint_url": store.endpoint_url, "access_key": store.access_key, "secret_key": store.secret_key}
        self._worlds += 1
        made = make_world(
            self.folder / f"world-{self._worlds}",
            bootstrap or self.services.kafka.bootstrap,
            (postgres or self.services.postgres).url,
            f"s3://{store.bucket}",
            access,
            like,
        )
        return self.stack.enter_context(made)

    def proxies(self) -> Proxies:
        """Start a proxy before each of the shared services."""
        toxiproxy = self.stack.enter_context(running(lambda folder: Toxiproxy(folder, free_port(), die_with_us=True)))
        return Proxies(toxiproxy, self.services)

    def say(self, what: str) -> None:
        print(f"  {time.monotonic() - self._began:6.1f} s  {what}", flush=True)

    def fault(self, what: str) -> None:
        """Count a fault, and say which."""
        self.outcome.faults += 1
        self.say(what)

    def pause(self, least_s: float, most_s: float) -> None:
        """Wait for a random time, so that faults fall anywhere."""
        time.sleep(self.chance.uniform(least_s, most_s))

    def prove(self, world: World, published: Sequence[Published]) -> Evidence:
        """Wait until every frame has its answer and all has come to rest; audit, and note what is wrong."""
        try:
            self._wait_for_rows(world, len(published))
            world.wait_until_settled(_STILL_S)
        except AssertionError as late:
            self.outcome.find(f"late: {late}")
        self.say("at rest")
        evidence = collect(world, published)
        self.outcome.add(evidence, [*audit(evidence), *blamed(evidence)])
        return evidence

    def _wait_for_rows(self, world: World, count: int) -> None:
        """Wait as long as more and more rows come."""
        before, since = -1, time.monotonic()
        while (rows := sum(world.count_rows())) < count:
            if rows > before:
                before, since = rows, time.monotonic()
            assert time.monotonic() - since < _STILL_S, f"no more than {rows} rows of {count} for {_STILL_S:.0f} s"
            time.sleep(0.2)

    def expect(self, condition: Callable[[], object], timeout_s: float, what: str) -> None:
        """Wait for something that the scenario promises; note it as wrong when it does not come."""
        try:
            wait_for(condition, timeout_s, what)
        except AssertionError as missing:
            self.outcome.find(f"missed: {missing}")


def blamed(evidence: Evidence) -> list[str]:
    """Find dead letters of frames that could succeed."""
    poor = {published.origin for published in evidence.published if is_broken(published)}
    letters = {letter.origin: letter.code for letter in evidence.topic_letters if letter.origin not in poor}
    return [f"blamed: {origin} with {code}, and nothing is wrong with it" for origin, code in letters.items()]


def configure(world: World, properties: Mapping[str, int]) -> None:
    """Set librdkafka's properties for all processes of a world."""
    config = world.folder / "kafka.yaml"
    config.write_text(yaml.safe_dump({"kafka": {"properties": dict(properties)}}), encoding="utf-8")
    world.env["SIGHTLINE_CONFIG"] = str(config)


def forget_the_dead_sooner(world: World) -> None:
    """Let a group notice after 3 s that a member is gone, as the brokers of the tests allow."""
    configure(world, {"session.timeout.ms": 3_000, "heartbeat.interval.ms": 500})
