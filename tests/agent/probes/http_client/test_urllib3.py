"""urllib3, bare and under requests, against a service that is really there: figures against its own log."""

from __future__ import annotations

import asyncio
import copy
import gc
import http.client
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
import requests
import urllib3
import uvloop

from perftui_agent.guard import Guard
from perftui_agent.probes.http_client.urllib3 import Urllib3Probe
from perftui_agent.window.window import Window
from tests.agent.probes.http_client.conftest import Watched
from tests.support.other_service import OtherService

Get = Callable[[str], Any]
Client = Callable[[], AbstractContextManager[Get]]


@contextmanager
def bare() -> Iterator[Get]:
    """Give how urllib3 is asked for a URL."""
    with urllib3.PoolManager(retries=urllib3.Retry(3, connect=0, read=0, redirect=3), timeout=0.2) as pools:
        yield lambda url: pools.request("GET", url)


@contextmanager
def with_requests() -> Iterator[Get]:
    """Give how a session of requests is."""
    with requests.Session() as session:
        yield lambda url: session.get(url, timeout=0.2)


BOTH = pytest.mark.parametrize("client", [bare, with_requests], ids=["urllib3", "requests"])


@BOTH
def test_calls_are_those_of_the_service(watched: Watched, there: OtherService, client: Client) -> None:
    """Counts, bytes, errors and times are what the other side has seen; a redirect is a call of its own."""
    with watched.request("GET /shop"), client() as get:
        for path in (*["/sleep/0.05"] * 3, "/status/503", "/status/404", "/size/10000", "/to/size/5"):
            get(f"{there.url}{path}")
        get(f"{there.url}/drip/3/0.01")
    row = watched.row()
    asked = there.wait_for(9)

    assert (row.host, row.library) == (there.host, "urllib3")
    assert row.latency.count == len(asked) == 9
    assert (row.errors, row.failures, row.timeouts) == (1, {"503": 1}, 0)
    assert row.received_bytes == 3 * 5 + 4 + 4 + 10_000 + 5 + 15
    assert row.latency.total / 1e6 >= sum(each.ms for each in asked if each.path.startswith("/sleep")) * 0.95
    assert row.answer.max / 1e6 >= 45.0
    assert row.routes == {"GET /shop": 9}
    assert (row.opened, there.connections, row.requests) == (1, 1, 1)
    assert row.connect is not None
    assert row.connect.count == 1


@BOTH
def test_what_fails_is_told_by_its_name(watched: Watched, there: OtherService, client: Client) -> None:
    """A reset, bodies that break off and a time-out reach the app as without us, and are counted."""

    def fail() -> list[str]:
        seen = []
        with client() as get:
            for path in ("/reset", "/cut", "/cut/chunks", "/sleep/0.5", "/slow/0.5"):
                try:
                    get(f"{there.url}{path}")
                except (urllib3.exceptions.HTTPError, requests.RequestException) as error:
                    seen.append(f"{type(error).__name__} {type(error.__cause__).__name__}")
        return seen

    with watched.request():
        seen = fail()
    row = watched.row()
    for probe in watched.probes:
        probe.detach()

    assert len(seen) == 5
    assert seen == fail()
    assert row.failures == {
        "ConnectionResetError": 1,
        "IncompleteRead": 2,
        "ReadTimeoutError": 1,
        "TimeoutError": 1,
    }
    assert (row.latency.count, row.errors, row.timeouts, row.pool_timeouts) == (5, 5, 2, 0)
    assert any("test_urllib3.py" in place for place in row.call_sites)


def test_each_try_is_a_call(watched: Watched, there: OtherService) -> None:
    """Those that urllib3 makes again on its own are counted one by one, and told as retries."""
    again = urllib3.Retry(3, status_forcelist=[503], backoff_factor=0)
    with watched.request(), urllib3.PoolManager(retries=again) as pools:
        assert pools.request("GET", f"{there.url}/flaky/a").status == 200
        with pytest.raises(urllib3.exceptions.MaxRetryError):
            pools.request("GET", f"{there.url}/reset")
        with pytest.raises(urllib3.exceptions.MaxRetryError):
            pools.request("GET", "http://127.0.0.1:1/")
    closed, row = sorted(watched.frame().upstreams, key=lambda each: each.host)

    assert (row.latency.count, row.errors, row.retries) == (6, 5, 4)
    assert row.failures == {"503": 1, "ConnectionResetError": 4}
    assert (closed.latency.count, closed.errors, closed.timeouts) == (4, 4, 0)
    assert closed.failures == {"NewConnectionError": 4}


def test_a_pool_of_two_is_waited_for(watched: Watched, there: OtherService) -> None:
    """Waiting for a pool that blocks is apart from the answer, and its time-outs are told."""
    pool = urllib3.HTTPConnectionPool("127.0.0.1", there.port, maxsize=2, block=True, retries=False)
    seen: list[str] = []

    def get(path: str, pool_timeout: Any) -> None:
        try:
            pool.urlopen("GET", path, pool_timeout=pool_timeout)
        except urllib3.exceptions.EmptyPoolError as error:
            seen.append(type(error).__name__)

    with ThreadPoolExecutor(6) as threads:
        for path, pool_timeout, calls in (("/sleep/0.4", 0.1, 6), ("/sleep/0.05", None, 4)):
            asked = [threads.submit(get, path, pool_timeout) for _ in range(calls)]
            if calls == 6:
                time.sleep(0.05)
                early = watched.row()
            for each in asked:
                each.result()
    row = watched.row()

    assert (early.waiting, early.under_way, early.connections, early.limit) == (4, 6, 2, 2)
    assert row.pool_timeouts == row.timeouts == row.errors == len(seen) == 4
    assert row.failures == {"PoolTimeout": 4}
    assert row.pool_wait is not None
    assert row.pool_wait.count >= 5
    assert row.pool_wait.max / 1e6 >= 95.0
    assert (row.latency.count, row.answer.count, row.opened) == (10, 6, 2)


def test_a_body_takes_as_long_as_is_waited_for_it(watched: Watched, there: OtherService) -> None:
    """What the app does between the parts of a stream is none of the call's time; they are unchanged."""
    with watched.request(), requests.get(f"{there.url}/drip/3/0.05", stream=True, timeout=5) as response:
        parts = []
        for part in response.iter_content(None):
            parts.append(part)
            time.sleep(0.2)
    assert parts == [b"drops"] * 3
    row = watched.row()

    assert row.latency.count == 1
    assert row.latency.max / 1e6 < 500.0


def test_what_is_left_is_counted(watched: Watched, there: OtherService) -> None:
    """Closed before its end, thrown away, or without a body: it is one call all the same, and no error."""
    with requests.Session() as session:
        session.get(f"{there.url}/drip/5/0.01", stream=True).close()
        response = session.get(f"{there.url}/size/10", stream=True)
        del response
        gc.collect()
        assert session.head(f"{there.url}/size/100").content == b""
    rows = {row.method: row for row in watched.frame().upstreams}

    assert {method: row.latency.count for method, row in rows.items()} == {"GET": 2, "HEAD": 1}
    assert all((row.errors, row.cancelled, row.under_way) == (0, 0, 0) for row in rows.values())


@pytest.mark.parametrize(
    "ask",
    [lambda session, url: session.get(url).content, lambda _, url: urllib3.request("GET", url).data],
    ids=["a session", "urllib3's own pools"],
)
def test_one_client_for_all_is_no_new_one(watched: Watched, there: OtherService, ask: Any) -> None:
    """However many hosts it asks: each has a pool of its own, and one client."""
    with requests.Session() as session:
        for _ in range(4):
            for host in ("127.0.0.1", "localhost"):
                with watched.request():
                    ask(session, f"http://{host}:{there.port}/here")
    rows = watched.frame().upstreams

    assert [row.latency.count for row in rows] == [4, 4]
    assert sum(row.clients for row in rows) <= 1


def test_a_session_for_each_request_is_seen(watched: Watched, there: OtherService) -> None:
    """What `requests.get` makes and throws away."""
    for _ in range(4):
        with watched.request():
            requests.get(f"{there.url}/here", timeout=5)
    row = watched.row()

    assert row.clients == row.requests == row.opened == 4


def test_a_body_may_be_made_of_another_answer(watched: Watched, there: OtherService) -> None:
    """A call that is made while another one sends is a call of its own, and the other goes on after it."""
    with urllib3.PoolManager() as pools:

        def parts() -> Iterator[bytes]:
            yield pools.request("GET", f"{there.url}/size/7").data

        answer = pools.request("POST", f"{there.url}/status/503", body=parts(), retries=False)
        assert answer.status == 503
    rows = {row.method: row for row in watched.frame().upstreams}

    assert {method: (row.latency.count, row.answer.count, row.errors) for method, row in rows.items()} == {
        "GET": (1, 1, 0),
        "POST": (1, 1, 1),
    }


def test_sessions_and_answers_can_be_copied(watched: Watched, there: OtherService) -> None:
    """What could be pickled and copied can be, after it has been used, and works."""
    with requests.Session() as session:
        response = session.get(f"{there.url}/size/5", timeout=5)
        again = pickle.loads(pickle.dumps(session))
        assert pickle.loads(pickle.dumps(response)).content == copy.copy(response).content == b"xxxxx"
        assert again.get(f"{there.url}/size/6", timeout=5).content == b"xxxxxx"
        raw = session.get(f"{there.url}/size/7", stream=True, timeout=5).raw
        copied = copy.copy(raw._fp)
        assert type(copied) is http.client.HTTPResponse
        assert raw.read() == b"xxxxxxx"

    assert watched.row().latency.count == 3


def test_threads_have_calls_of_their_own(watched: Watched, there: OtherService) -> None:
    """Each call is its thread's, with its own request's time."""
    with requests.Session() as session, ThreadPoolExecutor(4) as threads:
        barrier = threading.Barrier(4)

        def get(number: int) -> int:
            barrier.wait()
            with watched.request(f"GET /{number}"):
                return session.get(f"{there.url}/sleep/0.05", timeout=5).status_code

        assert list(threads.map(get, range(4))) == [200] * 4
    row = watched.row()

    assert row.routes == {f"GET /{number}": 1 for number in range(4)}


def test_a_pool_made_before_is_seen(there: OtherService) -> None:
    """The probe may come when there are connections already; taken away, all is as before."""

    def methods() -> list[Any]:
        pool, connection = urllib3.HTTPConnectionPool, urllib3.connection.HTTPConnection
        theirs = [vars(pool)[name] for name in ("_make_request", "_get_conn")]
        return [*theirs, vars(connection)["connect"], connection.response_class]

    before = methods()
    with urllib3.PoolManager() as pools:
        pools.request("GET", f"{there.url}/here")
        window = Window()
        window.take()
        window.open = True
        probe = Urllib3Probe(window, Guard())
        probe.attach()
        pools.request("GET", f"{there.url}/here")
        assert not any(ours is theirs for ours, theirs in zip(methods(), before, strict=True))
        probe.detach()
        pools.request("GET", f"{there.url}/here")
    window.fold_pending()
    (row,) = window.close(seq=1, ended_at_ns=1, span_ns=1).upstreams

    assert (row.latency.count, row.opened) == (1, 0)
    assert methods() == before
    assert "response_class" not in vars(urllib3.connection.HTTPConnection)


def test_without_urllib3_there_is_nothing_to_do() -> None:
    """The probe imports nothing, says so, and is asked again."""
    code = """
import sys
from perftui_agent.guard import Guard
from perftui_agent.probes.http_client.urllib3 import Urllib3Probe
from perftui_agent.window.window import Window
probe = Urllib3Probe(Window(), Guard())
assert probe.attach() == "off: not imported", probe.attach()
assert "urllib3" not in sys.modules
import urllib3
import uvloop
assert probe.attach() == "on"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def test_an_answer_that_a_thread_reads_does_not_wait_for_a_held_loop(
    watched: Watched, there: OtherService, run: Callable[..., Any]
) -> None:
    """Its time is the upstream's own: what goes on on the loop meanwhile changes none of it."""

    async def main() -> None:
        call = asyncio.create_task(asyncio.to_thread(requests.get, f"{there.url}/sleep/0.3"))
        await asyncio.to_thread(there.wait_begun, 1)
        time.sleep(0.8)  # noqa: ASYNC251 - it holds the loop
        await call

    with watched.request():
        run(main())
    row = watched.row()

    assert row.held_unknown == 0
    assert row.held_ns / 1e6 <= 150.0
    assert 290.0 <= row.answer.max / 1e6 <= 700.0
