"""One world whose frames are answered live, for several tests of replays: each has replays of its own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from schemas.headers import Headers
from tests.pictures import TEN_WAYS, headers, jpeg
from tests.quick import Command, Host, make_host
from tests.services import S3, Kafka, Postgres
from tests.world import Running, World, make_world, wait_for

# What differs between two runs over the same frame without the answer being another one.
OWN = {"result_id", "replay_id", "processed_at", "timings_ms", "archived"}
GOOD, BROKEN = 116, 4
FRAMES = GOOD + BROKEN


@dataclass
class Replaying:
    """The world, and who answers its replays: nobody, before somebody asks for that."""

    world: World
    host: Host
    worker: Running | None = None

    def replay(self, command: str, *arguments: str, expect: int = 0) -> dict[str, Any]:
        """Run `sightline replay …` and return what it says."""
        said = self.host.run(self.world, "replay", command, *arguments, "--json", expect=expect)
        facts: dict[str, Any] = json.loads(said.splitlines()[-1])
        return facts

    def run(self, command: str, *arguments: str, expect: int = 0) -> None:
        """Run a command that has no JSON to say."""
        self.host.run(self.world, "replay", command, *arguments, expect=expect)

    def begin(self, command: str, *arguments: str, point: str | None = None) -> Command:
        """Start `sightline replay …`, to be killed at a point if one is named."""
        env = {} if point is None else {"SIGHTLINE_FAULT_POINT": point}
        return self.host.start(self.world, "replay", command, *arguments, env=env)

    def answer_replays(self) -> None:
        """Have a worker for replays."""
        if self.worker is None:
            self.worker = self.world.start("worker", self.world.pipeline, "--only-replay")

    def hold_replays(self) -> None:
        """Have none."""
        if self.worker is not None:
            self.worker.terminate()
            self.worker = None

    def kill_worker(self) -> None:
        """Let a worker take the place of the one for replays, which is killed."""
        assert self.worker is not None
        self.worker.kill()
        self.worker = None
        self.answer_replays()

    def answered(self, replay_id: str, count: int) -> dict[str, Any]:
        """Wait until so many frames of a replay have their answer, and return its status."""
        rows_of = (
            "SELECT (SELECT count(*) FROM results WHERE replay_id = :id AND supersedes IS NULL)"
            " + (SELECT count(*) FROM dead_letters WHERE replay_id = :id)"
        )
        wait_for(lambda: self.world.sql(rows_of, id=replay_id)[0][0] >= count, 60, f"{count} answers of {replay_id}")
        return self.replay("status", replay_id)

    def sent(self, replay_id: str) -> int:
        found = self.world.sql("SELECT sum(frames) FROM replay_partitions WHERE replay_id = :id", id=replay_id)
        return int(found[0][0] or 0)

    def state(self, replay_id: str) -> str:
        return str(self.world.sql("SELECT state FROM replays WHERE replay_id = :id", id=replay_id)[0][0])


def rows(world: World, replay_id: str | None) -> dict[str, dict[str, Any]]:
    """Return what the rows of a replay, or the live ones, say of each frame; each frame stands once."""
    which = "replay_id IS NULL" if replay_id is None else "replay_id = :replay_id AND supersedes IS NULL"
    found = world.sql(f"SELECT frame_id, body FROM results WHERE {which}", replay_id=replay_id)
    assert len({frame_id for frame_id, _ in found}) == len(found)
    return {frame_id: {name: part for name, part in body.items() if name not in OWN} for frame_id, body in found}


def photos(count: int, start: int = 0) -> list[tuple[bytes | None, Headers]]:
    return [(jpeg(n, 800, 640), headers(f"e{n}", f"/cameras/{n % 5}")) for n in range(start, start + count)]


@contextmanager
def make_replaying(folder: Path, kafka: Kafka, postgres: Postgres, s3: S3) -> Iterator[Replaying]:
    """Make the world, and wait until its frames are answered."""
    access = {"endpoint_url": s3.endpoint_url, "access_key": s3.access_key, "secret_key": s3.secret_key}
    with make_host() as host, make_world(folder, kafka.bootstrap, postgres.url, f"s3://{s3.bucket}", access) as world:
        started = [world.start("worker", world.pipeline, "--no-replay"), world.start_sink("postgres")]
        started.append(world.start_sink("objects"))
        broken = [TEN_WAYS[n].make(n, f"broken{n}", "/cameras/broken") for n in range(BROKEN)]
        world.publish(photos(GOOD) + broken)
        for running in started:
            running.wait_ready()
        world.wait_for_rows(FRAMES)
        yield Replaying(world, host)
