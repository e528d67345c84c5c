"""Work after the response as the snapshot document tells of it."""

from __future__ import annotations

from perftui.model.after import BackgroundSummary
from perftui.present.documents.shape import BackgroundDocument


def background(row: BackgroundSummary) -> BackgroundDocument:
    """Return what one function did after responses."""
    return {
        "name": row.name,
        "kind": row.kind,
        "running": row.running,
        "count": row.count,
        "p50_ms": _rounded(row.p50_ms),
        "p95_ms": _rounded(row.p95_ms),
        "max_ms": _rounded(row.max_ms),
        "total_ms": round(row.total_ms, 3),
        "oldest_ms": _rounded(row.oldest_ms),
        "wait_p95_ms": _rounded(row.wait_p95_ms),
        "errors": row.errors,
        "failures": dict(row.failures),
        "route": row.route or None,
        "threaded": row.threaded,
        "held": row.held,
        "held_ms": round(row.held_ms, 3),
        "sql": row.sql,
        "sql_ms": round(row.sql_ms, 3),
        "cache": row.cache,
        "cache_ms": round(row.cache_ms, 3),
        "http": row.calls,
        "http_ms": round(row.calls_ms, 3),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
