"""What a made-up worker keeps."""

from __future__ import annotations

from perftui_agent.wire.actions import GrownLine, GrownType, Memory


def leaking(pid: int) -> Memory:
    """Return what grows in a worker whose cart keeps everything."""
    return Memory(
        id="m",
        pid=pid,
        taken_at=0,
        took_ns=60_000_000_000,
        watched_ns=45_000_000_000,
        traced_bytes=91_000_000,
        rss_before=180_000_000,
        rss_after=272_000_000,
        lines=[
            GrownLine(
                file="/srv/shop/cart.py",
                line=31,
                short_file="shop/cart.py",
                grew_bytes=90_000_000,
                count=90,
                routes={"POST /checkout": 88_000_000},
            ),
            GrownLine(
                file="/srv/shop/log.py", line=7, short_file="shop/log.py", grew_bytes=900_000, count=11_000
            ),
        ],
        types=[GrownType(type="builtins.bytearray", grew=90, now=120)],
    )
