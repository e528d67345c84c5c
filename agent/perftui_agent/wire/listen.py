"""What a client says that keeps everything: that it wants to be told what others ask for, and get."""

from __future__ import annotations

import msgspec


class Listen(msgspec.Struct, tag="listen"):
    """Asks for what is asked from now on by other processes; see `wire.asked`."""
