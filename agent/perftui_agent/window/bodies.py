"""What the headers tell of a response's body: whether it is compressed, or a file.

Headers are read here, on the agent's thread, and let go of; the request's path keeps a reference to
them at most.
"""

from __future__ import annotations

from perftui_agent.records import Headers
from perftui_agent.wire.requests import RouteFrame

_ENCODINGS = (b"gzip", b"br", b"zstd", b"deflate")

_FILE_KINDS = (b"image/", b"audio/", b"video/", b"font/")
_FILE_TYPES = frozenset(
    {
        b"application/gzip",
        b"application/octet-stream",
        b"application/pdf",
        b"application/x-7z-compressed",
        b"application/x-gzip",
        b"application/x-tar",
        b"application/x-zip-compressed",
        b"application/zip",
    }
)
"""Nobody could send less of these, nor compress them once more."""


def fold_bodies(headers: Headers, route: RouteFrame) -> None:
    """Count a large body by what its headers say."""
    encoding = _value(headers, b"content-encoding")
    if encoding is not None and encoding.lower().startswith(_ENCODINGS):
        route.compressed += 1
    if _is_file(headers):
        route.files += 1


def _is_file(headers: Headers) -> bool:
    disposition = _value(headers, b"content-disposition")
    if disposition is not None and disposition.lower().startswith(b"attachment"):
        return True
    kind = (_value(headers, b"content-type") or b"").partition(b";")[0].strip().lower()
    return kind in _FILE_TYPES or (kind.startswith(_FILE_KINDS) and not kind.endswith(b"+xml"))


def _value(headers: Headers, wanted: bytes) -> bytes | None:
    for name, value in headers:
        if len(name) == len(wanted) and name.lower() == wanted:
            return value
    return None
