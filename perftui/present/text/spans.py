"""The kinds of a request's spans in words."""

from __future__ import annotations

KINDS = {
    "queue": "queued",
    "sql": "SQL",
    "transaction": "transaction",
    "lock": "DB lock",
    "pool": "pool wait",
    "connect": "connect",
    "cache": "cache",
    "http": "HTTP",
    "loop": "loop wait",
    "threadpool": "thread wait",
    "background": "background",
    "serialize": "serialize",
}
"""By the name on the wire."""
