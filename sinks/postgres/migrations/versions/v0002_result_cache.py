"""Answers that may be given again.

Unlogged: nothing is written ahead, and a crash of the server empties the table, which costs misses and no more.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_STATEMENTS = (
    """
    CREATE UNLOGGED TABLE result_cache (
        key text COLLATE "C" PRIMARY KEY,
        pipeline text NOT NULL,
        result_id text COLLATE "C" NOT NULL,
        body bytea NOT NULL,
        expires_at timestamptz NOT NULL
    )
    """,
    "CREATE INDEX result_cache_expires_at ON result_cache (expires_at)",
)


def upgrade() -> None:
    """Make the table."""
    for statement in _STATEMENTS:
        op.execute(statement)
