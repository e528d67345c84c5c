"""What a fault in one of our handlers costs: the key or the message it was in, not the session."""

from __future__ import annotations

from textual.message import Message
from textual.message_pump import MessagePump

from perftui.faults import FAULTS


class Spared(MessagePump):
    """Goes on with the next message after one whose handling has raised; Textual would end the app."""

    async def _dispatch_message(self, message: Message) -> None:
        with FAULTS.spared(f"{type(self).__name__} at {type(message).__name__}"):
            await super()._dispatch_message(message)
