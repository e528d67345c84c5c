"""What is said of a ramp none of whose requests is answered well: nothing of the service, but what came back.

Then nothing gave, and what is full has nothing to do with it: the port speaks something else, or what is sent
is not what the service takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import urlsplit

from perftui.ramp.limit import Limit

Unanswered = Callable[[], Awaitable[str]]
"""Asks what a port speaks instead of HTTP; empty: nothing that is known."""

SPOKEN_S = 2.0
"""How long a port may take to say what it speaks."""

TLS = "it speaks TLS, and a ramp goes over plain HTTP"

MOST_FAILURES = 3


async def spoken(base_url: str, unix: str | None) -> str:
    """Return what a port speaks that did not answer plain HTTP."""
    parts = urlsplit(base_url)
    # Nothing is sent over it, so it does not matter who is at the other end.
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(SPOKEN_S):
            if unix:
                return ""
            _, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
            writer.close()
            return TLS
    return ""


def nothing_answered(failures: Mapping[str, int], spoken: str) -> Limit:
    """Return why nothing is known: what all requests ended with, and what to do."""
    named = sorted(failures.items(), key=lambda each: -each[1])[:MOST_FAILURES]
    told = ", ".join(f"{times}× {what}" for what, times in named)
    sentence = f"none of {sum(failures.values())} requests was answered well: {told}"
    if spoken:
        mend = "Ramp a server behind what ends TLS, or serve it once more without, on a port of its own"
        return Limit("none", sentence=f"{sentence}; {spoken}", advice=mend)
    return Limit(
        "none", sentence=sentence, advice="Send one of them by hand, as curl -i does, and mend that first"
    )
