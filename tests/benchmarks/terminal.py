"""What the dashboard costs the line and the machine it is looked at on, in a real pty.

Bytes a second, CPU and key to paint of the real `perftui connect` on workers whose frames are made up,
beside a plain Textual DataTable of the same rows and beside glances, a terminal monitor from the package
index, with one of its own refreshes a second. Then the first paint, from the start of the process.
"""

from __future__ import annotations

import contextlib
import importlib.util
import statistics
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyte

from tests.benchmarks.watched import Effect, Keys, compiled, watched
from tests.support.terminal import perftui

SIZES = {"80×24": (80, 24), "120×40": (120, 40)}
SHAPES = ((4, 60), (16, 200))
"""Workers and routes of each."""

HISTORY_S = 600
SETTLE_S, WATCHED_S, KEYS, STARTS = 6.0, 20.0, 40, 9

BUDGET_BYTES = {"80×24": 1024, "120×40": 2560}
BUDGET_CPU = {4: 5.0, 16: 15.0}
BUDGET_KEY_MS = 50.0
BUDGET_PAINT = 1.5
"""Times the first paint of an empty app."""

DOWN, UP = "\x1b[B", "\x1b[A"
CONNECT = perftui("connect", "8000")
PEER = (sys.executable, "-m", "tests.benchmarks.dashboards")
GLANCES = (sys.executable, "-m", "glances", "-t", "1", "--disable-check-update")

_HEADINGS = ("bytes/s", "CPU %", "key p50", "key p95")


@dataclass(frozen=True, slots=True)
class Program:
    """A program, the word that its first useful picture holds, and keys that go to and fro."""

    command: Sequence[str]
    word: str
    keys: Sequence[str]
    effect: Effect


@dataclass(frozen=True, slots=True)
class Measured:
    """One run."""

    bytes_per_s: float
    cpu_percent: float
    keys: Keys

    def row(self, name: str) -> str:
        """Return the line of the table."""
        took_ms = self.keys.took_ms
        keys = f"{'':>17}"
        if len(took_ms) > 1:
            keys = f"{statistics.median(took_ms):>8.0f} {self.keys.p95_ms:>8.0f}"
        missed = f"   {self.keys.without_effect} keys without effect" if self.keys.without_effect else ""
        return f"  {name:<34} {self.bytes_per_s:>8.0f} {self.cpu_percent:>8.1f} {keys}{missed}"


def _arrow(screen: pyte.Screen) -> str:
    """Return the name in the line that the cursor of the dashboard stands on, wherever that line is."""
    lines = [screen.buffer[y] for y in range(screen.lines) if screen.buffer[y][0].data == "›"]
    return "".join(line[x].data for line in lines for x in range(30))


def _grounds(screen: pyte.Screen) -> tuple[str, ...]:
    """Return the ground of each line: that of the row under a DataTable's cursor is another."""
    return tuple(screen.buffer[y][2].bg for y in range(screen.lines))


def _ready(screen: pyte.Screen) -> str:
    """Return the line of the empty app."""
    return next((line for line in screen.display if "ready" in line), "")


def _each_core(screen: pyte.Screen) -> bool:
    """Tell whether glances shows every core by itself."""
    return any("CPU0" in line for line in screen.display)


TO_AND_FRO = [DOWN if number // 4 % 2 == 0 else UP for number in range(KEYS)]
BUSY = Program(CONNECT, "GET /r", TO_AND_FRO, _arrow)
IDLE = Program(CONNECT, "live", (), _arrow)
TABLE = Program((*PEER, "table"), "GET /r", TO_AND_FRO, _grounds)
EMPTY = Program((*PEER, "empty"), "ready", TO_AND_FRO, _ready)
# Escape sequences end it: it takes the escape alone.
MONITOR = Program(GLANCES, "CPU", ["1"] * KEYS, _each_core)


def measure(program: Program, size: tuple[int, int], environ: Mapping[str, str], *options: str) -> Measured:
    """Run a program and measure it."""
    with watched((*program.command, *options), size, environ) as seen:
        seen.wait_for(program.word)
        seen.drain(SETTLE_S)
        cpu_s = seen.cpu_s()
        sent = seen.drain(WATCHED_S)
        cpu_s = seen.cpu_s() - cpu_s
        keys = seen.answers(program.keys, program.effect)
        return Measured(sent / WATCHED_S, 100 * cpu_s / WATCHED_S, keys)


@contextlib.contextmanager
def serving(workers: int, routes: int, *options: str) -> Iterator[Mapping[str, str]]:
    """Run a made-up service in a process of its own; yield the environment in which it is found."""
    command = (sys.executable, "-m", "tests.support.fake_service", str(workers), str(routes), *options)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield {"PERFTUI_RUNTIME_DIR": process.stdout.readline().strip()}
        finally:
            process.stdin.close()
            process.wait()


def live(environ: Mapping[str, str], shapes: Sequence[tuple[int, int]] | None = None) -> None:
    """Measure the Triage view, live."""
    for workers, routes in SHAPES if shapes is None else shapes:
        with serving(workers, routes) as busy, serving(workers, routes, "--idle") as idle:
            for name, size in SIZES.items():
                print(f"\n{name}, {workers} workers × {routes} routes, 1 Hz")
                print(f"  {'':<34} " + " ".join(f"{heading:>8}" for heading in _HEADINGS))
                ours = measure(BUSY, size, {**environ, **busy})
                print(ours.row("perftui, busy"))
                slow = measure(BUSY, size, {**environ, **busy}, "--slow")
                print(slow.row("perftui --slow, busy"))
                quiet = measure(IDLE, size, {**environ, **idle})
                print(quiet.row("perftui, idle"))
                print(measure(IDLE, size, {**environ, **idle}, "--slow").row("perftui --slow, idle"))
                table = measure(TABLE, size, {**environ, **busy})
                print(table.row("a Textual DataTable, same rows"))
                empty = measure(EMPTY, size, environ)
                print(empty.row("an empty Textual app"))
                print(
                    f"  budget: {BUDGET_BYTES[name]} bytes/s, {BUDGET_CPU[workers]:.0f} % CPU,"
                    f" {BUDGET_KEY_MS:.0f} ms\n"
                    f"  bytes beside the table {ours.bytes_per_s / table.bytes_per_s:.2f}×,"
                    f" CPU {ours.cpu_percent / table.cpu_percent:.2f}×;"
                    f" key to paint p95 {ours.keys.p95_ms:.0f} ms, the empty app's {empty.keys.p95_ms:.0f} ms"
                    f" ({ours.keys.p95_ms / empty.keys.p95_ms:.2f}×);"
                    f" --slow beside itself {slow.bytes_per_s / ours.bytes_per_s:.2f}×"
                )


def monitor(environ: Mapping[str, str]) -> None:
    """Measure glances."""
    if importlib.util.find_spec("glances") is None:
        print("  glances isn't installed: uv sync --group bench")
        return
    for name, size in SIZES.items():
        print(measure(MONITOR, size, environ).row(f"glances, its own rows, {name}"))


def first_paint(environ: Mapping[str, str]) -> None:
    """Measure how long it takes from the start of the process to the first numbers, and how long alone."""
    print(f"\nfirst paint, 80×24, {HISTORY_S} s of history: medians of {STARTS} starts, taking turns")
    print(f"  {'':<34} {'s':>8} {'CPU s':>8}")
    for workers, routes in SHAPES:
        with serving(workers, routes, "--history", str(HISTORY_S)) as found:
            programs = {"empty": (*PEER, "empty"), "ours": CONNECT}
            words = {"empty": "ready", "ours": "GET /r"}
            taken: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
            for start in range(STARTS + 1):
                for name, command in programs.items():
                    with watched(command, SIZES["80×24"], {**environ, **found}) as seen:
                        took_s = seen.wait_for(words[name])
                        if start:  # the first one compiles
                            taken[name].append((took_s, seen.cpu_s()))
        empty, ours = (
            [statistics.median(values) for values in zip(*taken[name], strict=True)] for name in programs
        )
        print(f"  {'an empty Textual app':<34} {empty[0]:>8.2f} {empty[1]:>8.2f}")
        print(f"  {f'perftui, {workers} × {routes}':<34} {ours[0]:>8.2f} {ours[1]:>8.2f}")
        print(
            f"  ours beyond the empty app {ours[0] - empty[0]:.2f} s, CPU {ours[1] - empty[1]:.2f} s"
            f" ({ours[0] / empty[0]:.2f}×, CPU {ours[1] / empty[1]:.2f}×); budget: {BUDGET_PAINT}×"
        )


def main() -> None:
    """Measure ours and the peers."""
    with compiled() as environ:
        first_paint(environ)
        live(environ)
        monitor(environ)
