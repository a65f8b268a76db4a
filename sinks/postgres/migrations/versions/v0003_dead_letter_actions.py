"""Who did what to which dead letter, and when; and what is under way at present."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE dead_letter_actions (
        action_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        dl_id text COLLATE "C" NOT NULL,
        pipeline text NOT NULL,
        action text NOT NULL
            CONSTRAINT dead_letter_actions_action CHECK (action IN ('redrive', 'park', 'purge')),
        batch_id text COLLATE "C" NOT NULL,
        actor text NOT NULL,
        acted_at timestamptz NOT NULL DEFAULT now(),
        outcome text
            CONSTRAINT dead_letter_actions_outcome CHECK (outcome IN ('done', 'undone', 'uncertain')),
        ended_at timestamptz,
        target_topic text,
        target_partition integer,
        target_offset bigint,
        answers text[] NOT NULL,
        details jsonb
    )
    """,
    "CREATE INDEX dead_letter_actions_dl_id ON dead_letter_actions (dl_id)",
    "CREATE INDEX dead_letter_actions_batch_id ON dead_letter_actions (batch_id)",
    # At most one action is under way for a dead letter, whoever asks.
    "CREATE UNIQUE INDEX dead_letter_actions_under_way ON dead_letter_actions (dl_id) WHERE outcome IS NULL",
    """
    CREATE INDEX dead_letter_actions_target
        ON dead_letter_actions (target_topic, target_partition, target_offset)
        WHERE action = 'redrive'
    """,
)


def upgrade() -> None:
    """Make the table."""
    for statement in _STATEMENTS:
        op.execute(statement)
