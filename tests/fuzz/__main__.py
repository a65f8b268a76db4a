"""`python -m tests.fuzz [--messages N] [--seed N]`: malformed messages through real processes."""

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from infra.local.kafka import Kafka
from infra.local.postgres import Postgres
from infra.local.process import free_port
from infra.local.s3 import S3
from tests.fuzz.run import LIKE, Outcome, fuzz
from tests.world import make_world


def main(arguments: list[str]) -> int:
    """Run on services of its own, print a summary, and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    parser.add_argument("--messages", type=int, default=150_000)  # two thirds are malformed frames
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--wave", type=int, default=5000)
    options = parser.parse_args(arguments)
    print(f"seed {options.seed}", flush=True)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        folder.chmod(0o755)  # PostgreSQL may run as another user
        kafka = Kafka(folder / "kafka", free_port(), die_with_us=True)
        postgres = Postgres(folder / "postgres", free_port(), die_with_us=True)
        s3 = S3(folder / "s3", free_port(), die_with_us=True)
        for service in (kafka, postgres, s3):
            service.start()
            stack.callback(service.stop)
        access = {"endpoint_url": s3.endpoint_url, "access_key": s3.access_key, "secret_key": s3.secret_key}
        world = stack.enter_context(
            make_world(folder / "world", kafka.bootstrap, postgres.url, f"s3://{s3.bucket}", access, LIKE)
        )
        outcome = fuzz(world, options.messages, options.seed, wave=options.wave, shared=True, say=_say)
    print("\n".join(_summary(outcome)), flush=True)
    return 1 if outcome.findings() else 0


def _say(line: str) -> None:
    print(line, flush=True)


def _summary(outcome: Outcome) -> list[str]:
    books, total = outcome.books, outcome.sender.sent.total()
    lines = [f"{total} messages in {outcome.seconds:.0f} s, {total / outcome.seconds:.0f}/s", ""]
    lines += ["| kind | sent | too large for the topic | results | stored | dead letters |", "|---|" + "---:|" * 5]
    for kind, count in outcome.sender.sent.most_common():
        became = [books.answers[kind, way] for way in ("result", "stored", "dead letter")]
        cells = [kind, count, outcome.sender.refused[kind], *became]
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines += ["", *(f"{count:7} {code}" for code, count in books.codes.most_common()), ""]
    lines += [f"{topic}: {there} complaints of {wanted}" for topic, (wanted, there) in outcome.complaints.items()]
    lines += [f"{name}: {', '.join(f'{one:.0f}' for one in samples)} MB" for name, samples in outcome.memory_mb.items()]
    lines += [f"{name}: {growth:.0f} bytes a message" for name, samples in outcome.memory_mb.items()
              if (growth := outcome.growth(samples)) is not None]  # fmt: skip
    lines.append(f"{books.frames} of them malformed frames")
    lines.append(f"{outcome.deaths} deaths of the process that decodes, {books.repeats} repeats on topics")
    return [*lines, f"{len(outcome.findings())} findings", *outcome.findings()[:30]]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
