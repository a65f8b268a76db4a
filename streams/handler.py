"""What a loop does with records."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from streams.tracker import Record

Prepared = TypeVar("Prepared")


class Handler(Protocol[Prepared]):
    """What is done with the records."""

    def prepare(self, records: Sequence[Record]) -> Prepared:
        """Do what needs no order, in a work thread; several batches at a time.

        OutageError is waited out, then it is called again; so with `deliver`. Any other error ends the process.
        """
        ...

    def deliver(self, records: Sequence[Record], prepared: Prepared) -> None:
        """Publish or store, in a work thread, one batch at a time and in order; see that each record is finished."""
        ...
