"""Work after the response, and connections, as the snapshot document tells of them."""

from __future__ import annotations

from perftui.model.after import BackgroundSummary, ChannelSummary
from perftui.present.documents.shape import BackgroundDocument, ChannelDocument


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


def channel(row: ChannelSummary) -> ChannelDocument:
    """Return what went over one route's connections."""
    return {
        "route": row.route,
        "kind": row.kind,
        "open": row.open,
        "opened": row.opened,
        "closed": row.closed,
        "received": row.received,
        "received_per_s": _rounded(row.received_per_s),
        "received_bytes_per_s": _rounded(row.received_bytes_per_s),
        "sent": row.sent,
        "sent_per_s": _rounded(row.sent_per_s),
        "sent_bytes_per_s": _rounded(row.sent_bytes_per_s),
        "first_message_p95_ms": _rounded(row.first_p95_ms),
        "lasted_p50_ms": _rounded(row.lasted_p50_ms),
        "handled": row.handled,
        "handling_p50_ms": _rounded(row.handling_p50_ms),
        "handling_p95_ms": _rounded(row.handling_p95_ms),
        "handling_max_ms": _rounded(row.handling_max_ms),
        "handling_ms": round(row.handling_ms, 3),
        "replies": row.replies,
        "queued": row.queued,
        "unjudged": row.unjudged,
        "held_ms": round(row.held_ms, 3),
        "news_ms": round(row.news_ms, 3),
        "under_way": row.under_way,
        "longest_ms": round(row.longest_ms, 3),
        "send_blocked": row.blocked,
        "send_blocked_p95_ms": _rounded(row.blocked_p95_ms),
        "send_blocked_max_ms": _rounded(row.blocked_max_ms),
        "send_blocked_ms": round(row.blocked_ms, 3),
        "sending": row.sending,
        "sending_longest_ms": round(row.sending_longest_ms, 3),
        "errors": row.errors,
        "failures": dict(row.failures),
        "codes": dict(row.codes),
        "sql": row.sql,
        "sql_ms": round(row.sql_ms, 3),
        "cache": row.cache,
        "cache_ms": round(row.cache_ms, 3),
        "http": row.calls,
        "http_ms": round(row.calls_ms, 3),
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
