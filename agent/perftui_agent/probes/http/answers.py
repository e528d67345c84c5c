"""What a response's messages say of it: how long its body is, and of what kind; and what a preflight is."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, TypeAlias

from perftui_agent.records import CHUNKED, EVENTS, PLAIN, Scope

Message: TypeAlias = MutableMapping[str, Any]
"""Of ASGI."""

_WITHOUT_BODY = frozenset({204, 304})
"""Statuses whose answer is whole with its headers."""


def is_preflight(scope: Scope) -> bool:
    """Tell what a browser asks before it sends a request of another origin."""
    return any(name == b"access-control-request-method" for name, _ in scope["headers"])


def has_no_body(head: Message | None, scope: Scope | None) -> bool:
    """Tell an answer that is whole with its headers."""
    return head is not None and (
        head["status"] in _WITHOUT_BODY or (scope is not None and scope["method"] == "HEAD")
    )


def promised_bytes(head: Message | None) -> int:
    """Return how many bytes of body the headers promise; -1 if they don't say."""
    promised = -1
    for name, value in (head.get("headers") or ()) if head else ():
        name = name.lower()
        if name == b"transfer-encoding":
            return -1
        if name == b"content-length" and value.isdigit():
            promised = int(value)
    return promised


def kind_of_body(head: Message | None) -> int:
    """Tell a body of known length in parts (PLAIN) from a stream. Middleware splits plain bodies too."""
    for name, value in head.get("headers", ()) if head else ():
        name = name.lower()
        if name == b"content-length":
            return PLAIN
        if name == b"content-type" and value.startswith(b"text/event-stream"):
            return EVENTS
    return CHUNKED
