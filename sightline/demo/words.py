"""A result in a few words, for people."""

from collections import Counter

from schemas.result import Result

_MOST_KINDS = 4


def verdict_of(result: Result) -> str:
    """Return the verdict, or why there is none."""
    return result.verdict or (result.kind if result.kind != "frame" else "")


def findings_of(result: Result) -> str:
    """Say what was found, the commonest first; else how likely the label is; and which checks failed."""
    found = Counter(detection.class_name for detection in result.detections or ())
    said = [f"{count} {name}" for name, count in found.most_common(_MOST_KINDS)]
    if len(found) > _MOST_KINDS:
        said.append("...")
    if result.classification is not None:
        label, probability = result.classification.label, result.classification.probability
        said.append(f"{probability:.2f}" if label == result.verdict else f"{label} {probability:.2f}")
    checks = result.quality.checks if result.quality is not None else []
    said += [f"{check.name} failed" for check in checks if not check.passed]
    return ", ".join(said)
