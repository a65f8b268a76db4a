"""Commands for replays from other systems: what was asked, how far it is read, and what was answered."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE TABLE replay_commands (
        key text COLLATE "C" PRIMARY KEY,
        number bigint GENERATED ALWAYS AS IDENTITY,
        command_id text NOT NULL,
        source text NOT NULL,
        body bytea,
        action text,
        replay_id text COLLATE "C",
        rate double precision,
        max_live_lag bigint,
        received_at timestamptz NOT NULL,
        answer jsonb,
        sent_at timestamptz
    )
    """,
    "CREATE INDEX replay_commands_waiting ON replay_commands (number) WHERE sent_at IS NULL",
    "CREATE INDEX replay_commands_replay_id ON replay_commands (replay_id)",
    """
    CREATE TABLE replay_command_positions (
        topic text COLLATE "C" NOT NULL,
        partition integer NOT NULL,
        next_offset bigint NOT NULL,
        PRIMARY KEY (topic, partition)
    )
    """,
)


def upgrade() -> None:
    """Make the tables."""
    for statement in _STATEMENTS:
        op.execute(statement)
