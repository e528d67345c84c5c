"""What the messages are made of: how a part is written, and the words that all of them use.

Durations are integer nanoseconds, sizes bytes, moments wall-clock nanoseconds since the epoch.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec

Nanoseconds: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
"""A duration, or a wall-clock moment since the epoch."""

Bytes: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
"""A size."""

RouteLabel: TypeAlias = str
"""`METHOD template`, with every prefix: `GET /api/v1/items/{item_id}`, `GET (unmatched)`, `(other)`."""

CodePlace: TypeAlias = str
"""A place in code as people say it: `app/reports.py:42 build`."""

WorkerId: TypeAlias = str
"""One worker's life, unlike a pid never reused: `host/pid/start`."""


class Part(msgspec.Struct, omit_defaults=True, kw_only=True):
    """A part of a message: unknown fields are ignored, default ones left out."""


class Value(msgspec.Struct, omit_defaults=True, kw_only=True, frozen=True):
    """A part of a message that is whole when it is made and never changes."""
