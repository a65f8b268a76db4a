"""Commands for replays say how many frames may be sent and not answered."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.execute("ALTER TABLE replay_commands ADD COLUMN max_backlog bigint")
