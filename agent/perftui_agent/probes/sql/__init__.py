"""Statements and connection pools, through SQLAlchemy."""
