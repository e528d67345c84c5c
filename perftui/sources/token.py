"""The token of the services that are meant, and what it is worth."""

from __future__ import annotations

from contextvars import ContextVar

from perftui.sources.target import RemoteTarget, TargetError, is_loopback

TOKEN: ContextVar[str] = ContextVar("TOKEN", default="")
"""As the command line or the environment has said it. It stands in no target: those are shown and kept."""

LEAST_CHARACTERS = 16


def usable(target: RemoteTarget, token: str) -> str:
    """Return the token to knock at a target's door with; `TargetError` if it can be none."""
    if not token:
        raise TargetError(
            f"{target} is asked by its remote door, which takes a token",
            "give the one that the service has: PERFTUI_TOKEN=… perftui …",
        )
    if len(token) < LEAST_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token:
        raise TargetError(
            f"this is no token: one has {LEAST_CHARACTERS} letters, digits and signs of ASCII, or more",
            "it is what the service was given as token=… or PERFTUI_TOKEN",
        )
    return token


def is_overheard(target: object) -> bool:
    """Tell whether what is said to a target, the token first of all, can be read on the way."""
    if not isinstance(target, RemoteTarget):
        return False
    return target.url.lower().startswith("http://") and not is_loopback(target.host)
