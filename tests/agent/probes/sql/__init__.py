"""Statements and pools, on real databases."""
