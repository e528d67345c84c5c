"""Lookups: cachetools, functions that count for themselves, Redis."""
