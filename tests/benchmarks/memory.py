"""Memory that the agent adds to a worker, and what it says of it: workers with and without it, in turns."""

from __future__ import annotations

import contextlib
import statistics
import tempfile
import time
from pathlib import Path

import psutil

from tests.support.servers import running, write_app
from tests.support.stream import streaming

ROUNDS = 3

ROUTES = 60

SERVED_S = 6.0

APP = f"""
    from fastapi import FastAPI
    from sqlalchemy import create_engine, text

    engine = create_engine("sqlite://")
    app = FastAPI()

    def answer(number: int) -> int:
        with engine.connect() as connection:
            connection.execute(text(f"SELECT {{number}}"))
        return number

    for number in range({ROUTES}):
        app.get(f"/r{{number}}/{{{{number}}}}")(answer)
"""

INSTRUMENTED = f"{APP}\n    from perftui_agent import instrument\n    instrument(app)\n"

KINDS = {"without it": APP, "with it": INSTRUMENTED, "and one client": INSTRUMENTED}


def main() -> None:
    """Print the table."""
    rounds = [{kind: worker(kind) for kind in KINDS} for _ in range(ROUNDS)]
    bare, _ = medians(rounds, "without it")
    print(f"a worker without it       {bare:6.1f} MB")
    for kind in list(KINDS)[1:]:
        rss, said = medians(rounds, kind)
        print(f"a worker {kind:15}  {rss:6.1f} MB   adds {rss - bare:4.1f} (budget: ≤ 12), says {said:4.1f}")


def medians(rounds: list[dict[str, tuple[float, float]]], kind: str) -> list[float]:
    """Return the median of each figure of a kind of worker."""
    return [statistics.median(figures) for figures in zip(*(each[kind] for each in rounds), strict=True)]


def worker(kind: str) -> tuple[float, float]:
    """Return the megabytes of a worker that has served, and those that its agent puts down to itself."""
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as opened:
        service = opened.enter_context(running(write_app(Path(directory), KINDS[kind]), workers=1))
        client = opened.enter_context(service.client())
        if kind == "and one client":
            opened.enter_context(streaming(service))
        until = time.monotonic() + SERVED_S
        while time.monotonic() < until:
            for number in range(ROUTES):
                client.get(f"/r{number}/{number}")
        (pid,) = service.pids()
        rss = psutil.Process(pid).memory_info().rss / 1e6
        if kind == "without it":
            return rss, 0.0
        frame = opened.enter_context(streaming(service)).frame()
        return rss, (frame.agent.rss_bytes or 0) / 1e6
