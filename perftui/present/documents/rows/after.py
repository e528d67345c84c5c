"""Work after the response, and what goes over connections that stay open."""

from __future__ import annotations

from typing import Annotated, TypedDict

import msgspec

from perftui.model.after import BackgroundSummary, ChannelSummary
from perftui.present.documents.rows.units import Label, Ms, Number, PerSecond, rounded


class ChannelDocument(TypedDict):
    """What went over the connections of one route: WebSockets, event streams, other streams."""

    route: Label
    kind: Annotated[str, msgspec.Meta(description="websocket, events, stream")]
    open: Number
    opened: Number
    closed: Number
    received: Number
    received_per_s: PerSecond | None
    received_bytes_per_s: PerSecond | None
    sent: Number
    sent_per_s: PerSecond | None
    sent_bytes_per_s: PerSecond | None
    first_message_p95_ms: Ms | None
    lasted_p50_ms: Ms | None
    handled: Number
    handling_p50_ms: Ms | None
    handling_p95_ms: Ms | None
    handling_max_ms: Ms | None
    handling_ms: Ms
    replies: Number
    queued: Number
    unjudged: Number
    held_ms: Ms
    news_ms: Ms
    under_way: Number
    longest_ms: Ms
    send_blocked: Number
    send_blocked_p95_ms: Ms | None
    send_blocked_max_ms: Ms | None
    send_blocked_ms: Ms
    sending: Number
    sending_longest_ms: Ms
    errors: Number
    failures: dict[str, Number]
    codes: dict[str, Number]
    sql: Number
    sql_ms: Ms
    cache: Number
    cache_ms: Ms
    http: Number
    http_ms: Ms


class BackgroundDocument(TypedDict):
    """What one function did for one route's requests after they had been answered."""

    name: str
    kind: Annotated[str, msgspec.Meta(description="background, task, thread, celery, taskiq, arq")]
    running: Number
    count: Number
    p50_ms: Ms | None
    p95_ms: Ms | None
    max_ms: Ms | None
    total_ms: Ms
    oldest_ms: Annotated[float, msgspec.Meta(description="of those that run, in milliseconds", ge=0)] | None
    wait_p95_ms: Ms | None
    errors: Number
    failures: dict[str, Number]
    route: Label | None
    threaded: Annotated[int, msgspec.Meta(description="took a thread of the pool of sync endpoints", ge=0)]
    held: Annotated[int, msgspec.Meta(description="held a response open", ge=0)]
    held_ms: Ms
    sql: Number
    sql_ms: Ms
    cache: Number
    cache_ms: Ms
    http: Number
    http_ms: Ms


def channel_document(row: ChannelSummary) -> ChannelDocument:
    """Return what went over one route's connections."""
    return {
        "route": row.route,
        "kind": row.kind,
        "open": row.open,
        "opened": row.opened,
        "closed": row.closed,
        "received": row.received,
        "received_per_s": rounded(row.received_per_s),
        "received_bytes_per_s": rounded(row.received_bytes_per_s),
        "sent": row.sent,
        "sent_per_s": rounded(row.sent_per_s),
        "sent_bytes_per_s": rounded(row.sent_bytes_per_s),
        "first_message_p95_ms": rounded(row.first_p95_ms),
        "lasted_p50_ms": rounded(row.lasted_p50_ms),
        "handled": row.handled,
        "handling_p50_ms": rounded(row.handling_p50_ms),
        "handling_p95_ms": rounded(row.handling_p95_ms),
        "handling_max_ms": rounded(row.handling_max_ms),
        "handling_ms": round(row.handling_ms, 3),
        "replies": row.replies,
        "queued": row.queued,
        "unjudged": row.unjudged,
        "held_ms": round(row.held_ms, 3),
        "news_ms": round(row.news_ms, 3),
        "under_way": row.under_way,
        "longest_ms": round(row.longest_ms, 3),
        "send_blocked": row.blocked,
        "send_blocked_p95_ms": rounded(row.blocked_p95_ms),
        "send_blocked_max_ms": rounded(row.blocked_max_ms),
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


def background_document(row: BackgroundSummary) -> BackgroundDocument:
    """Return what one function did after responses."""
    return {
        "name": row.name,
        "kind": row.kind,
        "running": row.running,
        "count": row.count,
        "p50_ms": rounded(row.p50_ms),
        "p95_ms": rounded(row.p95_ms),
        "max_ms": rounded(row.max_ms),
        "total_ms": round(row.total_ms, 3),
        "oldest_ms": rounded(row.oldest_ms),
        "wait_p95_ms": rounded(row.wait_p95_ms),
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
