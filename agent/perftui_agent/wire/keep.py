"""What a client says when it has judged that something grave goes on: keep the seconds around this moment.

It is no action: nothing is done to the app, nothing is answered, and the worker alone says how often it heeds
it. An agent that doesn't know the message would end the connection, so it goes only to one whose `Hello` says
that it keeps.
"""

from __future__ import annotations

import msgspec


class Keep(msgspec.Struct, tag="keep", omit_defaults=True, kw_only=True):
    """Asks a worker not to let what goes on overwrite the minute before and after now."""

    kind: str
    """The finding that began."""
