"""Caches and Redis as a client of the agent sees them: real servers, real sockets, real frames."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path

import httpx
import pytest

from perftui_agent.wire.frames import Frame
from perftui_agent.wire.outside import CacheFrame
from tests.agent.watching import Frames, watching
from tests.support.redis import RedisServer
from tests.support.servers import Server, running, wait_until, write_app
from tests.support.watching import watching as snapshot_of

SHOP = """
    import asyncio
    import functools
    import os

    import cachetools
    import redis.asyncio
    from fastapi import FastAPI

    from perftui_agent import instrument, watch_cache

    prices = watch_cache(cachetools.TTLCache(100, 600), name="prices")
    app = instrument(FastAPI())
    stock = watch_cache(cachetools.LRUCache(2), name="stock")

    @functools.lru_cache
    def rate(country):
        return len(country)

    watch_cache(rate, name="rates")
    prices.get("warmed up before the worker serves")

    @app.get("/prices/{item_id}")
    async def price(item_id: int) -> int:
        if item_id not in prices:
            prices[item_id] = item_id * rate("EU")
        return prices[item_id]

    @app.get("/stock/{item_id}")
    def in_stock(item_id: int) -> int:
        found = stock.get(item_id)
        if found is None:
            stock[item_id] = found = 1
        return found

    @app.get("/slow/{key}")
    async def slow(key: str) -> str:
        if key not in prices:
            await asyncio.sleep(0.5)
            prices[key] = key
        return prices[key]

    client = redis.asyncio.Redis.from_url(os.environ.get("REDIS_URL", "redis://127.0.0.1:1"))

    @app.get("/carts/{user}")
    async def cart(user: str) -> int:
        async with client.pipeline() as pipe:
            pipe.get(f"cart:{user}")
            pipe.get(f"plan:{user}")
            found = await pipe.execute()
        await client.set(f"cart:{user}", "1")
        return sum(value is not None for value in found)
"""


def total(frames: Iterable[Frame], name: str) -> CacheFrame:
    """Return everything the frames say of one cache, its size from the last that has it."""
    rows = [row for frame in frames for row in frame.caches if row.name == name]
    assert rows, f"no row of {name}"
    return CacheFrame(
        name=name,
        kind=rows[-1].kind,
        hits=sum(row.hits for row in rows),
        misses=sum(row.misses for row in rows),
        evictions=sum(row.evictions or 0 for row in rows),
        stampedes=sum(row.stampedes for row in rows),
        size=rows[-1].size,
        maxsize=rows[-1].maxsize,
    )


async def get_at_once(url: str, times: int) -> None:
    """Send so many requests, all before the first is answered."""
    async with httpx.AsyncClient(trust_env=False, verify=False, timeout=30) as client:
        await asyncio.gather(*(client.get(url) for _ in range(times)))


def wait_for_route(frames: Frames, route: str, requests: int) -> None:
    """Wait until so many requests of a route have been told of, and the frame after that."""

    def told() -> int:
        return sum(
            one.status.total() for frame in list(frames.seen) for one in frame.routes if one.route == route
        )

    wait_until(lambda: told() >= requests, f"{requests} requests of {route}", lambda: str(frames.seen[-3:]))
    seen = len(frames.seen)
    wait_until(lambda: len(frames.seen) > seen, "one more frame")


@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_every_lookup_of_a_real_app_is_in_its_frames(tmp_path: Path, loop: str) -> None:
    """Hits, misses, evictions and sizes of watched caches and functions are those of the requests sent."""
    with (
        running(
            write_app(tmp_path, SHOP), workers=1, loop="uvloop" if loop == "uvloop" else "asyncio"
        ) as service,
        watching(service) as frames,
    ):
        for item in (1, 2, 1, 1):
            service.get(f"/prices/{item}")
        for item in (1, 2, 3, 1):
            service.get(f"/stock/{item}")
        wait_for_route(frames, "GET /stock/{item_id}", 4)

        prices, stock, rates = (total(frames.seen, name) for name in ("prices", "stock", "rates"))
        assert (prices.hits, prices.misses, prices.size, prices.maxsize) == (2, 2, 2, 100)
        assert (stock.hits, stock.misses, stock.evictions, stock.size) == (0, 4, 2, 2)
        assert (rates.hits, rates.misses, rates.size) == (1, 1, 1)
        assert [row.kind for row in (prices, stock, rates)] == [
            "cachetools.TTLCache",
            "cachetools.LRUCache",
            "functools.lru_cache",
        ]
        assert frames.seen[-1].probes["caches"] == "on"
        assert frames.seen[-1].agent.faults == {}


def test_concurrent_misses_of_one_key_are_a_stampede(tmp_path: Path) -> None:
    """Of five requests that load the same thing at once four are stampedes, and the next is a hit."""
    with running(write_app(tmp_path, SHOP), workers=1) as service, watching(service) as frames:
        asyncio.run(get_at_once(f"{service.url}/slow/a", times=5))
        service.get("/slow/a")
        wait_for_route(frames, "GET /slow/{key}", 6)

        prices = total(frames.seen, "prices")
        assert (prices.hits, prices.misses, prices.stampedes) == (1, 5, 4)


def test_redis_commands_are_told_by_name_and_by_route(tmp_path: Path, server: RedisServer) -> None:
    """Commands are rows of their own, found or not, and their round trips are part of the route's story."""
    with (
        running(write_app(tmp_path, SHOP), workers=1, env={"REDIS_URL": server.url}) as service,
        watching(service) as frames,
    ):
        assert [response.json() for response in service.get("/carts/ann", times=2)] == [0, 1]
        wait_for_route(frames, "GET /carts/{user}", 2)

        carts, plans = total(frames.seen, "GET cart:*"), total(frames.seen, "GET plan:*")
        assert (carts.hits, carts.misses, plans.hits, plans.misses) == (1, 1, 0, 2)
        (route,) = [one for frame in frames.seen for one in frame.routes if one.route == "GET /carts/{user}"][
            :1
        ]
        assert route.cache_count in {2, 4}
        assert route.cache_ns > 0
        spans = [span for frame in frames.seen for slow in frame.slowest for span in slow.spans]
        assert {span.name for span in spans if span.kind == "cache"} == {"pipeline GET cart:*", "SET cart:*"}
        assert frames.seen[-1].probes["redis"] == "on"
        assert "ann" not in str([row.name for frame in frames.seen for row in frame.caches])


@pytest.mark.parametrize("kind", ["uvicorn", "gunicorn-preload"])
def test_workers_add_up(tmp_path: Path, kind: Server) -> None:
    """The lookups of all workers, forked ones with caches from before the fork too, are those sent."""
    with running(write_app(tmp_path, SHOP), workers=2, server=kind) as service:
        service.wait_registered()
        with snapshot_of(service) as watched:
            service.get("/prices/1", times=20)
        caches = {cache["name"]: cache for cache in watched.document["caches"]}

        prices = caches["prices"]
        assert prices["hits"] + prices["misses"] == 20
        assert 1 <= prices["misses"] <= 2
        assert prices["hit_ratio"] == prices["hits"] / 20
        assert (prices["kind"], prices["maxsize"]) == ("cachetools.TTLCache", 200)
        assert (caches["stock"]["hits"], caches["stock"]["hit_ratio"]) == (0, None)
