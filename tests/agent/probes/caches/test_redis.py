"""Redis commands, against a real server: each counts once, by name, with what it found."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis
import redis.asyncio as aredis
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry

from perftui_agent.window.stampedes import MAX_KEYS
from tests.agent.probes.caches.conftest import Seen
from tests.agent.probes.caches.counting import new_request, request, working_for
from tests.support.redis import RedisServer, redis_server

Do = Callable[[Any], Any]
"""Takes a client, sync or not, and returns what the last of its calls did."""


def by_sync(server: RedisServer, *steps: Do) -> list[Any]:
    """Carry steps out with a sync client."""
    retry = Retry(NoBackoff(), 2)
    with redis.Redis(unix_socket_path=server.socket, decode_responses=True, retry=retry) as client:
        return [step(client) for step in steps]


def by_asyncio(server: RedisServer, *steps: Do) -> list[Any]:
    """Carry steps out with an asyncio client."""

    async def carry_out() -> list[Any]:
        retry = AsyncRetry(NoBackoff(), 2)
        client = aredis.Redis(host="127.0.0.1", port=server.port, decode_responses=True, retry=retry)
        async with client:
            return [await step(client) for step in steps]

    return asyncio.run(carry_out())


def by_sync_cluster(server: RedisServer, *steps: Do) -> list[Any]:
    """Carry steps out with a sync client of a cluster."""
    client: Any = redis.RedisCluster(host="127.0.0.1", port=server.port, decode_responses=True)
    try:
        return [step(client) for step in steps]
    finally:
        client.close()


def by_asyncio_cluster(server: RedisServer, *steps: Do) -> list[Any]:
    """Carry steps out with an asyncio client of a cluster."""

    async def carry_out() -> list[Any]:
        client: Any = aredis.RedisCluster(host="127.0.0.1", port=server.port, decode_responses=True)
        async with client:
            return [await step(client) for step in steps]

    return asyncio.run(carry_out())


Clients = Callable[..., list[Any]]

BOTH = [by_sync, by_asyncio]
CLUSTERS = [by_sync_cluster, by_asyncio_cluster]


@pytest.mark.parametrize("carry_out", BOTH)
def test_each_command_counts_once_under_its_prefix(
    seen: Seen, server: RedisServer, carry_out: Clients
) -> None:
    """Commands are told apart by their first word and the key up to the colon."""
    carry_out(
        server,
        lambda client: client.set("user:1", "Ann", ex=60),
        lambda client: client.get("user:1"),
        lambda client: client.get("user:2"),
        lambda client: client.get("plan:1"),
        lambda client: client.incr("counter"),
        lambda client: client.ping(),
    )

    rows = seen.rows()
    assert {name: row.latency.count for name, row in rows.items() if row.latency} == {
        "SET user:*": 1,
        "GET user:*": 2,
        "GET plan:*": 1,
        "INCRBY *": 1,
        "PING": 1,
    }
    assert {row.kind for row in rows.values()} == {"redis"}


@pytest.mark.parametrize("carry_out", BOTH)
def test_replies_tell_hits_from_misses(seen: Seen, server: RedisServer, carry_out: Clients) -> None:
    """Reads that find nothing are misses, each key of several by itself; writes are neither."""
    carry_out(
        server,
        lambda client: client.mset({"a:1": "1", "a:2": "2"}),
        lambda client: client.hset("h:1", mapping={"f": "1", "g": "2"}),
        lambda client: client.sadd("s:1", "x"),
        lambda client: client.get("a:1"),
        lambda client: client.get("a:9"),
        lambda client: client.mget("a:1", "a:2", "a:9"),
        lambda client: client.exists("a:1", "a:9"),
        lambda client: client.hget("h:1", "f"),
        lambda client: client.hget("h:1", "nope"),
        lambda client: client.hmget("h:1", ["f", "nope"]),
        lambda client: client.hgetall("h:1"),
        lambda client: client.hgetall("h:9"),
        lambda client: client.hexists("h:1", "nope"),
        lambda client: client.sismember("s:1", "x"),
        lambda client: client.smembers("s:9"),
        lambda client: client.getdel("a:1"),
        lambda client: client.set("a:3", ""),
        lambda client: client.get("a:3"),
    )

    found = {name: (row.hits, row.misses) for name, row in seen.rows().items()}
    assert found == {
        "MSET a:*": (0, 0),
        "HSET h:*": (0, 0),
        "SADD s:*": (0, 0),
        "GET a:*": (2, 1),
        "MGET a:*": (2, 1),
        "EXISTS a:*": (1, 1),
        "HGET h:*": (1, 1),
        "HMGET h:*": (1, 1),
        "HGETALL h:*": (1, 1),
        "HEXISTS h:*": (0, 1),
        "SISMEMBER s:*": (1, 0),
        "SMEMBERS s:*": (0, 1),
        "GETDEL a:*": (1, 0),
        "SET a:*": (0, 0),
    }


@pytest.mark.parametrize("transaction", [True, False])
@pytest.mark.parametrize("carry_out", BOTH)
def test_commands_of_a_pipeline_count_once_each(
    seen: Seen, server: RedisServer, carry_out: Clients, transaction: bool
) -> None:
    """A pipeline's commands are counted with what they found; their times sum up to its one round trip."""
    (replies,) = carry_out(
        server,
        lambda client: (
            client.pipeline(transaction=transaction).set("a:1", "x").get("a:1").get("a:2").execute()
        ),
    )

    rows = seen.rows()
    assert replies == [True, "x", None]
    assert {name: (row.hits, row.misses) for name, row in rows.items()} == {
        "SET a:*": (0, 0),
        "GET a:*": (1, 1),
    }
    (span,) = seen.spans
    total_ns = sum(row.latency.total for row in rows.values() if row.latency is not None)
    assert (span.name, sum(row.latency.count for row in rows.values() if row.latency)) == (
        "pipeline SET a:*",
        3,
    )
    assert 0 <= span.ended_ns - span.started_ns - total_ns < 3


@pytest.mark.parametrize("carry_out", CLUSTERS)
def test_a_cluster_counts_each_command_once(seen: Seen, cluster: RedisServer, carry_out: Clients) -> None:
    """Commands and pipelines of a cluster are counted as those of one server."""
    carry_out(
        cluster,
        lambda client: client.set("a:1", "x"),
        lambda client: client.get("a:1"),
        lambda client: client.mget_nonatomic("a:1", "b:2"),
        lambda client: client.pipeline().get("a:1").get("c:2").execute(),
        lambda client: client.delete("a:1"),
    )

    counted = {
        name: row for name, row in seen.rows().items() if not name.startswith(("CLUSTER", "COMMAND", "INFO"))
    }
    assert {name: (row.hits, row.misses) for name, row in counted.items()} == {
        "SET a:*": (0, 0),
        "GET a:*": (2, 0),
        "MGET a:*": (1, 0),
        "MGET b:*": (0, 1),
        "GET c:*": (0, 1),
        "DEL a:*": (0, 0),
    }


def test_a_watched_transaction_counts_what_it_reads_at_once(seen: Seen, server: RedisServer) -> None:
    """Between WATCH and MULTI commands are sent one by one; a lost race is an answer, no error."""
    with redis.Redis(unix_socket_path=server.socket) as client, client.pipeline() as pipe:
        pipe.watch("stock:1")
        pipe.get("stock:1")
        client.set("stock:1", "0")
        pipe.multi()
        pipe.set("stock:1", "1")
        with pytest.raises(redis.WatchError):
            pipe.execute()

    rows = seen.rows()
    counted = {name: (row.latency.count, row.errors) for name, row in rows.items() if row.latency}
    assert counted == {"WATCH stock:*": (1, 0), "GET stock:*": (1, 0), "SET stock:*": (2, 0)}


def test_an_asyncio_transaction_counts_once(seen: Seen, server: RedisServer) -> None:
    """`transaction()` watches, reads, queues and executes."""

    async def buy() -> None:
        async with aredis.Redis(unix_socket_path=server.socket) as client, client.pipeline() as pipe:
            await pipe.watch("stock:1")
            await pipe.get("stock:1")
            pipe.multi()  # type: ignore[no-untyped-call]
            pipe.set("stock:1", "1")
            await pipe.execute()

    asyncio.run(buy())

    assert seen.commands() == {"WATCH stock:*": 1, "GET stock:*": 1, "SET stock:*": 1}


def test_a_transaction_of_a_cluster_counts_what_it_reads_at_once(seen: Seen, cluster: RedisServer) -> None:
    """In a cluster too, commands between WATCH and MULTI count once each."""

    async def buy() -> None:
        client: Any = aredis.RedisCluster(host="127.0.0.1", port=cluster.port)
        async with client, client.pipeline(transaction=True) as pipe:
            await pipe.watch("plan:1")
            await pipe.get("plan:1")
            pipe.multi()
            pipe.set("plan:1", "1")
            await pipe.execute()

    client: Any = redis.RedisCluster(host="127.0.0.1", port=cluster.port)
    with client.pipeline(transaction=True) as pipe:
        pipe.watch("stock:1")
        pipe.get("stock:1")
        pipe.multi()
        pipe.set("stock:1", "1")
        pipe.execute()
    client.close()
    asyncio.run(buy())

    counted = {name: count for name, count in seen.commands().items() if name.endswith(":*")}
    assert counted == {f"{verb} {key}:*": 1 for verb in ("WATCH", "GET", "SET") for key in ("stock", "plan")}


def test_an_empty_pipeline_is_no_command(seen: Seen, server: RedisServer) -> None:
    """Nothing was sent, nothing is counted."""
    assert by_sync(server, lambda client: client.pipeline().execute()) == [[]]
    assert seen.rows() == {}


@pytest.mark.parametrize("carry_out", BOTH)
def test_an_error_of_the_server_counts_and_is_raised(
    seen: Seen, server: RedisServer, carry_out: Clients
) -> None:
    """The app sees redis-py's exception; the command counts with an error, and found nothing."""
    carry_out(server, lambda client: client.set("a:1", "x"))
    with pytest.raises(redis.ResponseError, match="WRONGTYPE"):
        carry_out(server, lambda client: client.hget("a:1", "f"))

    row = seen.rows()["HGET a:*"]
    assert (row.errors, row.hits, row.misses) == (1, 0, 0)


@pytest.mark.parametrize("raise_on_error", [True, False])
@pytest.mark.parametrize("carry_out", BOTH)
def test_an_error_in_a_pipeline_is_that_of_its_command(
    seen: Seen, server: RedisServer, carry_out: Clients, raise_on_error: bool
) -> None:
    """Whether it is raised or returned, one command failed and the others did not."""
    run: Do = lambda client: (  # noqa: E731 - a step
        client.pipeline().set("a:1", "x").hget("a:1", "f").get("b:1").execute(raise_on_error=raise_on_error)
    )
    if raise_on_error:
        with pytest.raises(redis.ResponseError, match="Command # 2"):
            carry_out(server, run)
    else:
        carry_out(server, run)

    assert {name: row.errors for name, row in seen.rows().items()} == {
        "SET a:*": 0,
        "HGET a:*": 1,
        "GET b:*": 0,
    }


@pytest.mark.parametrize("carry_out", BOTH)
def test_a_server_that_is_gone_makes_errors(seen: Seen, carry_out: Clients) -> None:
    """A command that can't be sent counts once, as an error, however often it was tried; pipelines too."""
    with redis_server() as gone:
        pass
    for step in (
        lambda client: client.get("a:1"),
        lambda client: client.pipeline().get("b:1").get("b:2").execute(),
    ):
        with pytest.raises(redis.ConnectionError):
            carry_out(gone, step)

    counted = {name: (row.latency.count, row.errors) for name, row in seen.rows().items() if row.latency}
    assert counted == {"GET a:*": (1, 1), "GET b:*": (2, 2)}


def test_a_cancelled_command_is_no_error(seen: Seen, server: RedisServer) -> None:
    """A request that was given up has waited; Redis did nothing wrong."""

    async def give_up() -> None:
        async with aredis.Redis(unix_socket_path=server.socket) as client:
            await client.ping()
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.blpop(["queue:1"], 30), 0.05)

    asyncio.run(give_up())

    row = seen.rows()["BLPOP queue:*"]
    assert row.latency is not None
    assert (row.latency.count, row.errors) == (1, 0)


def test_pub_sub_works_and_is_no_command(seen: Seen, server: RedisServer) -> None:
    """Messages arrive; listening is not counted, publishing is, without its channel."""
    with redis.Redis(unix_socket_path=server.socket) as client, client.pubsub() as listener:
        listener.subscribe("news:secret")
        assert listener.get_message(timeout=5) is not None
        client.publish("news:secret", "hello")
        message = listener.get_message(timeout=5)

    assert message is not None
    assert message["data"] == b"hello"
    assert seen.commands() == {"PUBLISH": 1}


def test_scripts_and_locks_work_and_are_counted(seen: Seen, server: RedisServer) -> None:
    """A registered script is named by its first key; without keys nothing of its values is told."""
    with redis.Redis(unix_socket_path=server.socket) as client:
        assert client.register_script("return redis.call('GET', KEYS[1])")(keys=["a:1"]) is None
        assert client.eval("return ARGV[1]", 0, "secret:token") == b"secret:token"
        with client.lock("lock:1", timeout=5):
            pass

    commands = seen.commands()
    assert {"EVALSHA a:*", "EVAL *", "SET lock:*"} <= set(commands)
    assert not [name for name in commands if "secret" in name or "token" in name]


@pytest.mark.parametrize("carry_out", BOTH)
def test_a_command_belongs_to_its_request(seen: Seen, server: RedisServer, carry_out: Clients) -> None:
    """What is sent while a request is served is a span of that request; other commands are nobody's."""
    record = new_request()
    with working_for(record):
        carry_out(server, lambda client: client.get("a:1"))
    carry_out(server, lambda client: client.get("a:1"))
    seen.rows()

    assert {(span.kind, span.name) for span in seen.spans} == {("cache", "GET a:*")}
    assert (len(seen.spans), record.parts) == (2, seen.spans[:1])


def test_clients_made_before_are_covered(attached: Callable[[], Seen], server: RedisServer) -> None:
    """The classes are wrapped: it doesn't matter when a client was made."""
    with redis.Redis(unix_socket_path=server.socket) as client:
        client.get("before:1")
        seen = attached()
        client.get("after:1")

    assert seen.commands() == {"GET after:*": 1}


def test_many_threads_count_every_command(seen: Seen, server: RedisServer) -> None:
    """Sync clients are shared by threads."""
    with redis.Redis(unix_socket_path=server.socket) as client:
        threads = [
            threading.Thread(target=lambda: [client.get(f"a:{number}") for number in range(100)])
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert seen.commands() == {"GET a:*": 800}


def test_a_closed_window_costs_nothing_and_counts_nothing(seen: Seen, server: RedisServer) -> None:
    """Without an agent's thread commands pass through and are not missed either."""
    seen.window.open = False
    assert by_sync(server, lambda client: client.get("a:1")) == [None]
    assert by_asyncio(server, lambda client: client.pipeline().get("a:1").execute()) == [[None]]

    assert (seen.rows(), seen.window.records_dropped) == ({}, 0)


def getting(key: str) -> Do:
    return lambda client: client.get(key)


def setting(key: str) -> Do:
    return lambda client: client.set(key, "9")


@pytest.mark.parametrize("carry_out", BOTH)
def test_a_key_that_several_requests_make_at_once_is_a_stampede(
    seen: Seen, server: RedisServer, carry_out: Clients
) -> None:
    """Every miss but the first, while that one is at work, once the key is stored."""
    first, second, third = new_request(), new_request(), new_request()
    for each in (first, second, third):
        with working_for(each):
            carry_out(server, getting("price:1"))
    with working_for(first):
        carry_out(server, setting("price:1"))
    assert seen.rows()["GET price:*"].stampedes == 2


Made = tuple[int, int]
"""Misses of keys that were stored afterwards, and stampedes."""


def made(seen: Seen, name: str) -> Made:
    row = seen.rows()[name]
    return row.filled or 0, row.stampedes


@pytest.mark.parametrize(
    ("name", "ask", "make", "expected"),
    [
        ("GET user:*", getting("user:1"), setting("user:1"), (2, 1)),
        (
            "GETEX user:*",
            lambda c: c.getex("user:1", ex=9),
            lambda c: c.execute_command("SETEX", "user:1", 9, "x"),
            (2, 1),
        ),
        ("GET user:*", lambda c: c.get(b"user:1"), setting("user:1"), (2, 1)),
        ("HGET user:*", lambda c: c.hget("user:1", "name"), lambda c: c.hset("user:1", "name", "x"), (2, 1)),
        (
            "HMGET user:*",
            lambda c: c.hmget("user:1", ["a", "b"]),
            lambda c: c.hset("user:1", mapping={"a": "1", "b": "2"}),
            (4, 2),
        ),
        ("HGETALL user:*", lambda c: c.hgetall("user:1"), lambda c: c.hset("user:1", "a", "1"), (2, 1)),
        (
            "MGET user:*",
            lambda c: c.mget("user:1", "user:2"),
            lambda c: c.mset({"user:1": "a", "user:2": "b"}),
            (4, 2),
        ),
        ("MGET user:*", lambda c: c.mget("user:1", "user:2"), setting("user:2"), (2, 1)),
        (
            "MGET user:*",
            lambda c: c.mget("user:1", "user:2"),
            lambda c: c.pipeline().set("user:1", "a", ex=9).set("user:2", "b", ex=9).execute(),
            (4, 2),
        ),
        (
            "GET user:*",
            lambda c: c.pipeline().get("user:1").get("user:2").execute(),
            lambda c: c.pipeline(transaction=True).set("user:1", "a").set("user:2", "b").execute(),
            (4, 2),
        ),
    ],
    ids=["get", "getex", "bytes", "hget", "hmget", "hgetall", "mget", "in part", "mget set ex", "pipeline"],
)
@pytest.mark.parametrize("carry_out", BOTH)
def test_a_cache_is_what_is_missed_and_then_made(
    seen: Seen, server: RedisServer, carry_out: Clients, name: str, ask: Do, make: Do, expected: Made
) -> None:
    """Two requests ask, one of them stores: each key's misses are a cache's, the second a stampede."""
    first, second = new_request(), new_request()
    for each in (first, second):
        with working_for(each):
            carry_out(server, ask)
    with working_for(first):
        carry_out(server, make)
    assert made(seen, name) == expected


BLPOP: Do = lambda c: c.blpop(["jobs:mail"], timeout=0.01)  # noqa: E731 - as the others


@pytest.mark.parametrize(
    ("name", "steps"),
    [
        ("SISMEMBER ban:*", [lambda c: c.sismember("ban:ips", "10.0.0.1"), lambda c: c.sadd("ban:ips", "x")]),
        ("EXISTS idem:*", [lambda c: c.exists("idem:1"), setting("idem:1")]),
        ("GET lock:*", [getting("lock:1"), lambda c: c.set("lock:1", "me", nx=True, ex=9)]),
        ("GET lock:*", [getting("lock:1"), lambda c: c.setnx("lock:1", "me")]),
        ("GETDEL token:*", [lambda c: c.getdel("token:1"), setting("token:1")]),
        ("HEXISTS user:*", [lambda c: c.hexists("user:1", "a"), lambda c: c.hset("user:1", "a", "1")]),
        ("GET rate:*", [getting("rate:1"), lambda c: c.incr("rate:1")]),
        ("GET session:*", [getting("session:old"), setting("session:new")]),
        ("GET flag:*", [getting("flag:dark")]),
        ("BLPOP jobs:*", [BLPOP, lambda c: c.rpush("jobs:mail", "x")]),
        ("ZSCORE board:*", [lambda c: c.zscore("board:1", "ann"), lambda c: c.zadd("board:1", {"ann": 1})]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_asked_and_not_there_is_no_cache_for_that(
    seen: Seen, server: RedisServer, name: str, steps: list[Do]
) -> None:
    """Membership, locks, queues, counters, flags, sessions of somebody else, what is read once."""
    for _ in range(2):
        with working_for(new_request()):
            by_sync(server, *steps[:1])
    with request():
        by_sync(server, *steps)
    assert made(seen, name) == (0, 0)


def test_what_is_made_after_the_response_is_made_as_well(seen: Seen, server: RedisServer) -> None:
    """A background task that fills the cache belongs to the request that missed it."""
    record = new_request()
    with working_for(record):
        by_sync(server, getting("user:1"))
    record.ended_ns = 1
    seen.rows()
    with working_for(record):
        by_sync(server, getting("user:1"), setting("user:1"))
    assert made(seen, "GET user:*") == (2, 0)


def test_who_comes_when_the_work_is_done_or_given_up_is_no_stampede(seen: Seen, server: RedisServer) -> None:
    """Nor is a key that nobody ever stores, one that a request asks for twice, or one outside requests."""
    for number in range(3):
        with request():
            by_sync(server, getting("price:1"))
        with working_for(new_request()):
            by_sync(server, getting(f"flag:{number}"), getting(f"flag:{number}"), getting("ban:1"))
        by_sync(server, getting("job:1"))
    with request():
        by_sync(server, setting("price:1"), setting("flag:1"), setting("job:1"))
    assert {name: row.stampedes for name, row in seen.rows().items() if row.stampedes} == {}


def test_keys_are_forgotten_with_the_requests_that_missed_them(seen: Seen, server: RedisServer) -> None:
    """What is remembered ends with them, and is bounded however many keys they miss."""
    with request():
        by_sync(server, *(getting(f"k:{number}") for number in range(MAX_KEYS + 10)))
        seen.rows()
        assert len(seen.window._caches._missed._keys) == MAX_KEYS
    seen.rows()
    assert not seen.window._caches._missed._keys
