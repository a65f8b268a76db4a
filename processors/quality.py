"""The quality checks: from measured numbers to credits, a score and a level.

A passed check gives 100, a failed one partial credit by its own formula. The score is the weighted mean over the
checks that count, rounded to 0.1. All numbers are settings (`schemas.pipeline.QualityRules`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from processors.measures import Measures
from processors.metadata import FIELD_COUNT, Metadata
from schemas.pipeline import CheckName, QualityRules
from schemas.result import Check, Quality

SCORING_VERSION = "1"
FULL_CREDIT = 100.0
# Brightness is best at middle grey, and contrast is enough from this deviation on.
_MIDDLE_GREY, _ENOUGH_DEVIATION = 128, 64


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the checks judge. Sizes are (width, height) in pixels, as stored and as people see the picture."""

    measures: Measures
    metadata: Metadata
    stored_wh: tuple[int, int]
    upright_wh: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Finding:
    """What one check found. `partial` is its credit if it did not pass."""

    passed: bool
    value: float
    partial: float
    reason: str
    recommendation: str

    @property
    def credit(self) -> float:
        return FULL_CREDIT if self.passed else self.partial


def judge(evidence: Evidence, rules: QualityRules) -> Quality:
    """Run the checks that count, in the order of `CheckName`, and weigh them."""
    names = [name for name in CheckName if name in rules.checks]
    findings = {name: _CHECKS[name](evidence, rules) for name in names}
    weights = {name: getattr(rules, name).weight for name in names}
    total = sum(weights.values())
    score = round(sum(findings[name].credit * weights[name] for name in names) / total, 1)
    return Quality(
        score=score,
        level=_level(score, rules),
        checks=[_check(name, findings[name], 100 * weights[name] / total) for name in names],
    )


def _check(name: CheckName, finding: _Finding, weight: float) -> Check:
    return Check(
        name=name.value,
        passed=finding.passed,
        value=finding.value,
        score=round(finding.credit, 1),
        weight=round(weight, 4),
        reason=finding.reason,
        recommendation=None if finding.passed else finding.recommendation,
    )


def _level(score: float, rules: QualityRules) -> str:
    levels = (("excellent", rules.levels.excellent), ("good", rules.levels.good), ("fair", rules.levels.fair))
    return next((name for name, lowest in levels if score >= lowest), "poor")


def _blur(evidence: Evidence, rules: QualityRules) -> _Finding:
    rule, variance = rules.blur, evidence.measures.laplacian_variance
    return _Finding(
        passed=variance >= rule.min_variance,
        value=variance,
        partial=min(rule.partial_max, variance / rule.min_variance * rule.partial_max),
        reason=f"The sharpness (variance of the Laplacian) is {variance:.1f}; {rule.min_variance:g} is wanted.",
        recommendation="Hold the camera still, let it focus, and wipe the lens.",
    )


def _resolution(evidence: Evidence, rules: QualityRules) -> _Finding:
    rule = rules.resolution
    width, height = evidence.upright_wh if rule.apply_orientation else evidence.stored_wh
    megapixels = width * height / 1e6
    fits = width >= rule.min_width and height >= rule.min_height
    fits_turned = rule.either_orientation and height >= rule.min_width and width >= rule.min_height
    if megapixels >= rule.partial_min_megapixels:
        partial = min(rule.partial_max, megapixels / rule.min_megapixels * rule.partial_max)
    else:
        partial = rule.partial_floor
    wanted = f"{rule.min_width} x {rule.min_height} and {rule.min_megapixels:g} megapixels"
    return _Finding(
        passed=(fits or fits_turned) and megapixels >= rule.min_megapixels,
        value=megapixels,
        partial=partial,
        reason=f"The picture has {width} x {height} pixels ({megapixels:.2f} megapixels); {wanted} are wanted.",
        recommendation="Use a higher camera resolution, don't crop, and send the original instead of a preview.",
    )


def _brightness(evidence: Evidence, rules: QualityRules) -> _Finding:
    rule, mean, quality = rules.brightness, evidence.measures.mean, _evenness(evidence.measures, rules)
    if mean < rule.min_mean:
        partial = max(rule.partial_floor, rule.partial_start - (rule.min_mean - mean))
        recommendation = "The picture is too dark: add light, or use the flash or a longer exposure."
    elif mean > rule.max_mean:
        partial = max(rule.partial_floor, rule.partial_start - (mean - rule.max_mean))
        recommendation = "The picture is too bright: avoid direct light, or use a shorter exposure."
    else:
        partial = rule.partial_other
        recommendation = "The light is uneven: avoid deep shadows and glare, or wait for softer light."
    return _Finding(
        passed=rule.min_mean <= mean <= rule.max_mean and quality >= rule.min_quality,
        value=mean,
        partial=partial,
        reason=f"The mean brightness is {mean:.1f} and its evenness {quality:.2f}; "
        f"{rule.min_mean:g} to {rule.max_mean:g} and {rule.min_quality:g} are wanted.",
        recommendation=recommendation,
    )


def _evenness(measures: Measures, rules: QualityRules) -> float:
    """Return the brightness quality, 0 to 1: near middle grey, with contrast, few dark and few bright pixels."""
    rule = rules.brightness
    centred = 1 - abs(measures.mean - _MIDDLE_GREY) / _MIDDLE_GREY
    contrast = min(measures.deviation / _ENOUGH_DEVIATION, 1.0)
    dark = measures.share(0, rule.dark_below - 1) if rule.dark_below else 0.0
    bright = measures.share(rule.bright_from, 255)
    penalty = max(dark - rule.dark_share_free, 0.0) + max(bright - rule.bright_share_free, 0.0)
    return min(max((centred + contrast) / 2 - penalty, 0.0), 1.0)


def _exposure(evidence: Evidence, rules: QualityRules) -> _Finding:
    rule, measures = rules.exposure, evidence.measures
    spread = measures.level_at(rule.high_point) - measures.level_at(rule.low_point)
    clipped = max(measures.share(0, 0), measures.share(255, 255))
    limit = rule.max_clipped_share
    wide = spread >= rule.min_range
    wanted = f"{rule.min_range}" if limit is None else f"{rule.min_range} and at most {limit:.1%}"
    return _Finding(
        passed=wide and (limit is None or clipped <= limit),
        value=spread,
        partial=min(rule.partial_max, spread / rule.min_range * rule.partial_max) if spread else rule.partial_flat,
        reason=f"The grey levels span {spread} and {clipped:.1%} are clipped; {wanted} are wanted.",
        recommendation="Part of the picture is pure black or white: correct the exposure, avoid light from behind."
        if wide
        else "The picture has little contrast: avoid fog, haze and backlight, or correct the exposure.",
    )


def _metadata(evidence: Evidence, rules: QualityRules) -> _Finding:
    rule, found = rules.metadata, len(evidence.metadata)
    share = found / FIELD_COUNT
    return _Finding(
        passed=share >= rule.min_share,
        value=share,
        partial=min(rule.partial_max, 100 * share * rule.partial_factor),
        reason=f"{found} of {FIELD_COUNT} metadata fields are there ({share:.0%}); {rule.min_share:.0%} is wanted.",
        recommendation="Send the camera's original file: messengers and editors remove the camera's data.",
    )


_CHECKS: Mapping[CheckName, Callable[[Evidence, QualityRules], _Finding]] = {
    CheckName.BLUR: _blur,
    CheckName.RESOLUTION: _resolution,
    CheckName.BRIGHTNESS: _brightness,
    CheckName.EXPOSURE: _exposure,
    CheckName.METADATA: _metadata,
}
