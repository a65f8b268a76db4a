"""How long to wait between tries: exponential, bounded, with jitter so that a fleet spreads out."""

import random
from dataclasses import dataclass

# One for all: each has 2.5 KB of state, and there is a back-off for every message on its way.
_CHANCE = random.Random()  # noqa: S311 -- jitter is no secret


@dataclass(slots=True)
class Backoff:
    """Delays of `first_s`, doubling up to `longest_s`, each shortened by up to half at random."""

    first_s: float = 0.2
    longest_s: float = 10.0
    chance: random.Random = _CHANCE
    tries: int = 0

    def next_delay_s(self) -> float:
        """Return the next delay; the count of tries grows."""
        bound = min(self.longest_s, self.first_s * float(1 << min(self.tries, 30)))
        self.tries += 1
        return bound * self.chance.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin again at the first delay: a try succeeded."""
        self.tries = 0
