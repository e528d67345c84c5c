"""From the page to the cause: three walks of at most three key presses, in a real terminal."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import httpx
import pytest

from tests.support.servers import Service, running, write_app
from tests.support.terminal import Terminal, perftui, terminal

SHOP = """
import asyncio, time
from fastapi import FastAPI
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from perftui_agent import instrument

engine = create_async_engine(
    "sqlite+aiosqlite:///shop.db", poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0
)
app = FastAPI()

@app.get("/orders")
async def list_orders():
    async with engine.connect() as connection:
        for number in range(30):
            await connection.execute(text("SELECT :number AS line"), {"number": number})
    return []

@app.get("/checkout")
async def checkout():
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1 AS paid"))
        await asyncio.sleep(0.1)
    return []

def build_report():
    time.sleep(0.4)

@app.get("/reports")
async def reports():
    build_report()
    return []

instrument(app, service="shop")
"""

FINDINGS = ("loop-blocked", "pool-exhausted", "n-plus-one")

MOST_KEYS = 3


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return a shop with three faults, and customers in it who have felt each of them."""
    app = write_app(tmp_path_factory.mktemp("faults"), SHOP)
    with running(app, workers=1) as service:
        service.wait_registered()
        with customers(service):
            for path in ("/checkout", "/orders", "/reports"):
                service.get(path, times=8)
            yield service


@contextmanager
def customers(service: Service) -> Iterator[None]:
    """Check out with six hands at once, and now and then ask for orders and a report."""
    over = threading.Event()

    def come(first: int) -> None:
        number = first
        while not over.wait(0.05):
            number += 1
            with suppress(httpx.HTTPError, OSError):
                service.get(("/checkout", "/checkout", "/orders", "/reports")[number % 4])

    threads = [threading.Thread(target=come, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


@contextmanager
def paged(service: Service) -> Iterator[Terminal]:
    """Connect, and wait until what is wrong stands there with the cursor on its first line."""
    with terminal(*perftui("connect", service.target), env=service.env) as seen:
        seen.wait_for(*FINDINGS, "● live")
        seen.wait(lambda text: any(line.startswith(("›▲", "›△")) for line in notices(text)), "›")
        yield seen


def notices(text: str) -> list[str]:
    """Return the lines of the findings."""
    return [line for line in text.splitlines() if any(kind in line for kind in FINDINGS)]


def walk(seen: Terminal, kind: str) -> None:
    """Open a finding, with no more keys than are allowed."""
    place = next(place for place, line in enumerate(notices(seen.text())) if kind in line)
    keys = [*["down"] * place, "enter"]
    assert len(keys) <= MOST_KEYS
    for key in keys:
        seen.press(key)


def test_the_function_that_blocks_the_loop_is_three_keys_away(shop: Service) -> None:
    """Its name and line, how it was called, and for which route."""
    with paged(shop) as seen:
        walk(seen, "loop-blocked")
        text = seen.wait_for("held the loop", "STACK OF THE LONGEST", "build_report", "GET /reports")
        assert "→" in text


def test_the_pool_that_is_exhausted_is_three_keys_away(shop: Service) -> None:
    """How full it is, how long one waits for it, and which routes do."""
    with paged(shop) as seen:
        walk(seen, "pool-exhausted")
        seen.wait_for("shop › pool ", "at most 1", "wait p95", "ROUTES THAT WAIT", "GET /checkout")


def test_the_n_plus_one_is_three_keys_away(shop: Service) -> None:
    """The route, the statement it repeats, how often, and the line that runs it."""
    with paged(shop) as seen:
        walk(seen, "n-plus-one")
        seen.wait_for("shop › GET /orders", "STATEMENTS")
        # Statements of requests that are still on their way count already: a little off 30, then.
        row = re.compile(r"SELECT \? AS line .* (29|30|31)\.\d .*list_orders")
        seen.wait(lambda text: bool(row.search(text)), "the statement, 30 times per request")


def test_the_statement_is_shown_whole_and_the_way_back_ends_where_it_began(shop: Service) -> None:
    """From the N+1 on: its statement, then twice back to the finding."""
    with paged(shop) as seen:
        walk(seen, "n-plus-one")
        seen.wait_for("shop › GET /orders", "STATEMENTS")
        seen.press("enter")
        seen.wait_for("ROUTES THAT RUN IT", "called from", "list_orders")
        seen.press("esc")
        seen.wait_for("WHERE AN AVERAGE REQUEST")
        seen.press("esc")
        seen.wait(
            lambda text: any(line.startswith("›") for line in notices(text)), "the finding it came from"
        )
        seen.press("q")
        assert seen.end() == 0


def test_the_slowest_request_tells_its_story(shop: Service) -> None:
    """Two keys: the view of requests, and the slowest of them."""
    with paged(shop) as seen:
        seen.press("3")
        seen.wait_for("shop › requests", "SLOWEST")
        seen.press("enter")
        seen.wait_for("WHAT IT DID", "┴0ms", "━")
