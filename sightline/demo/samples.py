"""All samples of the demo, and the order in which its camera sends them."""

import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from sightline.demo.broken import break_photos
from sightline.demo.photos import draw_photos
from sightline.demo.sample import Sample, unaltered

# One frame in six is broken: often enough to be seen at work, seldom enough to stay the exception.
_BROKEN_EVERY = 6


@dataclass(frozen=True, slots=True)
class Samples:
    """Photos that get a result, and frames that become dead letters."""

    photos: Sequence[Sample]
    broken: Sequence[Sample]

    def in_order(self, seed: int) -> Iterator[Sample]:
        """Yield samples without end, a good photo first: all are sent before one is sent again."""
        chance = random.Random(seed)  # noqa: S311 -- an order, not a secret
        photos, broken = _rounds(self.photos, chance), _rounds(self.broken, chance)
        yield self.photos[0]
        while True:
            for _ in range(_BROKEN_EVERY - 1):
                yield next(photos)
            yield next(broken)

    def save(self, folder: Path) -> int:
        """Write everything that can be a file, photos and broken ones apart; return how many. Raises OSError."""
        count = 0
        for name, samples in (("photos", self.photos), ("broken", self.broken)):
            (folder / name).mkdir(parents=True, exist_ok=True)
            for sample in samples:
                if sample.value is not None and sample.alter is unaltered:
                    (folder / name / sample.name).write_bytes(sample.value)
                    count += 1
        return count


def draw_samples(seed: int) -> Samples:
    """Draw everything: about 45 samples in 1.5 s, 200 KB each on average."""
    photos = list(draw_photos(seed))
    whole = {photo.name: photo.value for photo in photos if photo.value is not None}
    return Samples(photos, list(break_photos(whole)))


def in_turn(
    civic: Iterator[Sample], others: Sequence[Iterator[Sample]], *, ready: Callable[[], bool]
) -> Iterator[Sample | None]:
    """Yield from `civic`, and every second time from one of the others, each in turn; None until they are `ready`."""
    turns = itertools.cycle(others)
    while True:
        yield next(civic)
        if others:
            yield next(next(turns)) if ready() else None


def _rounds(samples: Sequence[Sample], chance: random.Random) -> Iterator[Sample]:
    while True:
        yield from chance.sample(samples, len(samples))
