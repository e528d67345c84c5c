"""What a worker says of itself to whoever connects."""

from __future__ import annotations

import os
import platform
import socket
import sys
from importlib.metadata import PackageNotFoundError, version

import msgspec

from perftui_agent.settings import Settings, Slo
from perftui_agent.wire.clock import instant
from perftui_agent.wire.frames import WIRE_VERSION, Hello
from perftui_agent.wire.identity import SloTarget, WorkerIdentity
from perftui_agent.wire.lives import here, own_start_ticks


def introduce(service: str, version: str, started_at: float, settings: Settings) -> Hello:
    """Return the `Hello` of this process, which started at `started_at` (seconds since the epoch)."""
    return Hello(
        wire=WIRE_VERSION,
        worker=_identity(service, version, started_at),
        slo=slo_targets(settings.slo),
        actions=settings.actions,
        keeps=settings.blackbox_mb > 0,
        shares=True,
    )


def said_now(hello: Hello) -> Hello:
    """Return a `Hello` with this moment."""
    now = instant()
    return msgspec.structs.replace(hello, said_at=now.wall_ns, steady_ns=now.steady_ns)


def slo_targets(slo: Slo | None) -> list[SloTarget]:
    """Return the targets of an `Slo` as they travel: all routes together first."""
    if slo is None:
        return []
    targets = [_slo_target(None, slo)]
    targets += [_slo_target(route, target) for route, target in slo.routes.items()]
    return targets


def _slo_target(route: str | None, slo: Slo) -> SloTarget:
    return SloTarget(
        route=route, p95_ms=slo.p95_ms, p99_ms=slo.p99_ms, error_rate=slo.error_rate, rps=slo.rps
    )


def _identity(service: str, version: str, started_at: float) -> WorkerIdentity:
    place = here()
    return WorkerIdentity(
        host=socket.gethostname(),
        pid=os.getpid(),
        started_at=started_at,
        service=service,
        version=version,
        supervisor_pid=os.getppid(),
        python=platform.python_version(),
        agent=_version_of("perftui-agent"),
        server=_server(),
        frameworks={name: _version_of(name) for name in ("fastapi", "starlette") if name in sys.modules},
        start_ticks=own_start_ticks(),
        boot_id=place.boot_id,
        pid_namespace=place.pid_namespace,
    )


def _server() -> str:
    # gunicorn first: its workers run uvicorn's protocol inside.
    for name in ("gunicorn", "granian", "hypercorn", "uvicorn"):
        if name in sys.modules:
            return f"{name} {_version_of(name)}".strip()
    return ""


def _version_of(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""
