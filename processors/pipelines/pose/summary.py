"""Counts objects and the keypoints that can be seen of each."""

from typing import Annotated

from pydantic import Field

from processors.pipelines.counts import count_facts, found_or_none
from processors.pipelines.summary import Material, Options, Summary, SummaryKind, one_role
from schemas.modelcard import Task
from schemas.result import Detection


class PoseOptions(Options):
    """From which visibility on a keypoint counts as seen."""

    min_visibility: Annotated[float, Field(ge=0, le=1, strict=True)] = 0.5


def summarise_pose(material: Material, options: PoseOptions) -> Summary:
    """Say whether anything was found, how many of each class, and how many keypoints of each object can be seen.

    `keypoints_seen` is in the order of the detections. A keypoint without a visibility counts as seen.
    """
    seen = [_seen(detection, options.min_visibility) for detection in material.detections]
    facts = {**count_facts(material.detections), "keypoints_seen": seen}
    return Summary(found_or_none(material.detections), facts)


def _seen(detection: Detection, least: float) -> int:
    return sum(visibility is None or visibility >= least for _, _, visibility in detection.keypoints or ())


POSE = SummaryKind(PoseOptions, summarise_pose, one_role("detector", Task.POSE))
