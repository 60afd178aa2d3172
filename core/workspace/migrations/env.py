"""Run by Alembic with the connection that `core.workspace.database` opened."""

from alembic import context

from core.workspace.tables import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
with context.begin_transaction():
    context.run_migrations()
