"""How the probe comes and goes: only where redis is, and leaving nothing behind."""

from __future__ import annotations

import asyncio
import inspect
import subprocess
import sys
from collections.abc import Callable
from types import FunctionType, ModuleType, SimpleNamespace
from typing import Any

import fakeredis
import pytest
import redis
import redis.asyncio as aredis

from perftui_agent.guard import Guard
from perftui_agent.probes.caches.redis import HOOKS, RedisProbe
from perftui_agent.probes.probe import NOT_IMPORTED
from perftui_agent.window.window import Window
from tests.agent.probes.caches.conftest import Seen
from tests.support.redis import RedisServer


def methods() -> dict[str, Any]:
    """Return everything that may be wrapped, as it is now."""
    found = {}
    for hook in HOOKS:
        cls = getattr(sys.modules[hook.module], hook.cls, None)
        found[f"{hook.module}.{hook.cls}.{hook.method}"] = vars(cls).get(hook.method) if cls else None
    return found


def test_without_redis_there_is_nothing_to_do() -> None:
    """The probe imports nothing, says so, and is asked again."""
    code = """
import sys
from perftui_agent.guard import Guard
from perftui_agent.probes.caches.redis import RedisProbe
from perftui_agent.window.window import Window
probe = RedisProbe(Window(), Guard())
assert probe.attach() == "off: not imported", probe.attach()
assert "redis" not in sys.modules
import redis
assert probe.attach() == "on"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_an_import_under_way_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """While another thread imports redis, half of it is there."""
    half = ModuleType("redis")
    half.__spec__ = SimpleNamespace(_initializing=True)  # type: ignore[assignment]
    monkeypatch.setitem(sys.modules, "redis", half)

    assert RedisProbe(Window(), Guard()).attach() == NOT_IMPORTED


@pytest.mark.parametrize(
    ("version", "status"), [("4.6.0", "off: redis 4.6.0 is older than 5"), ("?", "off: redis ? is")]
)
def test_an_old_redis_is_left_alone(monkeypatch: pytest.MonkeyPatch, version: str, status: str) -> None:
    """What is older than 5, or won't say, is off with the reason, and untouched."""
    monkeypatch.setattr(redis, "__version__", version)
    before = methods()

    assert RedisProbe(Window(), Guard()).attach().startswith(status)
    assert methods() == before


def test_an_unknown_redis_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """If one method is missing none is wrapped, and the status says which."""
    monkeypatch.delattr("redis.cluster.ClusterPipeline.execute")
    monkeypatch.delattr("redis.cluster.RedisCluster.execute", raising=False)
    before = methods()

    assert (
        RedisProbe(Window(), Guard()).attach()
        == f"off: redis {redis.__version__} has no ClusterPipeline.execute"
    )
    assert methods() == before


def test_the_methods_look_as_before(seen: Seen) -> None:
    """Names, docs and signatures are those of redis-py, coroutine functions still are."""
    assert inspect.iscoroutinefunction(aredis.Redis.execute_command)
    assert not inspect.iscoroutinefunction(redis.Redis.execute_command)
    assert redis.Redis.execute_command.__qualname__ == "Redis.execute_command"
    assert list(inspect.signature(redis.client.Pipeline.execute).parameters) == ["self", "raise_on_error"]


def test_detaching_puts_everything_back(attached: Callable[[], Seen]) -> None:
    """After 20 lives of the agent the classes are as redis-py made them."""
    before = methods()
    for _ in range(20):
        seen = attached()
        assert methods() != before
        assert seen.probe.attach() == "on"
        seen.probe.detach()
        assert methods() == before


def test_a_wrapper_that_came_later_survives(attached: Callable[[], Seen], server: RedisServer) -> None:
    """What others put on top of ours stays; ours underneath falls silent, and the next counts once."""
    cls: Any = redis.Redis
    original = cls.execute_command
    first = attached()
    ours = cls.execute_command
    calls = []

    def theirs(self: Any, *args: Any, **options: Any) -> Any:
        calls.append(args[0])
        return ours(self, *args, **options)

    try:
        cls.execute_command = theirs
        first.probe.detach()
        assert cls.execute_command is theirs
        second = attached()
        with redis.Redis(unix_socket_path=server.socket) as client:
            client.get("a:1")
        assert (calls, first.commands(), second.commands()) == (["GET"], {}, {"GET a:*": 1})
        second.probe.detach()
    finally:
        cls.execute_command = original


class Bound:
    """A wrapper as wrapt makes them: says it is a function, and has to be bound like one."""

    __class__ = property(lambda _: FunctionType)

    def __init__(self, wrapped: Any, calls: list[Any]) -> None:
        self.__wrapped__ = wrapped
        self.calls = calls

    def __get__(self, instance: Any, owner: Any) -> Any:
        def call(*args: Any, **options: Any) -> Any:
            self.calls.append(args)
            return self.__wrapped__(instance, *args, **options)

        return call

    def __call__(self, *args: Any) -> Any:
        raise AssertionError("called without being bound")


def test_a_wrapper_that_came_earlier_is_bound(
    attached: Callable[[], Seen], server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Other instruments' wrappers underneath ours see what they would see without it."""
    calls: list[Any] = []
    for cls, method in (
        (redis.Redis, "execute_command"),
        (aredis.Redis, "execute_command"),
        (redis.client.Pipeline, "execute"),
    ):
        monkeypatch.setattr(cls, method, Bound(vars(cls)[method], calls))
    seen = attached()

    async def ask() -> None:
        async with aredis.Redis(unix_socket_path=server.socket) as client:
            await client.get("b:1")

    with redis.Redis(unix_socket_path=server.socket) as client:
        client.get("a:1")
        client.pipeline().get("a:2").execute()
    asyncio.run(ask())

    assert calls == [("GET", "a:1"), (), ("GET", "b:1")]
    assert seen.commands() == {"GET a:*": 2, "GET b:*": 1}
    seen.probe.detach()


def test_fakeredis_works_and_is_counted(seen: Seen) -> None:
    """A stand-in for the server changes nothing for the clients, sync or asyncio."""

    async def ask() -> Any:
        client: Any = fakeredis.FakeAsyncRedis()
        async with client:
            await client.set("b:1", "x")
            return await client.pipeline().get("b:1").execute()

    with fakeredis.FakeRedis() as client:
        client.set("a:1", "x")
        assert client.get("a:1") == b"x"
    assert asyncio.run(ask()) == [b"x"]
    assert seen.commands() == {"SET a:*": 1, "GET a:*": 1, "SET b:*": 1, "GET b:*": 1}


def test_a_fault_of_ours_costs_a_count_and_no_reply(seen: Seen, server: RedisServer) -> None:
    """If the sink fails, the app has its reply all the same."""

    def fail(_: object) -> None:
        raise RuntimeError("no room")

    seen.window.put = fail  # type: ignore[method-assign, assignment]
    with redis.Redis(unix_socket_path=server.socket) as client:
        assert client.get("a:1") is None
        assert client.pipeline().get("a:1").execute() == [None]

    assert seen.guard.faults == {"probes.redis": 2}


def test_replies_of_another_shape_are_no_lookups(seen: Seen, server: RedisServer) -> None:
    """An app may read replies in a way of its own; the command still counts."""
    with redis.Redis(unix_socket_path=server.socket) as client:
        client.set_response_callback("MGET", len)
        assert client.mget("a:1", "a:2") == 2

    row = seen.rows()["MGET a:*"]
    assert row.latency is not None
    assert (row.latency.count, row.hits, row.misses) == (1, 0, 0)
