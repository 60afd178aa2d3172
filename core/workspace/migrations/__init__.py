"""Alembic's environment: `database.py` hands over the connection, there is no alembic.ini."""
