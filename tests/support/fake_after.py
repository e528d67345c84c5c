"""What goes on in the made-up shop after responses, and on connections that stay open."""

from __future__ import annotations

from perftui.model.after import BackgroundSummary, ChannelSummary


def background() -> tuple[BackgroundSummary, ...]:
    """Return a mail that holds responses open, a task that outlives its request, and a queue's job."""
    receipts = BackgroundSummary(
        name="app/mail.py:31 send_receipt",
        kind="background",
        route="POST /checkout",
        count=96,
        errors=2,
        failures={"SMTPServerDisconnected": 2},
        running=3,
        oldest_ms=810.0,
        p50_ms=240.0,
        p95_ms=690.0,
        max_ms=1_400.0,
        total_ms=26_900.0,
        threaded=96,
        held=11,
        held_ms=3_100.0,
        sql=192,
        sql_ms=610.0,
    )
    prices = BackgroundSummary(
        name="app/prices.py:18 refresh",
        kind="task",
        route="GET /config",
        count=12,
        p50_ms=61.0,
        p95_ms=88.0,
        max_ms=91.0,
        total_ms=760.0,
        calls=12,
        calls_ms=702.0,
    )
    thumbnails = BackgroundSummary(
        name="thumbnails",
        kind="arq",
        route="PUT /carts/{cart_id}/lines/{line_id}",
        count=40,
        p50_ms=8.0,
        p95_ms=19.0,
        max_ms=24.0,
        total_ms=402.0,
        wait_p95_ms=35.0,
        waits=40,
    )
    return receipts, prices, thumbnails


def channels() -> tuple[ChannelSummary, ...]:
    """Return a chat whose messages take a while, and a stream of events."""
    chat = ChannelSummary(
        route="WS /chat/{room}",
        kind="websocket",
        open=41,
        opened=6,
        closed=4,
        received=1_260,
        received_per_s=21.0,
        received_bytes_per_s=4_300.0,
        sent=5_040,
        sent_per_s=84.0,
        sent_bytes_per_s=19_000.0,
        first_p95_ms=31.0,
        firsts=6,
        lasted_p50_ms=48_000.0,
        handled=1_260,
        handling_p50_ms=9.0,
        handling_p95_ms=64.0,
        handling_max_ms=180.0,
        handling_ms=19_400.0,
        replies=1_200,
        under_way=1,
        longest_ms=12.0,
        blocked=9,
        blocked_p95_ms=0.4,
        blocked_max_ms=70.0,
        blocked_ms=310.0,
        codes={"1000": 3, "1006": 1},
        sql=1_260,
        sql_ms=7_800.0,
    )
    prices = ChannelSummary(
        route="GET /prices",
        kind="events",
        open=12,
        opened=1,
        closed=1,
        sent=720,
        sent_per_s=12.0,
        sent_bytes_per_s=1_400.0,
        first_p95_ms=5.0,
        firsts=1,
        lasted_p50_ms=90_000.0,
    )
    return chat, prices
