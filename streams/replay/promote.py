"""Which results of a replay take the place of live ones, and as what they are published."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from schemas.identity import promoted_id, result_id
from schemas.replay import SKIPPED_CANCELLED
from schemas.result import Result
from sinks.postgres.replay_results import ReplayedPair

# What a result says. Which model or setting said it is another matter: the same answer needs no new message.
_ANSWER: Final = ("kind", "verdict", "score", "quality", "detections", "classification", "summary")


@dataclass(slots=True)
class Promotion:
    """What became of the results of a replay."""

    changed: int = 0
    unchanged: int = 0
    copies: int = 0  # left out: what was analysed was not what the camera sent
    skipped: int = 0


def promoted(
    pairs: Iterable[ReplayedPair], promoted_at: datetime, tally: Promotion, *, copies: bool
) -> Iterator[Result]:
    """Yield what to publish, and count everything in `tally`.

    Id and content follow from the replay's result and `promoted_at` alone, so that a second time says the same. The
    time of the result is that of the promotion: of two replays that are promoted, the later one holds.
    """
    for pair in pairs:
        if (pair.replayed.get("summary") or {}).get("skipped") == SKIPPED_CANCELLED:
            tally.skipped += 1
        elif pair.current is not None and _answer(pair.current) == _answer(pair.replayed):
            tally.unchanged += 1
        elif pair.replayed.get("archived") and not copies:
            tally.copies += 1
        else:
            tally.changed += 1
            yield _promoted(pair.replayed, promoted_at)


def _promoted(body: dict[str, Any], promoted_at: datetime) -> Result:
    result = Result.model_validate(body)
    return result.model_copy(
        update={
            "result_id": promoted_id(result.result_id),
            # Also where the frame has no live result, because it failed then: this is the id that it would have.
            "supersedes": result_id(result.frame_id, result.pipeline, None, "live"),
            "processed_at": promoted_at,
        }
    )


def _answer(body: dict[str, Any]) -> list[Any]:
    return [body.get(name) for name in _ANSWER]
