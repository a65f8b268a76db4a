"""The tables of the first release.

Written out as SQL: a migration must make tomorrow what it made on the day it was released, whatever
`tables.py` says by then.
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE results (
        result_id text COLLATE "C" NOT NULL,
        captured_at timestamptz NOT NULL,
        frame_id text COLLATE "C" NOT NULL,
        event_id text,
        event_key uuid,
        pipeline text NOT NULL,
        kind text NOT NULL,
        variant text NOT NULL,
        source text NOT NULL,
        processed_at timestamptz NOT NULL,
        replay_id text,
        supersedes text COLLATE "C",
        verdict text,
        score double precision,
        level text,
        label text,
        probability double precision,
        width integer,
        height integer,
        media_type text,
        size_bytes bigint,
        sha256 text,
        detection_count integer NOT NULL,
        model_name text,
        model_version text,
        model_digest text,
        settings_digest text,
        origin_topic text,
        origin_partition integer,
        origin_offset bigint,
        cached_from text,
        latency_ms double precision NOT NULL,
        processing_ms double precision,
        body jsonb NOT NULL,
        ingested_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (result_id, captured_at)
    ) PARTITION BY RANGE (captured_at)
    """,
    "CREATE TABLE results_default PARTITION OF results DEFAULT",
    "CREATE INDEX results_ingested_at ON results (ingested_at)",
    "CREATE INDEX results_source_captured_at ON results (source, captured_at)",
    "CREATE INDEX results_pipeline_verdict ON results (pipeline, verdict, captured_at)",
    "CREATE INDEX results_pipeline_score ON results (pipeline, score)",
    "CREATE INDEX results_origin ON results (origin_topic, origin_partition, origin_offset)",
    "CREATE INDEX results_event_key ON results (event_key)",
    "CREATE INDEX results_frame_id ON results (frame_id)",
    """
    CREATE TABLE quality_checks (
        result_id text COLLATE "C" NOT NULL,
        captured_at timestamptz NOT NULL,
        position integer NOT NULL,
        name text NOT NULL,
        passed boolean NOT NULL,
        value double precision NOT NULL,
        score double precision NOT NULL,
        weight double precision,
        reason text NOT NULL,
        recommendation text,
        ingested_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (result_id, captured_at, position)
    ) PARTITION BY RANGE (captured_at)
    """,
    "CREATE TABLE quality_checks_default PARTITION OF quality_checks DEFAULT",
    "CREATE INDEX quality_checks_ingested_at ON quality_checks (ingested_at)",
    """
    CREATE TABLE detections (
        result_id text COLLATE "C" NOT NULL,
        captured_at timestamptz NOT NULL,
        position integer NOT NULL,
        class_name text NOT NULL,
        class_id integer NOT NULL,
        confidence double precision NOT NULL,
        x1 double precision NOT NULL,
        y1 double precision NOT NULL,
        x2 double precision NOT NULL,
        y2 double precision NOT NULL,
        track_id bigint,
        ingested_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (result_id, captured_at, position)
    ) PARTITION BY RANGE (captured_at)
    """,
    "CREATE TABLE detections_default PARTITION OF detections DEFAULT",
    "CREATE INDEX detections_ingested_at ON detections (ingested_at)",
    "CREATE INDEX detections_class_confidence ON detections (class_name, confidence)",
    """
    CREATE TABLE artifacts (
        result_id text COLLATE "C" NOT NULL,
        captured_at timestamptz NOT NULL,
        position integer NOT NULL,
        kind text NOT NULL,
        key text COLLATE "C" NOT NULL,
        sha256 text NOT NULL,
        media_type text NOT NULL,
        size_bytes bigint NOT NULL,
        ingested_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (result_id, captured_at, position)
    ) PARTITION BY RANGE (captured_at)
    """,
    "CREATE TABLE artifacts_default PARTITION OF artifacts DEFAULT",
    "CREATE INDEX artifacts_ingested_at ON artifacts (ingested_at)",
    "CREATE INDEX artifacts_key ON artifacts (key)",
    """
    CREATE TABLE dead_letters (
        dl_id text COLLATE "C" PRIMARY KEY,
        pipeline text NOT NULL,
        stage text NOT NULL,
        code text NOT NULL,
        reason text,
        attempt integer,
        source text,
        event_id text,
        frame_id text COLLATE "C",
        captured_at timestamptz,
        origin_topic text,
        origin_partition integer,
        origin_offset bigint,
        dl_time timestamptz,
        worker text,
        headers jsonb,
        key bytea,
        value_size bigint,
        value_sha256 text,
        object_key text,
        dataref text,
        headers_lost boolean NOT NULL DEFAULT false,
        fields_lost text[] NOT NULL DEFAULT '{}',
        state text NOT NULL DEFAULT 'open'
            CONSTRAINT dead_letters_state CHECK (state IN ('open', 'redriven', 'resolved', 'parked', 'purged')),
        state_changed_at timestamptz NOT NULL DEFAULT now(),
        dl_topic text NOT NULL,
        dl_partition integer NOT NULL,
        dl_offset bigint NOT NULL,
        ingested_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX dead_letters_ingested_at ON dead_letters (ingested_at)",
    "CREATE INDEX dead_letters_state ON dead_letters (pipeline, state, dl_time)",
    "CREATE INDEX dead_letters_code ON dead_letters (code)",
    "CREATE INDEX dead_letters_unsettled_frame ON dead_letters (frame_id) WHERE state IN ('open', 'redriven')",
    """
    CREATE TABLE alerts (
        alert_id text COLLATE "C" PRIMARY KEY,
        rule text NOT NULL,
        severity text NOT NULL,
        source text NOT NULL,
        time_window text NOT NULL,
        raised_at timestamptz NOT NULL,
        summary text NOT NULL,
        pipeline text,
        facts jsonb,
        body jsonb NOT NULL,
        ingested_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX alerts_ingested_at ON alerts (ingested_at)",
    "CREATE INDEX alerts_raised_at ON alerts (raised_at)",
    """
    CREATE TABLE gaps (
        alert_id text COLLATE "C" PRIMARY KEY,
        consumer_group text NOT NULL,
        topic text NOT NULL,
        partition integer NOT NULL,
        from_offset bigint NOT NULL,
        to_offset bigint NOT NULL,
        raised_at timestamptz NOT NULL,
        ingested_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    # A promoted result carries `supersedes`; among several the latest counts. Written as "nobody beats me"
    # so that a filter on any column reaches the indexes below.
    """
    CREATE VIEW current_results AS
    SELECT r.*
    FROM results r
    WHERE r.variant = 'live'
      AND (r.replay_id IS NULL OR r.supersedes IS NOT NULL)
      AND NOT EXISTS (
        SELECT 1
        FROM results p
        WHERE p.frame_id = r.frame_id
          AND p.captured_at = r.captured_at
          AND p.pipeline = r.pipeline
          AND p.variant = 'live'
          AND (p.replay_id IS NULL OR p.supersedes IS NOT NULL)
          AND (p.supersedes IS NOT NULL, p.processed_at, p.result_id)
            > (r.supersedes IS NOT NULL, r.processed_at, r.result_id)
      )
    """,
)


def upgrade() -> None:
    """Make everything."""
    for statement in _STATEMENTS:
        op.execute(statement)
