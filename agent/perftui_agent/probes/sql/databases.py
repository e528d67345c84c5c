"""What people call a database: `db.internal:5432/shop`, `shop.db`; never with who connects, or how."""

from __future__ import annotations

import os
from typing import Any, TypeAlias

DatabaseName: TypeAlias = str
"""Host, port and name as the URL says, without credentials and options."""


def database_of(engine: Any) -> DatabaseName:
    """Return the name of an engine's database; of what has no URL of its own, the kind."""
    try:
        url = engine.url
        name = url.database or ""
        if url.get_backend_name() == "sqlite":
            file = name.removeprefix("file:").partition("?")[0]
            return os.path.basename(file) or ":memory:"
        host = url.host or ""
        if host:
            port = f":{url.port}" if url.port else ""
            return f"{host}{port}/{name}" if name else f"{host}{port}"
        return str(name or url.get_backend_name())
    except Exception:  # noqa: BLE001 - a name is not worth a statement
        return ""
