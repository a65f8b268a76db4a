"""Topic and consumer group names, in one place."""

import re

ALERTS = "alerts"
FRAMES = "frames"
RESULTS = "results"
ARTIFACTS = "artifacts"
DEAD_LETTERS = "deadletters"
EMR = "emr"
MODELS = "models"

# Kafka allows 249 characters a topic; the longest prefix and suffix of ours take 20.
PIPELINE_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")


def frames(pipeline: str) -> str:
    """Return the topic that stills for `pipeline` arrive on."""
    return f"{FRAMES}.{pipeline}"


def results(pipeline: str) -> str:
    """Return the topic that other systems read the results of `pipeline` from."""
    return f"{RESULTS}.{pipeline}"


def artifacts(pipeline: str) -> str:
    """Return the topic that carries the pictures to keep."""
    return f"{ARTIFACTS}.{pipeline}"


def dead_letters(pipeline: str) -> str:
    """Return the topic that carries what failed, with its original bytes."""
    return f"{DEAD_LETTERS}.{pipeline}"


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
    if kind == MODELS:
        pipeline = pipeline.partition(".")[0]
    return pipeline if pipeline and kind in {FRAMES, RESULTS, ARTIFACTS, DEAD_LETTERS, EMR, MODELS} else None
