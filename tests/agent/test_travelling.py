"""Promise 3: an app travels as without the agent; where it arrives, that process's agent watches it."""

from __future__ import annotations

import base64
import copy
import copyreg
import pickle
from collections.abc import Iterator
from typing import Any

import cloudpickle  # type: ignore[import-untyped] # it has no types
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.datastructures import State
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from perftui_agent import Slo, instrument
from perftui_agent.instrumentation import PROBE_ATTRIBUTE, the_agent
from perftui_agent.probes.http.timing import HttpProbe
from tests.support.servers import private_dir
from tests.support.timed import http_scope, in_a_process, timed


@pytest.fixture(autouse=True)
def settings() -> Iterator[None]:
    """What is said to this process's agent here is not for other tests."""
    agent = the_agent()
    before = agent.own.settings, agent.own.service
    yield
    agent.own.settings, agent.own.service = before


@pytest.fixture
def copied_states() -> Iterator[None]:
    """Starlette's state can't be made from its pickle by itself: who sends apps around helps it, as here."""
    copyreg.pickle(State, lambda state: (State, (dict(state._state),)))
    yield
    del copyreg.dispatch_table[State]


async def ok(request: Any) -> PlainTextResponse:
    return PlainTextResponse("ok")


async def bare(scope: Any, receive: Any, send: Any) -> None:
    await PlainTextResponse("ok")(scope, receive, send)


def new_starlette() -> Starlette:
    return Starlette(routes=[Route("/items/{item_id}", ok)])


def new_fastapi() -> FastAPI:
    app = FastAPI(title="shop")

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> int:
        return item_id

    return app


ARRIVED = """
    import base64, os, threading, time
    import cloudpickle
    from perftui_agent.wire.codec import decode_from_agent
    from perftui_agent.wire.frames import Frame, Hello, History
    from perftui_agent.wire.registration import read_registrations, runtime_dir
    from tests.support.seen import Seen
    from tests.support.servers import wait_until
    from tests.support.timed import client_of
    from websockets.sync.client import unix_connect

    app, other = [cloudpickle.loads(base64.b64decode(os.environ["APP"])) for _ in range(2)]
    assert app is not other
    def entries():
        return [entry for _, entry in read_registrations(runtime_dir())]
    with client_of(app) as client, client_of(other) as another:
        assert client.get("/items/1").status_code == another.get("/items/2").status_code == 200
        if os.environ.get("PERFTUI_ENABLED") == "0":
            assert "perftui-agent" not in {thread.name for thread in threading.enumerate()}
            raise SystemExit
        wait_until(entries, "an entry", timeout_s=10)
        (entry,) = entries()
        seen = Seen()
        with unix_connect(entry.socket, uri="ws://worker/") as end:
            hello = decode_from_agent(end.recv(20))
            while seen.total < 2 or len(seen.frames) < 3:
                message = decode_from_agent(end.recv(20))
                for frame in [message] if isinstance(message, Frame) else message.frames:
                    seen.add(frame)
        print(entry.worker.pid == os.getpid(), entry.worker.service, seen.requests, hello.slo[0].p95_ms)
"""


def arrive(app: Any, **env: str) -> str:
    """Send an app to another process, which serves two copies of it; return what it says."""
    directory = private_dir()
    travelling = base64.b64encode(cloudpickle.dumps(app)).decode()
    try:
        return in_a_process(ARRIVED, APP=travelling, PERFTUI_RUNTIME_DIR=str(directory), **env)
    finally:
        directory.rmdir()


@pytest.mark.parametrize(
    ("new_app", "label"),
    [(new_fastapi, "GET /items/{item_id}"), (new_starlette, "GET /items/{item_id}")],
)
def test_an_app_that_has_travelled_is_watched_by_the_agent_of_its_process(
    new_app: Any, label: str, copied_states: None
) -> None:
    """Once, however many copies there are, with the settings it was given where it came from."""
    app = instrument(new_app(), service="travellers", slo=Slo(p95_ms=321))
    assert arrive(app).split(" ", 2) == ["True", "travellers", f"{{'{label}': 2}} 321.0\n"]


def test_a_bare_app_that_has_travelled_is_watched_too() -> None:
    """What wraps it is what travels."""

    async def travelling(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await PlainTextResponse("ok")(scope, receive, send)
        for step in ("startup", "shutdown") if scope["type"] == "lifespan" else ():
            await receive()
            await send({"type": f"lifespan.{step}.complete"})

    app = instrument(travelling, service="travellers", slo=Slo(p95_ms=321))
    assert arrive(app) == "True travellers {'GET (unmatched)': 2} 321.0\n"


def test_where_the_agent_is_switched_off_a_travelled_app_is_left_alone(copied_states: None) -> None:
    """No thread, and every answer as without it."""
    for app in (new_starlette(), new_fastapi()):
        assert arrive(instrument(app), PERFTUI_ENABLED="0") == ""


@pytest.mark.parametrize("new_app", [new_starlette, new_fastapi, lambda: bare])
@pytest.mark.parametrize("how", [pickle.dumps, cloudpickle.dumps, copy.copy, copy.deepcopy])
def test_whatever_the_plain_app_allows_the_instrumented_one_does(new_app: Any, how: Any) -> None:
    """And nothing else: what can't be pickled without the agent can't be with it, for the same reason."""
    outcomes = []
    for app in (new_app(), instrument(new_app())):
        try:
            how(app)
            outcomes.append("done")
        except (AttributeError, RecursionError, TypeError, pickle.PicklingError) as error:
            outcomes.append(f"{type(error).__name__}: {error}".partition(" at 0x")[0])
    assert outcomes[0] == outcomes[1]


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_a_copy_in_the_same_process_is_timed_once_as_well(how: Any, copied_states: None) -> None:
    """Each request in its route, whichever of the two serves it."""
    with timed(new_starlette()) as service:
        copied = how(service.app)
        service.call(http_scope("/items/1"))
        service.app = copied
        service.call(http_scope("/items/2"))
        service.call(http_scope("/items/3"))
        assert service.requests == {"GET /items/{item_id}": 3}


def test_a_copy_is_around_the_copied_app(copied_states: None) -> None:
    """Of an app that lives elsewhere nothing is kept."""
    app = instrument(new_starlette())
    copied = copy.deepcopy(app)
    assert vars(copied)[PROBE_ATTRIBUTE].app is copied
    probe = instrument(bare)
    assert isinstance(probe, HttpProbe)
    assert pickle.loads(pickle.dumps(probe)).app is bare


def test_a_token_of_the_environment_does_not_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it arrives, its environment has its own."""
    monkeypatch.setenv("PERFTUI_TOKEN", "s3cret-s3cret-s3cret")
    sent = in_a_process(
        """
        import pickle
        from starlette.applications import Starlette
        from perftui_agent import instrument
        print(b"s3cret" in pickle.dumps(instrument(Starlette())))
        """
    )
    assert sent == "False\n"
