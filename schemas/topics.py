"""Topic and consumer group names, in one place."""

import re

ALERTS = "alerts"
FRAMES = "frames"
RESULTS = "results"
ARTIFACTS = "artifacts"
DEAD_LETTERS = "deadletters"
EMR = "emr"
MODELS = "models"
REPLAYS = "replays"
REPLAY_SUFFIX = ".replay"
PARKED_SUFFIX = ".parked"
# One for all pipelines, like the alerts; a hyphen, so that no pipeline's name makes the same topic.
REPLAY_COMMANDS = "replay-commands"
REPLAY_ANSWERS = "replay-answers"
SHARED = (ALERTS, REPLAY_COMMANDS, REPLAY_ANSWERS)

_KINDS = frozenset({FRAMES, RESULTS, ARTIFACTS, DEAD_LETTERS, EMR, MODELS, REPLAYS})
# Kafka allows 249 characters a topic; the longest prefix and suffix of ours take 20.
PIPELINE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def frames(pipeline: str) -> str:
    """Return the topic that stills for `pipeline` arrive on."""
    return f"{FRAMES}.{pipeline}"


def frames_replay(pipeline: str) -> str:
    """Return the topic that frames of `pipeline` are sent to once more on."""
    return f"{FRAMES}.{pipeline}{REPLAY_SUFFIX}"


def results_replay(pipeline: str) -> str:
    """Return the topic that carries what replays of `pipeline` say, apart from the live results."""
    return f"{RESULTS}.{pipeline}{REPLAY_SUFFIX}"


def replays(pipeline: str) -> str:
    """Return the compacted topic that says which replays of `pipeline` are cancelled."""
    return f"{REPLAYS}.{pipeline}"


def results(pipeline: str) -> str:
    """Return the topic that other systems read the results of `pipeline` from."""
    return f"{RESULTS}.{pipeline}"


def artifacts(pipeline: str) -> str:
    """Return the topic that carries the pictures to keep."""
    return f"{ARTIFACTS}.{pipeline}"


def dead_letters(pipeline: str) -> str:
    """Return the topic that carries what failed, with its original bytes."""
    return f"{DEAD_LETTERS}.{pipeline}"


def parked(pipeline: str) -> str:
    """Return the topic that dead letters are put aside on, once they have failed too often."""
    return f"{DEAD_LETTERS}.{pipeline}{PARKED_SUFFIX}"


def emr(pipeline: str) -> str:
    """Return the topic that carries results in the form that hospital systems read."""
    return f"{EMR}.{pipeline}"


def activations(pipeline: str, role: str) -> str:
    """Return the compacted topic that says which models are in force for one role."""
    return f"{MODELS}.{pipeline}.{role}"


def group(process: str, pipeline: str) -> str:
    """Return the consumer group of a process for a pipeline."""
    return f"sightline.{process}.{pipeline}"


def pipeline_of(topic: str) -> str | None:
    """Return the pipeline that a topic belongs to, or None for one that is not a pipeline's."""
    kind, _, pipeline = topic.partition(".")
    # No pipeline's name has a dot: what follows one is a role, or says that the topic is for replays.
    pipeline = pipeline.partition(".")[0]
    return pipeline if pipeline and kind in _KINDS else None
