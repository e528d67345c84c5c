"""Who a worker is, and what its service has promised."""

from __future__ import annotations

import msgspec

from perftui_agent.wire.parts import RouteLabel, Value, WorkerId


class SloTarget(Value, frozen=True):
    """What the service promised: all routes together, or one of them."""

    route: RouteLabel | None = None
    p95_ms: float | None = None
    p99_ms: float | None = None
    error_rate: float | None = None
    rps: float | None = None


class WorkerIdentity(Value, frozen=True):
    """Who a worker is; the same in its registration and in its `Hello`."""

    host: str
    pid: int
    started_at: float
    """Process start on the wall clock as it was then, seconds since the epoch: for people to read."""
    service: str
    supervisor_pid: int
    python: str = ""
    agent: str = ""
    server: str = ""
    """`uvicorn 0.54.0`, as far as it can be told."""
    frameworks: dict[str, str] = msgspec.field(default_factory=dict)
    start_ticks: int = 0
    """Process start in the kernel's ticks since the boot, which no clock moves; 0 where there are none."""
    boot_id: str = ""
    pid_namespace: str = ""
    """With the boot: where the pid means something."""
    version: str = ""
    """Which version of the service it runs, as far as it was told."""

    @property
    def id(self) -> WorkerId:
        """The worker's life as a string, unlike a pid never reused."""
        if not self.start_ticks:
            return f"{self.host}/{self.pid}/{self.started_at:.2f}"
        return f"{self.host}/{self.pid}/{self.boot_id[:8]}.{self.pid_namespace}.{self.start_ticks}"
