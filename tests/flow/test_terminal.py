"""The dashboard in a real terminal, on real workers."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.servers import Service, is_alive, running, wait_until, write_app
from tests.support.terminal import Terminal, perftui, terminal

SHOP = """
import asyncio, time
from fastapi import FastAPI
from perftui_agent import instrument

app = FastAPI()

@app.get("/items/{item_id}")
async def item(item_id: int):
    return {"id": item_id}

@app.get("/orders")
async def orders():
    await asyncio.sleep(0.05)
    return []

def build_report():
    end = time.monotonic() + 6
    while time.monotonic() < end:
        sum(range(1000))

@app.get("/reports")
async def reports():
    build_report()
    return []

instrument(app, service="shop")
"""

SIZES = pytest.mark.parametrize("size", [(80, 24), (120, 40)], ids=["80x24", "120x40"])


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a shop of two workers with customers in it."""
    app = write_app(tmp_path_factory.mktemp("shop"), SHOP)
    with running(app, workers=2) as service:
        service.wait_registered()
        with customers(service):
            yield service


@contextmanager
def customers(service: Service) -> Iterator[None]:
    """Ask for orders, now and then for an item, until the block ends."""
    over = threading.Event()

    def come() -> None:
        number = 0
        while not over.wait(0.05):
            number += 1
            path = f"/items/{number}" if number % 3 == 0 else "/orders"
            with suppress(httpx.HTTPError, OSError):
                service.get(path)

    thread = threading.Thread(target=come)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextmanager
def connected(service: Service, size: tuple[int, int] = (80, 24), **env: str) -> Iterator[Terminal]:
    """Open the dashboard on a service, and wait for its first numbers."""
    with terminal(*perftui("connect", service.target), env={**service.env, **env}, size=size) as seen:
        seen.wait_for("ROUTES", "›· GET /orders", "2/2 workers", "● live")
        yield seen


@SIZES
def test_the_busiest_route_is_seen_and_drilled_into(shop: Service, size: tuple[int, int]) -> None:
    """It paints, the costliest route stands first, enter opens it, escape comes back, `q` leaves with 0."""
    with connected(shop, size) as seen:
        lines = seen.lines()
        heading = next(place for place, line in enumerate(lines) if "ROUTES" in line)
        assert "GET /orders" in lines[heading + 1]
        seen.press("enter")
        seen.wait_for("shop › GET /orders", "LATENCY", "▴p95")
        seen.press("esc")
        seen.wait_for("WORKERS", "2/2 workers")
        seen.press("q")
        assert seen.end() == 0


def test_a_worker_is_dumped(shop: Service) -> None:
    """`D` asks, `y` takes a dump with py-spy, and the threads are on the screen."""
    with connected(shop) as seen:
        seen.press("D")
        seen.wait_for("Dump worker", "y yes")
        seen.press("y")
        seen.wait_for("MainThread", "py-spy", "perftui-agent")
        # At once, escape and q would be alt+q.
        seen.press("esc")
        seen.wait_for("WORKERS")
        seen.press("q")
        assert seen.end() == 0


def test_a_blocked_worker_is_seen_and_its_code_named(shop: Service) -> None:
    """While code holds the loop of one worker, the dashboard lives and says which code."""
    with connected(shop, (120, 40)) as seen:
        request = threading.Thread(target=lambda: shop.get("/reports"))
        request.start()
        seen.wait_for("▲ blocked", "build_report", "GET /reports")
        request.join()
        seen.press("q")
        assert seen.end() == 0


def test_the_terminal_is_as_it_was(shop: Service) -> None:
    """Left with `q`: the first screen, a visible cursor, no key protocol, no mouse, the line discipline."""
    command = " ".join(["stty -g;", *perftui("connect", shop.target), "; echo left with $?; stty -g"])
    with terminal("sh", "-c", command, env=shop.env) as seen:
        seen.wait_for("GET /orders", "● live")
        seen.press("q")
        assert seen.end() == 0
        before, *_, after = bytes(seen.raw).split()
        assert before == after
        assert b"left with 0" in seen.raw
        assert seen.restored()


def test_a_hang_up_ends_it_at_once(shop: Service) -> None:
    """A closed ssh session leaves nothing running."""
    with connected(shop) as seen:
        process = psutil.Process(seen.child.pid)
        os.kill(process.pid, signal.SIGHUP)
        assert seen.end() == -signal.SIGHUP
        wait_until(lambda: not is_alive(process), "the dashboard to end")


def test_without_colour_there_is_no_colour(shop: Service) -> None:
    """NO_COLOR: attributes alone, and everything is still told."""
    with connected(shop, NO_COLOR="1") as seen:
        seen.press("?")
        seen.wait_for("IN A TABLE")
        codes = [code for part in seen.raw.split(b"\x1b[")[1:] for code in _sgr(bytes(part))]
        assert codes
        assert not [code for code in codes if 30 <= code <= 49 or 90 <= code <= 107]


def _sgr(part: bytes) -> list[int]:
    """Return the parameters of a sequence that sets colours and attributes, none for another."""
    end = next((place for place, byte in enumerate(part) if 0x40 <= byte <= 0x7E), 0)
    if part[end : end + 1] != b"m" or not part[:end].replace(b";", b"").isdigit():
        return []
    return [int(code) for code in part[:end].split(b";")]


def test_sixteen_colours_are_enough(shop: Service) -> None:
    """A terminal of 16 colours gets no others."""
    with connected(shop, TEXTUAL_COLOR_SYSTEM="standard") as seen:
        assert b"38;5;" not in seen.raw
        assert b"38;2;" not in seen.raw


def test_a_resize_reflows(shop: Service) -> None:
    """From 120×40 to 80×24 the same picture is composed anew, and no old text is left.

    What a shell has exported of its size, as `docker exec -e COLUMNS=…` does, is not the terminal's.
    """
    with connected(shop, (120, 40), COLUMNS="100", LINES="30") as seen:
        seen.wait_for("load")
        seen.resize(80, 24)
        seen.wait(
            lambda text: "q quit" in text.splitlines()[-1] and "load" not in text, "the smaller picture"
        )
        seen.press("q")
        assert seen.end() == 0


def test_a_dead_worker_is_seen_to_be_gone(tmp_path: Path) -> None:
    """A worker that is killed has a sign of its own; its successor joins."""
    with running(write_app(tmp_path, SHOP), workers=2) as service:
        service.wait_registered()
        with customers(service), connected(service, (120, 40)) as seen:
            victim = service.pids()[0]
            os.kill(victim, signal.SIGKILL)
            seen.wait_for(f"✗ {victim}", "gone", "2/2 workers")


def test_a_lost_service_freezes_the_picture(tmp_path: Path) -> None:
    """When the service is gone, the last picture stays under a banner, and `q` still leaves."""
    with running(write_app(tmp_path, SHOP), workers=2) as service:
        service.wait_registered()
        with connected_with_traffic(service) as seen:
            os.killpg(service.process.pid, signal.SIGKILL)
            seen.wait(lambda text: "lost" in text or "stale" in text, "the banner")
            assert "GET /orders" in seen.text()
            seen.press("q")
            assert seen.end() == 0


def test_a_silent_service_freezes_the_picture_and_comes_back(tmp_path: Path) -> None:
    """The banner counts how long nothing has come; below it stands what was last seen, until it speaks."""
    with running(write_app(tmp_path, SHOP), workers=1) as service:
        service.wait_registered()
        with terminal(*perftui("connect", service.target), env=service.env) as seen:
            with customers(service):
                seen.wait_for("GET /orders", "● live")
            os.kill(service.pids()[0], signal.SIGSTOP)
            seen.wait(lambda text: _stale_s(text) >= 4, "the banner")
            frozen = _figures(seen.lines())
            seen.wait(lambda text: _stale_s(text) >= 8, "the banner to count")
            assert _figures(seen.lines()) == frozen
            os.kill(service.pids()[0], signal.SIGCONT)
            seen.wait_for("● live")
            seen.press("q")
            assert seen.end() == 0


def _stale_s(text: str) -> float:
    """Return for how long the header says that nothing has come; 0 if it doesn't."""
    found = re.search(r"stale ([\d.]+) s", text)
    return float(found[1]) if found else 0.0


def _figures(lines: list[str]) -> list[str]:
    """Return the charts and the routes: what is told of requests."""
    end = next(place for place, line in enumerate(lines) if "WORKERS" in line)
    return [line for line in lines[1:end] if "last 15m" not in line and "no word for" not in line]


@contextmanager
def connected_with_traffic(service: Service) -> Iterator[Terminal]:
    with customers(service), connected(service) as seen:
        yield seen


def test_what_is_wrong_with_a_target_is_told_on_the_plain_terminal(shop: Service) -> None:
    """A port that nobody listens on: two lines, exit code 2, and no screen was taken over."""
    with terminal(*perftui("connect", "localhost:1"), env=shop.env) as seen:
        assert seen.end() == 2
        assert b"\x1b[?1049h" not in seen.raw
        assert b"localhost:1" in seen.raw
