"""Replays: what is asked for, how far each has come, and which dead letters are theirs."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_STATEMENTS = (
    "CREATE INDEX results_replay_id ON results (replay_id) WHERE replay_id IS NOT NULL",
    "ALTER TABLE dead_letters ADD COLUMN replay_id text",
    "CREATE INDEX dead_letters_replay_id ON dead_letters (replay_id) WHERE replay_id IS NOT NULL",
    """
    CREATE TABLE replays (
        replay_id text COLLATE "C" PRIMARY KEY,
        pipeline text NOT NULL,
        state text NOT NULL
            CONSTRAINT replays_state CHECK (state IN ('planned', 'running', 'paused', 'published', 'cancelled')),
        selection jsonb NOT NULL,
        plan jsonb NOT NULL,
        overrides jsonb,
        overrides_digest text,
        overrides_address text,
        created_by text NOT NULL,
        created_at timestamptz NOT NULL,
        started_at timestamptz,
        ended_at timestamptz,
        promoted_at timestamptz
    )
    """,
    "CREATE INDEX replays_created_at ON replays (created_at)",
    """
    CREATE TABLE replay_partitions (
        replay_id text COLLATE "C" NOT NULL,
        partition integer NOT NULL,
        from_offset bigint NOT NULL,
        to_offset bigint NOT NULL,
        next_offset bigint NOT NULL,
        frames bigint NOT NULL DEFAULT 0,
        bytes bigint NOT NULL DEFAULT 0,
        archived bigint NOT NULL DEFAULT 0,
        missing bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (replay_id, partition)
    )
    """,
    """
    CREATE TABLE replay_overrides (
        digest text COLLATE "C" PRIMARY KEY,
        document bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
)


def upgrade() -> None:
    """Make the tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
