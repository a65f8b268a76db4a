"""Accepts or rejects a photo by its quality score."""

from processors.pipelines.summary import Summary
from processors.quality import Evidence
from schemas.pipeline import QualityRules
from schemas.result import Quality

ACCEPTED, REJECTED = "accepted", "rejected"


def summarise_civic(evidence: Evidence, quality: Quality, rules: QualityRules) -> Summary:
    """Accept from `pass_score` on, by the rounded score that the result shows."""
    failed = [check.name for check in quality.checks if not check.passed]
    facts = {
        "pass_score": rules.pass_score,
        "checks_passed": len(quality.checks) - len(failed),
        "checks_failed": len(failed),
        "failed": failed,
        "metadata": dict(evidence.metadata),
    }
    return Summary(ACCEPTED if quality.score >= rules.pass_score else REJECTED, facts)
