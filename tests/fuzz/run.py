"""A run: processes up, malformed messages in waves, memory after each, and the books at the end."""

import itertools
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import yaml

from schemas import topics
from schemas.activation import ModelAddress
from schemas.errors import Stage
from schemas.pipeline import PipelineDefinition
from schemas.replay import Overrides, OverridesReference
from sightline.cli.pipelines import load_definition
from sightline.cli.replay_store import open_documents
from tests.fuzz.books import Books, account
from tests.fuzz.sending import Sender
from tests.fuzz.stream import ROLE, Surroundings, stream
from tests.scenes import RIGHT, polyp_model, put_in_force, put_models_in_force, settings_of, store
from tests.world import Running, World, wait_for

LIKE = "polyp"
# Above what each process held after the first fifth. What it has ever needed at a time it may keep.
GROWTH_MB = 40.0
_FIRST_SHARE = 0.2
# Over the second half, by the median slope between any two waves, and between neighbours: a leak goes on in both, a
# single step shows in the first only, a memory that is given back now and then in the second only.
GROWTH_BYTES_PER_MESSAGE = 150.0
_WAVES_FOR_A_SLOPE = 10
_WAVE_S = 600
_MB = 1e6
_CHANGES = {
    "input": {"media_types": ["image/jpeg", "image/png", "image/webp", "image/heic", "image/tiff"]},
    "emr": True, "keep": "picture",
}  # fmt: skip


@dataclass
class Outcome:
    """What a run gave. `memory_mb`: of each process' own memory after each wave."""

    books: Books
    sender: Sender
    seconds: float
    memory_mb: Mapping[str, list[float]]
    deaths: int
    complaints: Mapping[str, tuple[int, int]]  # by topic: those that should be, those that were
    wave: int = 1  # messages between two samples of memory

    def findings(self) -> list[str]:
        """Return what is wrong; that a message kills, hangs or baffles the process that works on it is."""
        found = list(self.books.findings)
        found += [f"{self.deaths} deaths of the process that decodes"] if self.deaths else []
        found += [f"{count} x {code}" for code, count in self.books.codes.items() if code.startswith(Stage.PROCESS)]
        for name, samples in self.memory_mb.items():
            first = samples[int(len(samples) * _FIRST_SHARE)]
            if samples[-1] > first + GROWTH_MB:
                found.append(f"{name} grew from {first:.0f} to {samples[-1]:.0f} MB")
            growth = self.growth(samples)
            if growth is not None and growth > GROWTH_BYTES_PER_MESSAGE:
                found.append(f"{name} grows by {growth:.0f} bytes a message")
        wrong = [one for one in self.complaints.items() if one[1][0] != one[1][1]]
        return found + [f"{topic}: {there} complaints instead of {wanted}" for topic, (wanted, there) in wrong]

    def growth(self, samples: Sequence[float]) -> float | None:
        """Return by how many bytes a message memory grows in the second half; None where waves are too few."""
        later = samples[len(samples) // 2 :]
        if len(samples) < _WAVES_FOR_A_SLOPE:
            return None
        pairs = itertools.combinations(enumerate(later), 2)
        any_two = median((other - one) / (behind - place) for (place, one), (behind, other) in pairs)
        neighbours = median(other - one for one, other in itertools.pairwise(later))
        return min(any_two, neighbours) * _MB / self.wave


def fuzz(
    world: World, count: int, seed: int, *, wave: int, shared: bool, say: Callable[[str], None] = print
) -> Outcome:
    """Send `count` messages and account for each; `world` is like `LIKE`.

    `shared`: with the monitor, and also to topics that all pipelines of a broker share: alerts and replay commands.
    """
    world.env["SIGHTLINE_LOG_LEVEL"] = "error"
    around = _prepare(world, shared=shared)
    processes = _start(world, shared=shared)
    sender, messages = Sender(world.bootstrap), stream(around, seed)
    memory_mb: dict[str, list[float]] = {name: [] for name in processes}
    began = time.monotonic()
    for sent in range(0, count, wave):
        sender.send(itertools.islice(messages, min(wave, count - sent)))
        _settle(world, sender, processes)
        for name, process in processes.items():
            assert process.process.poll() is None, f"{name} ended:\n{process.log.read_text()[-3000:]}"
            memory_mb[name].append(_own_mb(process))
        rate = (sent + wave) / (time.monotonic() - began)
        say(f"{sent + wave:7} messages, {rate:5.0f}/s, " + ", ".join(f"{n} {m[-1]:.0f}" for n, m in memory_mb.items()))
    seconds = time.monotonic() - began
    worker = processes["worker"]
    _still_works(world, around.models[0], worker)
    deaths = round(worker.metric("sightline_worker_deaths_total"))
    books = account(world, sender)
    return Outcome(books, sender, seconds, memory_mb, deaths, _complaints(world, sender, processes), wave)


def _prepare(world: World, *, shared: bool) -> Surroundings:
    file = Path(world.env["SIGHTLINE_PIPELINES_DIR"]) / f"{world.pipeline}.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text(encoding="utf-8")) | _CHANGES), encoding="utf-8")
    world.run("topics", "apply", world.pipeline, "--yes")
    first = put_models_in_force(world, LIKE)[ROLE]
    second = store(world, polyp_model(world.folder, "2", RIGHT))
    missing = ModelAddress(name="gone", version="1", digest="0" * 64)
    return Surroundings(world.pipeline, _overrides(world, second), (first, second, missing), shared)


def _overrides(world: World, model: ModelAddress) -> list[OverridesReference]:
    settings = settings_of(world)
    definition = load_definition(world.pipeline, settings)
    surer = PipelineDefinition.model_validate(definition.model_dump() | {"inference": {"confidence": 0.9}})
    documents = open_documents(settings)
    return [documents.put(Overrides(definition=surer)), documents.put(Overrides(models={ROLE: model}))]


def _start(world: World, *, shared: bool) -> Mapping[str, Running]:
    processes = {
        "worker": world.start_worker(env={"SIGHTLINE_WORKER_FLOOD_HALT": "false"}),
        "sink postgres": world.start_sink("postgres"),
        "sink objects": world.start_sink("objects"),
    }
    if shared:
        processes["monitor"] = world.start("monitor", world.pipeline)
        processes["replay serve"] = world.start("replay", "serve")
    for process in processes.values():
        process.wait_ready(120)
    return processes


def _settle(world: World, sender: Sender, processes: Mapping[str, Running]) -> None:
    """Wait until nothing is left to do; a sink's dead letters come back to the sinks, hence the second look."""
    replay = topics.group("worker-replay", world.pipeline)
    for _ in range(2):
        world.wait_for_lag(replay, [topics.frames_replay(world.pipeline)], _WAVE_S)
        world.wait_until_settled(_WAVE_S)
        world.wait_for_lag(topics.group("sink-postgres", world.pipeline), [topics.results_replay(world.pipeline)], 60)
    if "replay serve" in processes:
        sent = sender.sent["replay command"] - sender.refused["replay command"]
        handled = partial(processes["replay serve"].metric, "sightline_replay_commands_total")
        wait_for(lambda: handled() >= sent, _WAVE_S, f"{sent} commands", every_s=0.5)


def _still_works(world: World, model: ModelAddress, worker: Running) -> None:
    """After all that was sent to its topic, a good activation comes into force."""
    put_in_force(world, model, ROLE)
    labels = {"side": "live", "digest": model.digest}
    wait_for(lambda: worker.metric("sightline_model_loaded", **labels) == 1, 60, "the model that was activated last")
    worker.wait_ready(60)


def _complaints(world: World, sender: Sender, processes: Mapping[str, Running]) -> dict[str, tuple[int, int]]:
    worker, serve = processes["worker"], processes.get("replay serve")
    activations, replays = topics.activations(world.pipeline, ROLE), topics.replays(world.pipeline)
    said = worker.log.read_text(encoding="utf-8", errors="replace").count('"replay state cannot be read"')
    complaints = {
        activations: (sender.complaints[activations], round(worker.metric("sightline_activations_malformed_total"))),
        replays: (sender.complaints[replays], said),
    }
    if serve is not None:
        unreadable = round(serve.metric("sightline_replay_commands_total", outcome="unreadable"))
        complaints[topics.REPLAY_COMMANDS] = sender.complaints[topics.REPLAY_COMMANDS], unreadable
    return complaints


def _own_mb(running: Running) -> float:
    """Return what the process has written and shares with nobody: pages of libraries come and go with others."""
    text = Path(f"/proc/{running.working_pid}/smaps_rollup").read_text(encoding="ascii")
    found = re.search(r"Private_Dirty:\s+(\d+) kB", text)
    assert found is not None
    return int(found[1]) * 1024 / _MB
