"""`--engine locust`: where Locust's workers find the master, and what may be sent from there."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from perftui.ramp.safety import is_this_machine
from perftui.ramp.sender import Setup, Told
from perftui.record import Record
from perftui.sources.target import TargetError

TEMPLATE = Path(__file__).with_name("locustfile.py")


class Fleet(Record, frozen=True):
    """Locust's workers: as many as are waited for, at an address of this machine's."""

    host: str
    port: int
    workers: int

    @property
    def command(self) -> tuple[str, ...]:
        """What drives them, as arguments of Python's."""
        return ("-m", "perftui.ramp.locust_master", self.host, str(self.port), str(self.workers))

    @property
    def told(self) -> str:
        """What to type on each machine."""
        return f"locust -f - --worker --master-host {self.host} --master-port {self.port}"


def fleet_at(text: str, workers: int) -> Fleet:
    """Return the fleet that meets at `HOST:PORT`; `TargetError` if it can't."""
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise TargetError(
            f"{text!r} is no address", "write where this machine is reached: --workers-at 10.0.0.5:5557"
        )
    if not is_this_machine(host):
        raise TargetError(
            f"{host} is not this machine: locust's workers come to the master, which runs here",
            "name an address of this machine that they can reach",
        )
    if importlib.util.find_spec("locust") is None:
        raise TargetError("locust is not installed", "pip install 'perftui[locust]'")
    return Fleet(host, int(port), workers)


def reached_from(fleet: Fleet, base_url: str, unix: str | None) -> str:
    """Return where workers send to; `TargetError` where only this machine gets there."""
    if unix is not None:
        raise TargetError("locust does not send to a Unix socket", "leave --engine locust out")
    parts = urlsplit(base_url)
    if parts.hostname in {"127.0.0.1", "::1"} and fleet.host not in {"127.0.0.1", "::1", "localhost"}:
        host = f"[{fleet.host}]" if ":" in fleet.host else fleet.host
        return f"http://{host}:{parts.port}"
    return base_url


def locustfile(setup: Setup) -> str:
    """Return the file that workers run for a setup."""
    said = {
        "base_url": setup.base_url,
        "plan": msgspec.to_builtins(setup.plan),
        "new_connections": setup.new_connections,
        "timeout_s": setup.timeout_s,
    }
    line, replaced = "SETUP = {}", f"import json\n\nSETUP = json.loads({json.dumps(said)!r})"
    return TEMPLATE.read_text(encoding="utf-8").replace(line, replaced, 1)


def added(told: Told, report: dict[str, dict[Any, int]]) -> None:
    """Add what a worker has reported."""
    counts = report.get("counts", {})
    for name in ("sent", "done", "errors", "in_time", "held"):
        setattr(told, name, getattr(told, name) + int(counts.get(name, 0)))
    for name, sketch in (("latency_us", told.latency), ("late_us", told.late)):
        for us, count in report.get(name, {}).items():
            sketch.add_all([int(us) * 1000] * count)
    for what, count in report.get("failures", {}).items():
        told.failures[what] = told.failures.get(what, 0) + count
