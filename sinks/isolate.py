"""Storing a batch in which some entries may be poison: the guilty leave alone, the others go in."""

from collections.abc import Sequence

from schemas.errors import Code, InputError, Stage, UnclearError
from sinks.protocol import Entry, Sink, StoreReport

UNCLEAR_TRIES = 3


def store_isolating(sink: Sink[Entry], entries: Sequence[Entry]) -> tuple[StoreReport, list[tuple[Entry, InputError]]]:
    """Store `entries`, and return what was done together with those that can never be stored, in order.

    A batch that fails for its content is halved until the guilty entry stands alone: one poison entry costs
    about 2·log2(n) further calls. A single entry that fails for an unclear reason is tried UNCLEAR_TRIES
    times in all. Blocks as `sink.store` does. Raises OutageError at once; what was stored until then
    counts as repeated when the batch comes again.
    """
    if not entries:
        return StoreReport(), []
    if len(entries) == 1:
        return _store_single(sink, entries[0])
    try:
        return sink.store(entries), []
    except (InputError, UnclearError):
        middle = len(entries) // 2
        first, first_rejected = store_isolating(sink, entries[:middle])
        second, second_rejected = store_isolating(sink, entries[middle:])
        return first + second, first_rejected + second_rejected


def _store_single(sink: Sink[Entry], entry: Entry) -> tuple[StoreReport, list[tuple[Entry, InputError]]]:
    for _ in range(UNCLEAR_TRIES):
        try:
            return sink.store([entry]), []
        except InputError as error:
            return StoreReport(), [(entry, error)]
        except UnclearError:
            continue
    code = Code.OBJECT_REJECTED if sink.stage is Stage.SINK_OBJECTS else Code.ROW_REJECTED
    rejection = InputError(code, sink.stage, f"the store failed {UNCLEAR_TRIES} times for an unclear reason")
    return StoreReport(), [(entry, rejection)]
