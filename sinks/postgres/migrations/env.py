"""Alembic's entry: runs on the connection that `upgrade` hands over, each migration in its own transaction."""

from alembic import context

from sinks.postgres.tables import metadata

context.configure(
    connection=context.config.attributes["connection"], target_metadata=metadata, transaction_per_migration=True
)
with context.begin_transaction():
    context.run_migrations()
