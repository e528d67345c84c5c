"""How one hears that a client has left, where no server's object says so at once."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from perftui_agent.probes.http.answers import Message
from perftui_agent.records import RequestRecord

Receive: TypeAlias = Callable[[], Awaitable[Message]]


def watching(receive: Receive, record: RequestRecord) -> Receive:
    """Return `receive`, noting down that it has told the app."""

    async def observed_receive() -> Message:
        message = await receive()
        if message["type"] == "http.disconnect" and not record.ended_ns:
            record.disconnected = True
        return message

    return observed_receive


def connection_is_lost(client: Any) -> bool:
    """Tell what a server that never comes to wait hears too late: a stream's own pace may not let it."""
    transport = getattr(client, "transport", None)
    return transport is not None and bool(transport.is_closing())


def tells_that_client_left(error: BaseException) -> bool:
    """Tell how servers (an OSError) and Starlette (its own kind) let an app know from an app's failure."""
    return isinstance(error, OSError) or type(error).__name__.startswith("ClientDisconnect")
