"""Apps whose class has a `__call__` of its own: it may answer before Starlette is asked, or take long."""

from __future__ import annotations

import asyncio
import copy
import inspect
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from perftui_agent import instrument
from tests.support.timed import Timed, http_scope, in_a_process, timed


class Answering(FastAPI):
    """Answers for its health itself, after a while, and lets FastAPI answer the rest."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"] == "/health":
            await PlainTextResponse("well")(scope, receive, send)
        else:
            await asyncio.sleep(0.02)
            await super().__call__(scope, receive, send)


class Inheriting(Answering):
    """Has it from its parent."""


class Around(Answering):
    """Has one of its own around its parent's."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await super().__call__(scope, receive, send)


class Counting:
    """A mixin, which other callables have as well; not even a coroutine function."""

    calls = 0

    def __call__(self, *args: Any) -> Any:
        self.calls += 1
        return super().__call__(*args)  # type: ignore[misc] # of whatever it is mixed in with


class Mixed(Counting, Starlette):
    """Starlette with it."""


async def item(item_id: str) -> str:
    return item_id


def ask(service: Timed) -> None:
    for path in ("/health", "/items/1", "/items/2"):
        assert service.get(path).status_code == 200


@pytest.mark.parametrize("cls", [Answering, Inheriting, Around])
def test_what_a_class_answers_itself_is_counted_and_what_it_takes_is_in_the_latency(cls: Any) -> None:
    """Each request once, however many classes have a way of their own."""
    app = cls()
    app.add_api_route("/items/{item_id}", item)
    with timed(app) as service:
        assert service.app is app
        assert inspect.iscoroutinefunction(app.__call__)
        ask(service)
        assert service.requests == {"GET /items/{item_id}": 2, "GET (unmatched)": 1}
        median_ns = service.seen.routes["GET /items/{item_id}"].latency.quantile(0.5)
        assert median_ns is not None
        assert median_ns >= 20_000_000


def test_a_parent_and_its_child_are_watched_side_by_side() -> None:
    """Whichever was instrumented first."""
    for order in ((Answering, Around), (Around, Answering)):
        apps = [cls() for cls in order]
        for app in apps:
            app.add_api_route("/items/{item_id}", item)
        with timed(apps[0]) as first, timed(apps[1]) as second:
            second.window.take()
            second.window.open = True
            ask(first)
            ask(second)
            assert second.requests == {"GET /items/{item_id}": 4, "GET (unmatched)": 2}


def test_a_mixin_that_others_have_is_left_as_it_is() -> None:
    """Other callables with it are called by whatever they are called by."""

    class Doubling:
        def __call__(self, number: int) -> int:
            return 2 * number

    class Other(Counting, Doubling):
        pass

    app = Mixed(routes=[Route("/items/{item_id}", lambda _: PlainTextResponse("ok"))])
    with timed(app) as service:
        service.call(http_scope("/items/1"))
        assert service.requests == {"GET /items/{item_id}": 1}
    assert app.calls == 1
    assert Other()(21) == 42
    assert "__call__" in vars(Counting)


def test_a_copy_is_timed_as_well() -> None:
    """Once, as what it was copied from."""
    app = Answering()
    with timed(app) as service:
        service.app = copy.copy(app)
        assert service.get("/health").status_code == 200
        assert service.requests == {"GET (unmatched)": 1}


def test_where_the_agent_is_switched_off_the_class_is_left_alone() -> None:
    """It is the class that the app's author wrote."""

    class Untouched(Answering):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await super().__call__(scope, receive, send)

    own = vars(Untouched)["__call__"]
    instrument(Untouched(), enabled=False)
    assert vars(Untouched)["__call__"] is own


@pytest.mark.parametrize("token", ["", "0123456789abcdef"])
def test_a_class_of_a_script_travels_and_is_watched_where_it_arrives(token: str) -> None:
    """By its value: nothing of this process's agent goes with it, be there a door or not."""
    travelling = in_a_process(
        f"""
        import base64, cloudpickle
        from perftui_agent import instrument
        from starlette.applications import Starlette
        from starlette.responses import PlainTextResponse

        class Answering(Starlette):
            async def __call__(self, scope, receive, send):
                await PlainTextResponse("well")(scope, receive, send)

        app = instrument(Answering(), token={token!r})
        app.state = None  # Starlette's can't be made from its pickle by itself
        print(base64.b64encode(cloudpickle.dumps(app)).decode())
        """
    )
    told = in_a_process(
        """
        import base64, cloudpickle, os
        from tests.support.timed import timed

        with timed(cloudpickle.loads(base64.b64decode(os.environ["APP"]))) as service:
            assert service.get("/health").text == "well"
            print(service.requests)
        """,
        APP=travelling,
    )
    assert told == "{'GET (unmatched)': 1}\n"


def test_there_is_a_door_in_front_of_what_a_class_answers_itself() -> None:
    """Who has the token is answered by the agent, also where the class answers everything."""

    class Deaf(Starlette):
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await PlainTextResponse("nothing here", 404)(scope, receive, send)

    token = "0123456789abcdef"
    try:
        with timed(instrument(Deaf(), token=token)) as service:
            assert service.get("/_perftui").text == "nothing here"
            told = service.get("/_perftui", headers={"Authorization": f"Bearer {token}"})
            assert told.json()["perftui"] == "the remote door"
    finally:
        instrument(Deaf(), token="")
