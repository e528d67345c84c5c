"""Who is asked: a host and a method, as a library has them and as they are told of."""

from __future__ import annotations

from typing import Any, TypeAlias

from perftui_agent.records import Upstream

Asked: TypeAlias = tuple[Any, Any, Any, Any]
"""Host, method, port and scheme, as the library has them."""

_DEFAULT_PORTS = {("http", 80), ("https", 443), ("http", None), ("https", None)}

_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE", "QUERY"}
)


def upstream_of(key: Asked, library: str) -> Upstream:
    """Return who is meant. Raises TypeError where that is nobody: a mock's call goes nowhere."""
    host, method, port, scheme = key
    if not isinstance(host, str | bytes):
        raise TypeError(f"a host is no {type(host).__name__}")
    verb = _text(method).upper()
    return Upstream(name_of_host(scheme, host, port), verb if verb in _METHODS else "_OTHER", library)


def name_of_host(scheme: Any, host: Any, port: int | None) -> str:
    """Return a host as people say it, with its port where that is not the scheme's."""
    name = _text(host).strip("[]")
    if ":" in name:
        name = f"[{name}]"
    return name if (_text(scheme), port) in _DEFAULT_PORTS else f"{name}:{port}"


def _text(value: Any) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
