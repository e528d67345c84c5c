"""A terminal dashboard for live performance triage of FastAPI services."""
