"""The tables, as SQLAlchemy Core sees them. The migrations make them; a test holds the two together.

`results` and its children are partitioned by month of `captured_at`, hence its place in their keys. They
have no foreign keys: a parent and its children are written in one transaction (checking 2,500 children of
500 results would cost more than inserting them), and whoever deletes deletes both.

Rights, least first: the sink needs SELECT and INSERT on all tables but `result_cache` and UPDATE on
`dead_letters`; the gateway SELECT, and UPDATE on `dead_letters`; retention DELETE besides. Whoever caches results
here needs SELECT, INSERT, UPDATE and DELETE on `result_cache`, and nothing else. Who replays needs SELECT on `results`,
`artifacts`, `dead_letters` and `current_results`, and SELECT, INSERT and UPDATE on `replays` and `replay_partitions`,
for commands of other systems also on `replay_commands` and `replay_command_positions`;
without an object store also SELECT and INSERT on `replay_overrides`, which workers read then. Whoever redrives needs
SELECT and UPDATE on `dead_letters`, and SELECT, INSERT and UPDATE on `dead_letter_actions`. CREATE is needed for
migrations, and for partitions ahead, without which the DEFAULT partitions take the rows.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

metadata = MetaData()

PARTITIONED = ("results", "quality_checks", "detections", "artifacts")
STATES = ("open", "redriven", "resolved", "parked", "purged")


def _id(name: str, *, primary_key: bool = False) -> "Column[str]":
    """Collation C: ids are compared byte by byte, which costs half of what a language's order does."""
    return Column(name, Text(collation="C"), primary_key=primary_key, nullable=not primary_key)


def _time(name: str, *, nullable: bool = True) -> "Column[object]":
    return Column(name, DateTime(timezone=True), nullable=nullable)


def _key_time() -> "Column[object]":
    return Column("captured_at", DateTime(timezone=True), primary_key=True)


def _ingested_at() -> "Column[object]":
    return Column("ingested_at", DateTime(timezone=True), nullable=False, server_default=func.now())


results = Table(
    "results",
    metadata,
    _id("result_id", primary_key=True),
    _key_time(),
    Column("frame_id", Text(collation="C"), nullable=False),
    Column("event_id", Text),
    Column("event_key", Uuid),  # source and event id, hashed: what reuse is looked up by
    Column("pipeline", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("variant", Text, nullable=False),
    Column("source", Text, nullable=False),
    _time("processed_at", nullable=False),
    Column("replay_id", Text),
    _id("supersedes"),
    Column("verdict", Text),
    Column("score", Double),
    Column("level", Text),
    Column("label", Text),
    Column("probability", Double),
    Column("width", Integer),
    Column("height", Integer),
    Column("media_type", Text),
    Column("size_bytes", BigInteger),
    Column("sha256", Text),
    Column("detection_count", Integer, nullable=False),
    Column("model_name", Text),
    Column("model_version", Text),
    Column("model_digest", Text),
    Column("settings_digest", Text),
    Column("origin_topic", Text),
    Column("origin_partition", Integer),
    Column("origin_offset", BigInteger),
    Column("cached_from", Text),
    Column("latency_ms", Double, nullable=False),  # capture to result, by the clocks of camera and worker
    Column("processing_ms", Double),  # spent on this frame inside the worker
    Column("body", JSONB, nullable=False),
    _ingested_at(),
    Index("results_ingested_at", "ingested_at"),
    Index("results_source_captured_at", "source", "captured_at"),
    Index("results_pipeline_verdict", "pipeline", "verdict", "captured_at"),
    Index("results_pipeline_score", "pipeline", "score"),
    Index("results_origin", "origin_topic", "origin_partition", "origin_offset"),
    Index("results_event_key", "event_key"),
    Index("results_frame_id", "frame_id"),
    Index("results_replay_id", "replay_id", postgresql_where=text("replay_id IS NOT NULL")),
    postgresql_partition_by="RANGE (captured_at)",
)

quality_checks = Table(
    "quality_checks",
    metadata,
    _id("result_id", primary_key=True),
    _key_time(),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("value", Double, nullable=False),
    Column("score", Double, nullable=False),
    Column("weight", Double),
    Column("reason", Text, nullable=False),
    Column("recommendation", Text),
    _ingested_at(),
    Index("quality_checks_ingested_at", "ingested_at"),
    postgresql_partition_by="RANGE (captured_at)",
)

detections = Table(
    "detections",
    metadata,
    _id("result_id", primary_key=True),
    _key_time(),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("class_name", Text, nullable=False),
    Column("class_id", Integer, nullable=False),
    Column("confidence", Double, nullable=False),
    Column("x1", Double, nullable=False),
    Column("y1", Double, nullable=False),
    Column("x2", Double, nullable=False),
    Column("y2", Double, nullable=False),
    Column("track_id", BigInteger),
    _ingested_at(),
    Index("detections_ingested_at", "ingested_at"),
    Index("detections_class_confidence", "class_name", "confidence"),
    postgresql_partition_by="RANGE (captured_at)",
)

artifacts = Table(
    "artifacts",
    metadata,
    _id("result_id", primary_key=True),
    _key_time(),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("key", Text(collation="C"), nullable=False),
    Column("sha256", Text, nullable=False),
    Column("media_type", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    _ingested_at(),
    Index("artifacts_ingested_at", "ingested_at"),
    Index("artifacts_key", "key"),
    postgresql_partition_by="RANGE (captured_at)",
)

dead_letters = Table(
    "dead_letters",
    metadata,
    _id("dl_id", primary_key=True),
    Column("pipeline", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("reason", Text),
    Column("attempt", Integer),
    Column("source", Text),
    Column("event_id", Text),
    _id("frame_id"),
    _time("captured_at"),
    Column("replay_id", Text),
    Column("origin_topic", Text),
    Column("origin_partition", Integer),
    Column("origin_offset", BigInteger),
    _time("dl_time"),
    Column("worker", Text),
    Column("headers", JSONB),  # of the original: [[name, base64 or null], …] in their order
    Column("key", LargeBinary),
    Column("value_size", BigInteger),  # null: the value was null, or lies at dataref
    Column("value_sha256", Text),
    Column("object_key", Text),
    Column("dataref", Text),
    Column("headers_lost", Boolean, nullable=False, server_default=text("false")),
    Column("fields_lost", ARRAY(Text), nullable=False, server_default=text("'{}'::text[]")),
    Column("state", Text, nullable=False, server_default=text("'open'::text")),
    Column("state_changed_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("dl_topic", Text, nullable=False),  # where the dead letter itself lies
    Column("dl_partition", Integer, nullable=False),
    Column("dl_offset", BigInteger, nullable=False),
    _ingested_at(),
    CheckConstraint("state IN ('open', 'redriven', 'resolved', 'parked', 'purged')", name="dead_letters_state"),
    Index("dead_letters_ingested_at", "ingested_at"),
    Index("dead_letters_state", "pipeline", "state", "dl_time"),
    Index("dead_letters_code", "code"),
    Index("dead_letters_replay_id", "replay_id", postgresql_where=text("replay_id IS NOT NULL")),
    Index(
        "dead_letters_unsettled_frame",
        "frame_id",
        postgresql_where=text("state = ANY (ARRAY['open'::text, 'redriven'::text])"),
    ),
)

dead_letter_actions = Table(
    "dead_letter_actions",
    metadata,
    Column("action_id", BigInteger, Identity(always=True), primary_key=True),
    Column("dl_id", Text(collation="C"), nullable=False),
    Column("pipeline", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("batch_id", Text(collation="C"), nullable=False),
    Column("actor", Text, nullable=False),
    Column("acted_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("outcome", Text),  # null: under way, or broken off and not settled yet
    _time("ended_at"),
    Column("target_topic", Text),  # the record that was sent, where there is one
    Column("target_partition", Integer),
    Column("target_offset", BigInteger),
    Column("answers", ARRAY(Text), nullable=False),  # the dead letters that a result of that record resolves
    Column("details", JSONB),
    CheckConstraint("action IN ('redrive', 'park', 'purge')", name="dead_letter_actions_action"),
    CheckConstraint("outcome IN ('done', 'undone', 'uncertain')", name="dead_letter_actions_outcome"),
    Index("dead_letter_actions_dl_id", "dl_id"),
    Index("dead_letter_actions_batch_id", "batch_id"),
    Index("dead_letter_actions_under_way", "dl_id", unique=True, postgresql_where=text("outcome IS NULL")),
    Index(
        "dead_letter_actions_target",
        "target_topic",
        "target_partition",
        "target_offset",
        postgresql_where=text("action = 'redrive'::text"),
    ),
)

alerts = Table(
    "alerts",
    metadata,
    _id("alert_id", primary_key=True),
    Column("rule", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("time_window", Text, nullable=False),  # `window` on the wire, a reserved word in SQL
    _time("raised_at", nullable=False),
    Column("summary", Text, nullable=False),
    Column("pipeline", Text),
    Column("facts", JSONB),
    Column("body", JSONB, nullable=False),
    _ingested_at(),
    Index("alerts_ingested_at", "ingested_at"),
    Index("alerts_raised_at", "raised_at"),
)

gaps = Table(
    "gaps",
    metadata,
    _id("alert_id", primary_key=True),
    Column("consumer_group", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("partition", Integer, nullable=False),
    Column("from_offset", BigInteger, nullable=False),  # the first one lost
    Column("to_offset", BigInteger, nullable=False),  # the first one still there
    _time("raised_at", nullable=False),
    _ingested_at(),
)

result_cache = Table(
    "result_cache",
    metadata,
    _id("key", primary_key=True),
    Column("pipeline", Text, nullable=False),
    Column("result_id", Text(collation="C"), nullable=False),
    Column("body", LargeBinary, nullable=False),
    _time("expires_at", nullable=False),
    Index("result_cache_expires_at", "expires_at"),
    prefixes=["UNLOGGED"],
)

replays = Table(
    "replays",
    metadata,
    _id("replay_id", primary_key=True),
    Column("pipeline", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("selection", JSONB, nullable=False),
    Column("plan", JSONB, nullable=False),
    Column("overrides", JSONB),
    Column("overrides_digest", Text),
    Column("overrides_address", Text),
    Column("created_by", Text, nullable=False),
    _time("created_at", nullable=False),
    _time("started_at"),
    _time("ended_at"),
    _time("promoted_at"),
    CheckConstraint(
        "state IN ('planned', 'running', 'paused', 'published', 'cancelled')",
        name="replays_state",
    ),
    Index("replays_created_at", "created_at"),
)

replay_partitions = Table(
    "replay_partitions",
    metadata,
    _id("replay_id", primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("from_offset", BigInteger, nullable=False),  # the window, its end exclusive
    Column("to_offset", BigInteger, nullable=False),
    Column("next_offset", BigInteger, nullable=False),  # all before it are acknowledged, or not wanted, or nowhere
    Column("frames", BigInteger, nullable=False, server_default=text("0")),
    Column("bytes", BigInteger, nullable=False, server_default=text("0")),
    Column("archived", BigInteger, nullable=False, server_default=text("0")),
    Column("missing", BigInteger, nullable=False, server_default=text("0")),
)

replay_overrides = Table(
    "replay_overrides",
    metadata,
    _id("digest", primary_key=True),
    Column("document", LargeBinary, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
)

replay_commands = Table(
    "replay_commands",
    metadata,
    _id("key", primary_key=True),
    Column("number", BigInteger, Identity(always=True), nullable=False),  # the order in which they came
    Column("command_id", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("body", LargeBinary),  # as it came: what cannot be read is kept too
    Column("action", Text),  # null: it cannot be read
    _id("replay_id"),
    Column("rate", Double),
    Column("max_live_lag", BigInteger),
    Column("max_backlog", BigInteger),
    _time("received_at", nullable=False),
    Column("answer", JSONB(none_as_null=True)),  # null: not carried out yet
    _time("sent_at"),  # null: nobody was told yet
    Index("replay_commands_waiting", "number", postgresql_where=text("sent_at IS NULL")),
    Index("replay_commands_replay_id", "replay_id"),
)

replay_command_positions = Table(
    "replay_command_positions",
    metadata,
    Column("topic", Text(collation="C"), primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next_offset", BigInteger, nullable=False),  # all before it are written down
)
