"""Accepts or rejects a photo by its quality score."""

from processors.pipelines.summary import Material, Options, Summary, SummaryKind

ACCEPTED, REJECTED = "accepted", "rejected"


def summarise_civic(material: Material, _: Options) -> Summary:
    """Accept from `pass_score` on, by the rounded score that the result shows."""
    quality, rules = material.quality, material.rules
    failed = [check.name for check in quality.checks if not check.passed]
    facts = {
        "pass_score": rules.pass_score,
        "checks_passed": len(quality.checks) - len(failed),
        "checks_failed": len(failed),
        "failed": failed,
        "metadata": dict(material.evidence.metadata),
    }
    return Summary(ACCEPTED if quality.score >= rules.pass_score else REJECTED, facts)


CIVIC = SummaryKind(Options, summarise_civic)
