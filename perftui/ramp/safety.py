"""Whether a load may be sent at all: to this machine alone, to nothing that says it is production."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping

import psutil

_STAGE = re.compile(r"(^|_)(env|environment|stage|tier)$", re.IGNORECASE)
"""Variables that say where a process runs: `ENV`, `APP_ENV`, `ENVIRONMENT`, `DEPLOY_STAGE` …"""

_PRODUCTION = re.compile(r"(^|[-_. ])(production|prod|live)($|[-_. \d])", re.IGNORECASE)

LEAST_MEMORY = 0.05
"""Of the machine's; with less of it available no further request is sent."""


def addresses_of(host: str) -> list[str]:
    """Return the addresses that a name stands for; none if it stands for nothing."""
    try:
        return sorted({str(info[4][0]) for info in socket.getaddrinfo(host, None)})
    except (OSError, UnicodeError):
        return []


def own_addresses() -> frozenset[str]:
    """Return the addresses of this machine's interfaces."""
    return frozenset(
        address.address.partition("%")[0]
        for several in psutil.net_if_addrs().values()
        for address in several
        if address.family in {socket.AF_INET, socket.AF_INET6}
    )


def is_this_machine(host: str, own: frozenset[str] | None = None) -> bool:
    """Tell whether every address of a name is one of this machine's."""
    found = addresses_of(host)
    known = own_addresses() if own is None else own
    return bool(found) and all(ipaddress.ip_address(each).is_loopback or each in known for each in found)


def says_production(environ: Mapping[str, str], names: Iterable[str] = ()) -> str:
    """Return which setting, or which name, says that a service is production; empty if none does."""
    for name, value in sorted(environ.items()):
        if _STAGE.search(name) and _PRODUCTION.search(value.strip()):
            return f"{name}={value.strip()[:40]}"
    return next((name for name in names if _PRODUCTION.search(name)), "")


def environment_of(pid: int) -> dict[str, str]:
    """Return the environment that a process was started with; nothing where it may not be read."""
    try:
        return psutil.Process(pid).environ()
    except (psutil.Error, OSError):
        return {}


def short_of_memory() -> bool:
    """Tell whether the machine has little memory left."""
    memory = psutil.virtual_memory()
    return bool(memory.available < LEAST_MEMORY * memory.total)
