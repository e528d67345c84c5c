"""Dashboard app."""
