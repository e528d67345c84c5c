"""Customers for the shop: `python -m demo_app.traffic http://127.0.0.1:8000 --rps 40 --for 10m`.

Requests arrive by the clock, whether or not earlier ones were answered, as those of real customers do;
a slow shop has more of them waiting. What would go beyond `MAX_IN_FLIGHT` is turned away and counted.
It addresses this host alone, ends when its time is up, and earlier if the shop stays away.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import ipaddress
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from demo_app.faults.switches import SWITCHES
from demo_app.visits import Visit, pick

if TYPE_CHECKING:
    from demo_app.faults.fault import Crowd, Fault, Often

Parsed = TypeVar("Parsed")

MAX_IN_FLIGHT = 100
MAX_RPS = 500.0
TIMEOUT_S = 15.0
GIVE_UP_AFTER_S = 20.0
"""How long no request may reach the shop before the customers go home."""

WATCHERS = 3
"""WebSockets held open."""
DOWNLOADS = 2
"""Slow downloads of the export held open."""

WARM_UP_S = 60.0
"""How long customers take to come, at most; never more than a tenth of the run."""
CYCLE = ((0.0, 1.0), (150.0, 1.0), (180.0, 1.6), (210.0, 1.6), (240.0, 1.0))
"""Steady, then a rush, again and again: seconds into the cycle, and the factor of the rate there."""


class ShopGoneError(Exception):
    """The shop has not answered for too long."""


def rate_at(elapsed_s: float, duration_s: float, rps: float) -> float:
    """Return the rate of arrivals, in requests per second, at a moment of a run."""
    warm_up_s = min(WARM_UP_S, duration_s / 10)
    if elapsed_s < warm_up_s:
        return rps * (0.2 + 0.8 * elapsed_s / warm_up_s)
    at_s = (elapsed_s - warm_up_s) % CYCLE[-1][0]
    for (from_s, from_factor), (to_s, to_factor) in pairwise(CYCLE):
        if at_s < to_s:
            return rps * (from_factor + (to_factor - from_factor) * (at_s - from_s) / (to_s - from_s))
    raise AssertionError("the cycle covers every moment")


def parse_duration(text: str) -> float:
    """Return the seconds that `90s`, `10m`, `1.5h` or a bare number of seconds stand for."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smh]?)", text.strip())
    if not match or float(match[1]) == 0:
        raise ValueError(f"{text!r} is no duration: write 90s, 10m or 1h")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def check_local(url: str) -> str:
    """Return `url` without a trailing slash if it leads to this host; raise ValueError if it doesn't."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            host = "localhost"
    if parts.scheme != "http" or host != "localhost":
        raise ValueError(f"{url!r} is not on this host: only http://127.0.0.1:PORT and localhost are")
    return url.rstrip("/")


@dataclass(slots=True)
class Traffic:
    """One run of customers, and what became of their requests."""

    url: str
    rps: float
    duration_s: float
    rng: random.Random
    chosen: bool = False
    """Whether the faults are chosen ones; for those it has of itself the usual customers are enough."""
    results: Counter[str] = field(default_factory=Counter)
    last_answer_s: float = field(default_factory=time.monotonic)

    async def run(self) -> None:
        """Send requests until the time is up or the shop has gone."""
        limits = httpx.Limits(max_connections=3 * MAX_IN_FLIGHT, max_keepalive_connections=20)
        async with httpx.AsyncClient(
            base_url=self.url, limits=limits, timeout=TIMEOUT_S, trust_env=False
        ) as client:
            holders: list[Coroutine[None, None, None]] = [
                *(self._download(client) for _ in range(DOWNLOADS)),
                *(self._watch_prices() for _ in range(WATCHERS)),
                self._follow_faults(client),
            ]
            held = [asyncio.create_task(holder) for holder in holders]
            try:
                await self._arrivals(client)
            finally:
                for task in held:
                    task.cancel()
                await asyncio.gather(*held, return_exceptions=True)

    async def _arrivals(self, client: httpx.AsyncClient) -> None:
        started_s = next_s = time.monotonic()
        in_flight: set[asyncio.Task[None]] = set()
        while (elapsed_s := next_s - started_s) < self.duration_s:
            await asyncio.sleep(max(0.0, next_s - time.monotonic()))
            if time.monotonic() - self.last_answer_s > GIVE_UP_AFTER_S:
                raise ShopGoneError(f"{self.url} has not answered for {GIVE_UP_AFTER_S:g} s")
            if len(in_flight) < MAX_IN_FLIGHT:
                task = asyncio.create_task(self._visit(client, pick(self.rng)))
                in_flight.add(task)
                task.add_done_callback(in_flight.discard)
            else:
                self.results["turned away"] += 1
            # Whoever has chosen faults wants to see them, and no morning before them.
            at_s = elapsed_s + (WARM_UP_S if self.chosen else 0.0)
            next_s += self.rng.expovariate(rate_at(at_s, self.duration_s, self.rps))
        await asyncio.gather(*in_flight)

    async def _follow_faults(self, client: httpx.AsyncClient) -> None:
        """Send to each fault that is on those who run into it, however many others there are."""
        there: dict[str, list[asyncio.Task[None]]] = {}
        try:
            while True:
                for kind in set(there) - set(SWITCHES.modes):
                    for task in there.pop(kind):
                        task.cancel()
                # What serves the shop is imported only where somebody has switched something.
                for kind in set(SWITCHES.modes) - set(there) if self.chosen else ():
                    registry = importlib.import_module("demo_app.faults.registry")
                    there[kind] = self._drawn_by(registry.FAULTS[kind], client)
                await SWITCHES.changed()
                self.chosen = True
        finally:
            for task in (task for tasks in there.values() for task in tasks):
                task.cancel()

    def _drawn_by(self, fault: Fault, client: httpx.AsyncClient) -> list[asyncio.Task[None]]:
        coming = [self._come(often, client) for often in fault.visits]
        if fault.crowd is not None:
            coming.append(self._crowd(fault.crowd))
        return [asyncio.create_task(each) for each in coming]

    async def _come(self, often: Often, client: httpx.AsyncClient) -> None:
        """Arrive by the clock, as all others do."""
        in_flight: set[asyncio.Task[None]] = set()
        next_s = time.monotonic()
        while True:
            await asyncio.sleep(max(0.0, next_s - time.monotonic()))
            if len(in_flight) < MAX_IN_FLIGHT:
                task = asyncio.create_task(self._visit(client, often.make(self.rng)))
                in_flight.add(task)
                task.add_done_callback(in_flight.discard)
            next_s = max(next_s + self.rng.expovariate(often.per_s), time.monotonic() - 1.0)

    async def _crowd(self, crowd: Crowd) -> None:
        """Have customers come again who were turned away."""
        while True:
            with contextlib.suppress(OSError, httpx.HTTPError, WebSocketException):
                await crowd(self.url, self.rng)
            await asyncio.sleep(0.5)

    async def _visit(self, client: httpx.AsyncClient, visit: Visit) -> None:
        try:
            response = await client.request(visit.method, visit.path, json=visit.json)
        except httpx.HTTPError as error:
            self._failed(error)
        else:
            self.last_answer_s = time.monotonic()
            self.results[f"{response.status_code // 100}xx"] += 1

    async def _download(self, client: httpx.AsyncClient) -> None:
        """Read the export slowly, again and again."""
        while True:
            await asyncio.sleep(self.rng.uniform(2, 20))
            with contextlib.suppress(httpx.HTTPError):
                async with client.stream("GET", "/export") as response:
                    async for _ in response.aiter_bytes(64 * 1024):
                        await asyncio.sleep(self.rng.uniform(0.2, 0.8))

    async def _watch_prices(self) -> None:
        """Hold a WebSocket for a minute or so, again and again."""
        while True:
            await asyncio.sleep(self.rng.uniform(0.1, 3))
            with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                url = f"ws{self.url.removeprefix('http')}/ws/prices"
                async with connect(url, proxy=None) as websocket, asyncio.timeout(self.rng.uniform(30, 90)):
                    async for _ in websocket:
                        self.last_answer_s = time.monotonic()

    def _failed(self, error: httpx.HTTPError) -> None:
        """Count a request without an answer; a shop that takes its time is still there."""
        if isinstance(error, httpx.ReadTimeout):
            self.last_answer_s = time.monotonic()
        self.results[type(error).__name__] += 1


def main(arguments: list[str] | None = None) -> int:
    """Run the customers; return 0 when their time is up, 1 if the shop went away."""
    parser = argparse.ArgumentParser(prog="python -m demo_app.traffic", description="Customers for the shop.")
    parser.add_argument("url", type=_argument(check_local), help="http://127.0.0.1:PORT")
    parser.add_argument("--rps", type=_argument(_rate), default=40.0, help="requests per second, steady (40)")
    parser.add_argument(
        "--for", type=_argument(parse_duration), default=1800.0, dest="duration_s", help="30m"
    )
    parser.add_argument("--seed", type=int, default=None, help="the same customers again")
    parser.add_argument(
        "--chosen", action="store_true", help="send those who run into the faults that are on"
    )
    options = parser.parse_args(arguments)
    traffic = Traffic(
        options.url, options.rps, options.duration_s, random.Random(options.seed), chosen=options.chosen
    )
    try:
        asyncio.run(traffic.run())
    except ShopGoneError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        counts = (f"{name} {count}" for name, count in sorted(traffic.results.items()))
        sys.stdout.write(", ".join(counts) + "\n")
    return 0


def _rate(text: str) -> float:
    rps = float(text)
    if not 0 < rps <= MAX_RPS:
        raise ValueError(f"{text} requests per second: choose from above 0 to {MAX_RPS:g}")
    return rps


def _argument(parse: Callable[[str], Parsed]) -> Callable[[str], Parsed]:
    """Have argparse report the words of a ValueError, instead of only its place."""

    def parse_argument(text: str) -> Parsed:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse_argument


if __name__ == "__main__":
    sys.exit(main())
