"""Compares what was sent with all that came of it. Nothing here knows how the system works, only what it promised."""

from sightline.demo.facts import Evidence
from sightline.demo.verify_answers import answered_once, answered_right
from sightline.demo.verify_objects import objects_kept


def verify(evidence: Evidence) -> list[str]:
    """Return every finding: lost, doubled, made up, wrong or changed; none when all is in order."""
    return [*answered_once(evidence), *answered_right(evidence), *objects_kept(evidence)]
