"""An alert: something that a person should look at. Same rule, source and window: same alert."""

from typing import Any

from pydantic import Field

from schemas.identity import alert_id
from schemas.result import FreeForm, Moment, WireModel

ALERT_TYPE = "sightline.alert.v1"
ALERT_SCHEMA = "urn:sightline:schema:alert:v1"

RULE_OFFSETS_LOST = "offsets-lost"
RULE_EVENT_ID_REUSED = "event-id-reused"
RULE_VERSION_UNKNOWN = "version-unknown"
RULE_SETUP_WRONG = "setup-wrong"
RULE_MODEL_REFUSED = "model-refused"


class Alert(WireModel):
    """An alert as published on `alerts`. `facts` is its evidence, by rule."""

    alert_id: str
    rule: str
    severity: str = Field(examples=["info", "warning", "critical"])
    source: str
    window: str
    raised_at: Moment
    summary: str
    pipeline: str | None = None
    facts: FreeForm | None = None


def make_alert(
    *,
    rule: str,
    source: str,
    window: str,
    raised_at: Moment,
    summary: str,
    severity: str = "warning",
    pipeline: str | None = None,
    facts: dict[str, Any] | None = None,
) -> Alert:
    """Build an alert with its derived id."""
    return Alert(
        alert_id=alert_id(rule, source, window),
        rule=rule,
        severity=severity,
        source=source,
        window=window,
        raised_at=raised_at,
        summary=summary,
        pipeline=pipeline,
        facts=facts,
    )
