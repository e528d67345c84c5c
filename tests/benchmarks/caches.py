"""CPU that watching adds to a cache lookup and to a Redis command, in paired rounds of one process.

In-process caches: a watched one beside its twin, within a request as in real life; polled functions are
the very objects they were, which is shown by measuring them too. Redis: a real server on a Unix socket,
commands within a request, ours with what the agent's thread does later, beside OpenTelemetry's.
"""

from __future__ import annotations

import asyncio
import functools
import gc
import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import cachetools

from perftui_agent import watch_cache
from perftui_agent.guard import Guard
from perftui_agent.probes.caches.redis import RedisProbe
from perftui_agent.records import current_request
from perftui_agent.window.window import Window
from perftui_agent.wire.codec import encode
from tests.support.redis import redis_server
from tests.support.requests import begin, end

ROUNDS = 150
KEYS = 500
REDIS_ROUNDS = 60
COMMANDS_A_ROUND = 200
BUDGET_US = 1.0

Round = Callable[[Any], None]
"""Looks every key up once in a cache that has them all."""


def index(cache: Any) -> None:
    """`cache[key]`."""
    for key in range(KEYS):
        cache[key]


def get(cache: Any) -> None:
    """`cache.get(key)`."""
    for key in range(KEYS):
        cache.get(key)


def get_missing(cache: Any) -> None:
    """`cache.get(key)` of what is not there."""
    for key in range(-KEYS, 0):
        cache.get(key)


def ask_and_index(cache: Any) -> None:
    """`if key in cache: cache[key]`: two operations, one lookup."""
    for key in range(KEYS):
        if key in cache:
            cache[key]


def store(cache: Any) -> None:
    """`cache[key] = value` of what is there."""
    for key in range(KEYS):
        cache[key] = key


def store_and_evict(cache: Any) -> None:
    """`cache[key] = value` of something new, which evicts."""
    for _ in range(KEYS):
        cache[next(_new_keys)] = 1


def call(function: Any) -> None:
    """Call a function that caches."""
    for key in range(KEYS):
        function(key)


_new_keys = iter(range(10**9, 10**18))

ROUNDS_OF: dict[str, tuple[Round, int]] = {
    "[] hit": (index, 1),
    "get hit": (get, 1),
    "get miss": (get_missing, 1),
    "in, then []": (ask_and_index, 2),
    "[]= present": (store, 1),
}

KINDS: dict[str, Callable[[], Any]] = {
    "LRUCache": lambda: cachetools.LRUCache(KEYS),
    "TTLCache": lambda: cachetools.TTLCache(KEYS, 600),
    "LFUCache": lambda: cachetools.LFUCache(KEYS),
}


@contextmanager
def within_a_request(window: Window | None = None) -> Iterator[None]:
    """Be within a request, as the HTTP probe makes it."""
    record = begin(window)
    token = current_request.set(record)
    yield
    current_request.reset(token)
    end(record)


def added_ns(plain: Any, watched: Any, work: Round, operations: int) -> tuple[float, float]:
    """Return the CPU nanoseconds an operation costs, and those that watching adds."""
    base, added = [], []
    for round_number in range(ROUNDS + 5):
        took = {}
        for cache in random.sample([plain, watched], 2):
            with within_a_request():
                started = time.thread_time_ns()
                work(cache)
                took[id(cache)] = (time.thread_time_ns() - started) / KEYS / operations
        if round_number >= 5:
            base.append(took[id(plain)])
            added.append(took[id(watched)] - took[id(plain)])
    return statistics.median(base), statistics.median(added)


def in_process() -> None:
    """Print what an operation on a watched cache costs more."""
    print(f"one operation, CPU                bare   added   budget ≤ {BUDGET_US * 1000:.0f} ns")
    for kind, make in KINDS.items():
        plain, watched = make(), watch_cache(make(), name=f"bench {kind}")
        for key in range(KEYS):
            plain[key] = watched[key] = key
        for what, (work, operations) in ROUNDS_OF.items():
            base, added = added_ns(plain, watched, work, operations)
            print(f"  {kind:10} {what:18} {base:6.0f} {added:7.0f} ns")
        base, added = added_ns(plain, watched, store_and_evict, 1)
        print(f"  {kind:10} {'[]= and evict':18} {base:6.0f} {added:7.0f} ns")
    plain_function = functools.lru_cache(KEYS)(abs)
    polled = watch_cache(functools.lru_cache(KEYS)(abs), name="bench polled")
    base, added = added_ns(plain_function, polled, call, 1)
    print(f"  {'lru_cache':10} {'call, polled':18} {base:6.0f} {added:7.0f} ns")


class Variant:
    """One way to watch Redis; it sees nothing outside of `at_work`."""

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Watch for the length of a round."""
        with within_a_request():
            yield

    def finish(self) -> None:
        """Do what is left to do after a round; it is measured."""


class Ours(Variant):
    """The agent, its thread's work included: done here, in the round that caused it."""

    def __init__(self) -> None:
        self.window = Window()
        self.probe = RedisProbe(self.window, Guard())

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Attach and detach: that is done once in the life of a process."""
        self.window.open = True
        self.probe.attach()
        with within_a_request(self.window):
            yield
        self.probe.detach()

    def finish(self) -> None:
        """Fold what was put, and encode the frame."""
        self.window.fold_pending()
        encode(self.window.close(seq=1, ended_at_ns=time.time_ns(), span_ns=1_000_000_000))


class OpenTelemetry(Variant):
    """opentelemetry-instrumentation-redis with the SDK, spans dropped when they end."""

    def __init__(self) -> None:
        from opentelemetry.instrumentation.redis import RedisInstrumentor
        from opentelemetry.sdk.trace import TracerProvider

        self.provider = TracerProvider()
        self.tracer = self.provider.get_tracer("bench")
        self.instrumentor = RedisInstrumentor()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """Instrument the classes for the length of a round."""
        self.instrumentor.instrument(tracer_provider=self.provider, skip_dep_check=True)
        with self.tracer.start_as_current_span("GET /"):
            yield
        self.instrumentor.uninstrument()


VARIANTS: dict[str, Callable[[], Variant]] = {
    "bare": Variant,
    "perftui-agent": Ours,
    "opentelemetry-instrumentation": OpenTelemetry,
}


def sync_round(client: Any) -> None:
    """Send reads that find something, one after the other."""
    for number in range(COMMANDS_A_ROUND):
        client.get(f"user:{number % 10}")


def async_round(client: Any, runner: asyncio.Runner) -> None:
    """Send the same by asyncio."""

    async def send() -> None:
        for number in range(COMMANDS_A_ROUND):
            await client.get(f"user:{number % 10}")

    runner.run(send())


def pipeline_round(client: Any) -> None:
    """Send them in pipelines of ten."""
    for _ in range(COMMANDS_A_ROUND // 10):
        pipe = client.pipeline(transaction=False)
        for number in range(10):
            pipe.get(f"user:{number}")
        pipe.execute()


def compare(what: str, work: Callable[[], None]) -> None:
    """Print what each variant adds to a command."""
    variants = {name: make() for name, make in VARIANTS.items()}
    costs: dict[str, list[float]] = {name: [] for name in variants}
    for round_number in range(REDIS_ROUNDS + 3):
        for name in random.sample(list(variants), len(variants)):
            gc.collect()
            with variants[name].at_work():
                started = time.process_time_ns()
                work()
                variants[name].finish()
                worked = time.process_time_ns() - started
            if round_number >= 3:
                costs[name].append(worked / 1000 / COMMANDS_A_ROUND)
    added = {
        name: statistics.median(cost - base for cost, base in zip(costs[name], costs["bare"], strict=True))
        for name in costs
    }
    mine = added["perftui-agent"]
    print(f"{what}, bare {statistics.median(costs['bare']):.1f} µs of CPU a command; added to it:")
    for name in costs:
        if name != "bare":
            ratio = "" if name == "perftui-agent" else f"{added[name] / mine:5.1f} × ours"
            print(f"  {name:32} {added[name]:6.2f} µs   {ratio}")


def in_redis() -> None:
    """Print what a Redis command costs more."""
    import redis
    import redis.asyncio

    with redis_server() as server:
        with redis.Redis(unix_socket_path=server.socket) as client:
            client.mset({f"user:{number}": "x" for number in range(10)})
            compare("Redis, sync", lambda: sync_round(client))
            compare("Redis, sync, pipelines of 10", lambda: pipeline_round(client))
        with asyncio.Runner() as runner:
            async_client = redis.asyncio.Redis(unix_socket_path=server.socket)
            compare("Redis, asyncio", lambda: async_round(async_client, runner))
            runner.run(async_client.aclose())


def main() -> None:
    """Print the tables."""
    in_process()
    in_redis()


if __name__ == "__main__":
    main()
