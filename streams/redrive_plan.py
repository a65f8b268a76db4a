"""What is to be done with one dead letter, and why not. No I/O."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from schemas import topics
from schemas.deadletter import ATTEMPT_HEADER, MAX_INT32, REDRIVEN_HEADER
from schemas.frame import Origin
from schemas.headers import Headers
from schemas.message import Message
from sinks.postgres.deadletter_actions import Action

Row = Mapping[str, Any]
# What carries messages of one purpose each, which nobody may inject by forging the headers of a dead letter.
_NEVER = {topics.DEAD_LETTERS, topics.MODELS, topics.REPLAYS}


@dataclass(frozen=True, slots=True)
class Step:
    """What would be done with a dead letter. `action` None: nothing can be, for `reason`.

    `attempt` is the one that a redrive would be.
    """

    dl_id: str
    action: Action | None
    topic: str | None = None
    attempt: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Original:
    """A dead letter's record. `headers` are those of the record that failed, `all_headers` have the block as well.

    `stored` is its value on the dead-letter topic: null where that lies in the object store.
    """

    key: bytes | None
    value: bytes | None
    headers: Headers
    all_headers: Headers
    stored: bytes | None


@dataclass(frozen=True, slots=True)
class Handled:
    """What was done with a dead letter, and where its record lies now."""

    step: Step
    place: Origin | None = None


def plan_redrive(row: Row, max_attempts: int) -> Step:
    """Send it to the topic that it came from, or park it once it has failed `max_attempts` times."""
    dl_id, attempt = row["dl_id"], row["attempt"] or 1
    if row["state"] == "purged":
        return Step(dl_id, None, reason="it was purged")
    if attempt >= max_attempts:
        if row["state"] == "parked":
            return Step(dl_id, None, reason=f"it has failed {attempt} times, and is parked already")
        return plan_park(row, f"it has failed {attempt} times")
    problem = _problem(row)
    if problem is not None:
        return Step(dl_id, None, reason=problem)
    return Step(dl_id, Action.REDRIVE, row["origin_topic"], min(attempt + 1, MAX_INT32))


def plan_park(row: Row, reason: str | None = None) -> Step:
    """Put it aside on the parking topic of its pipeline."""
    if row["state"] in {"parked", "purged"}:
        return Step(row["dl_id"], None, reason=f"it is {row['state']} already")
    return Step(row["dl_id"], Action.PARK, topics.parked(row["pipeline"]), reason=reason)


def step_message(step: Step, original: Original) -> Message:
    """Build what is sent: without the last block, and saying which attempt this is; parking changes nothing."""
    topic = step.topic or ""
    if step.action is not Action.REDRIVE:
        return Message(topic, original.key, original.stored, original.all_headers)
    kept = [(name, value) for name, value in original.headers if name not in {ATTEMPT_HEADER, REDRIVEN_HEADER}]
    added = [(ATTEMPT_HEADER, str(step.attempt).encode()), (REDRIVEN_HEADER, step.dl_id.encode())]
    return Message(topic, original.key, original.value, [*kept, *added])


def _problem(row: Row) -> str | None:
    topic = row["origin_topic"]
    if row["headers_lost"]:
        return "the original's headers could not be read, and are lost"
    if topic is None:
        return "nobody knows which topic it came from"
    kind = topic.partition(".")[0]
    if topic != topics.ALERTS and (kind in _NEVER or topics.pipeline_of(topic) != row["pipeline"]):
        return f"it says that it came from {topic}, where nothing is sent to"
    return None
