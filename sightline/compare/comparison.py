"""A whole comparison: every frame of both sides goes in once, the figures come out."""

import heapq
from collections import Counter

from sightline.compare.change import Change, Rules, change_of
from sightline.compare.pair import SKIPPED, Pair
from sightline.compare.tally import Tally, share


class Comparison:
    """Collects pairs in any order. Memory is that of two tallies and of the `most` frames that changed most.

    `originals` counts frames of which both sides saw the camera's bytes, `copies` those of which one side did not:
    an archived copy may be lossy, and what changed may be the picture's doing.
    """

    def __init__(self, rules: Rules, most: int) -> None:
        self.rules = rules
        self.originals = Tally()
        self.copies = Tally()
        self.only_old: Counter[str] = Counter()
        self.only_new: Counter[str] = Counter()
        self.skipped_old = 0
        self.skipped_new = 0
        self._left_out = 0  # analysed on the old side, and skipped on the new one
        self._most = most
        self._heap: list[tuple[float, str, Change]] = []

    def add(self, pair: Pair) -> None:
        """Count one frame; one that was skipped on either side is not compared."""
        skipped_old = pair.old is not None and pair.old.kind == SKIPPED
        skipped_new = pair.new is not None and pair.new.kind == SKIPPED
        self.skipped_old += skipped_old
        self.skipped_new += skipped_new
        self._left_out += skipped_new and pair.old is not None and not skipped_old
        if skipped_old or skipped_new:
            return
        if pair.old is None:
            self.only_new[pair.source] += 1
        elif pair.new is None:
            self.only_old[pair.source] += 1
        else:
            change = change_of(pair, pair.old, pair.new, self.rules)
            (self.copies if pair.copied else self.originals).add(change)
            self._keep(change)

    @property
    def frames(self) -> int:
        """Return how many frames have a result on both sides."""
        return self.originals.frames + self.copies.frames

    @property
    def missing_share(self) -> float:
        """Return the share of the old side's analysed frames that the new side has no answer for."""
        missing = self.only_old.total() + self._left_out
        return share(missing, missing + self.frames)

    def most_changed(self) -> list[Change]:
        """Return the frames that changed most, the largest change first."""
        return [change for _, _, change in sorted(self._heap, key=lambda entry: (-entry[0], entry[1]))]

    def _keep(self, change: Change) -> None:
        if not change.weight or not self._most:
            return
        entry = (change.weight, change.frame_id, change)
        if len(self._heap) < self._most:
            heapq.heappush(self._heap, entry)
        elif entry[:2] > self._heap[0][:2]:
            heapq.heapreplace(self._heap, entry)
