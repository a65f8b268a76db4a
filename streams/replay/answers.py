"""Answers of a replay: the same results under ids of their own."""

from dataclasses import replace

from processors.outcome import Success
from schemas.identity import result_id
from schemas.replay import Replayed


def of_replay(success: Success, replayed: Replayed) -> Success:
    """Return the answer as one of a replay. A shadow's is left out: it is on trial on live frames."""
    result = success.result
    changed = {
        "result_id": result_id(result.frame_id, result.pipeline, replayed.replay_id, result.variant),
        "replay_id": replayed.replay_id,
        "archived": True if replayed.archived else None,
    }
    return replace(success, result=result.model_copy(update=changed), shadow=None)
