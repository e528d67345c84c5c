"""Judging: what a service promised, held against what was seen, as far as that can be told."""
