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
RULE_FLOOD = "dead-letter-flood"
RULE_FLOOD_HALT = "flood-halt"
RULE_COMMAND_UNREADABLE = "command-unreadable"
# of the monitor
RULE_ERROR_SHARE = "error-share"
RULE_CODE_FLOOD = "code-flood"
RULE_SOURCE_FLOOD = "source-flood"
RULE_CAMERA_SILENT = "camera-silent"
RULE_PIPELINE_SILENT = "pipeline-silent"
RULE_QUALITY_FALLING = "quality-falling"
RULE_ACCEPTANCE = "acceptance-out-of-band"
RULE_RATE = "rate-out-of-band"


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
