"""What the dashboard costs the line and the machine it is looked at on, in a real pty.

Bytes a second, CPU, key to paint and first paint, beside a plain Textual DataTable of the same rows and
beside glances, a terminal monitor from the package index, with one of its own refreshes a second. The
first paint counts from the start of the process: Python's start and Textual's import are in it.
"""

from __future__ import annotations

import importlib.util
import os
import select
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass

import pexpect
import psutil

SIZES = {"80×24": (80, 24), "120×40": (120, 40)}
SHAPES = ((4, 60), (16, 200))
SETTLE_S, WATCHED_S, KEYS, KEY_WAIT_S = 4.0, 10.0, 20, 1.5

BUDGET_BYTES = {"80×24": 2048, "120×40": 5120}
BUDGET_CPU = {4: 5.0, 16: 15.0}
BUDGET_KEY_MS = 50.0
BUDGET_PAINT_S = 1.0


@dataclass(frozen=True, slots=True)
class Measured:
    """One run."""

    bytes_per_s: float
    cpu_percent: float
    key_p95_ms: float
    first_paint_s: float

    def row(self, name: str) -> str:
        """Return the line of the table."""
        return (
            f"  {name:<32} {self.bytes_per_s:>8.0f} {self.cpu_percent:>8.1f}"
            f" {self.key_p95_ms:>8.0f} {self.first_paint_s:>8.2f}"
        )


def measure(
    command: Sequence[str], size: tuple[int, int], mark: bytes, keys: tuple[str, str] = ("\x1b[B", "\x1b[A")
) -> Measured:
    """Run a command in a pty; `mark` is what its first useful picture has in it, `keys` change it."""
    environ = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8"}
    began = time.monotonic()
    child: pexpect.spawn[bytes] = pexpect.spawn(
        command[0], list(command[1:]), env=environ, dimensions=(size[1], size[0])
    )
    try:
        seen = b""
        while mark not in seen and time.monotonic() - began < 30:
            seen += _read(child, 0.05)
        first_paint_s = time.monotonic() - began
        _drain(child, SETTLE_S)
        process = psutil.Process(child.pid)
        before = process.cpu_times()
        sent = _drain(child, WATCHED_S)
        after = process.cpu_times()
        cpu_s = after.user + after.system - before.user - before.system
        took_ms = sorted(_key(child, keys[number // 4 % 2]) for number in range(KEYS))
        return Measured(
            sent / WATCHED_S, 100 * cpu_s / WATCHED_S, took_ms[int(0.95 * (KEYS - 1))], first_paint_s
        )
    finally:
        child.kill(signal.SIGKILL)
        child.close(force=True)


def _key(child: pexpect.spawn[bytes], key: str) -> float:
    """Press a key; return after how many ms something was painted."""
    _drain(child, 0.13)
    began = time.monotonic()
    child.send(key)
    _read(child, KEY_WAIT_S)
    return (time.monotonic() - began) * 1000


def _read(child: pexpect.spawn[bytes], timeout_s: float) -> bytes:
    ready, _, _ = select.select([child.fileno()], [], [], timeout_s)
    return os.read(child.fileno(), 65536) if ready else b""


def _drain(child: pexpect.spawn[bytes], seconds: float) -> int:
    """Read for so long; return how many bytes came."""
    until, count = time.monotonic() + seconds, 0
    while (left := until - time.monotonic()) > 0:
        count += len(_read(child, left))
    return count


def main() -> None:
    """Measure ours and the peers."""
    own = (sys.executable, "-m", "tests.benchmarks.dashboards")
    for name, size in SIZES.items():
        for workers, routes in SHAPES:
            given = (str(workers), str(routes))
            print(f"\n{name}, {workers} workers × {routes} routes, 1 Hz")
            print(f"  {'':<32} {'bytes/s':>8} {'CPU %':>8} {'key p95':>8} {'first s':>8}")
            ours = measure((*own, "ours", *given), size, b"GET /r")
            table = measure((*own, "table", *given), size, b"GET /r")
            print(ours.row("perftui"))
            print(table.row("a Textual DataTable, same rows"))
            print(
                f"  budget: {BUDGET_BYTES[name]} bytes/s, {BUDGET_CPU[workers]} % CPU,"
                f" {BUDGET_KEY_MS:.0f} ms, {BUDGET_PAINT_S} s;"
                f" bytes beside the table: {ours.bytes_per_s / max(table.bytes_per_s, 1):.2f}×"
            )
        if importlib.util.find_spec("glances") is None:
            print("  glances isn't installed: uv sync --group bench")
            continue
        command = (sys.executable, "-m", "glances", "-t", "1", "--disable-check-update")
        # Escape sequences end it: it takes the escape alone.
        peer = measure(command, size, b"CPU", ("1", "1"))
        print(peer.row("glances, its own rows"))
        print(f"  bytes beside glances: {ours.bytes_per_s / max(peer.bytes_per_s, 1):.2f}×")
