"""Promise 8: labels follow what happens to the routes of an app that runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import fastapi.routing
import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router

from perftui_agent.guard import Guard
from perftui_agent.probes.http.changes import RoutesProbe
from perftui_agent.probes.http.route_tree import RouteTree
from perftui_agent.probes.http.routes import RouteLabels
from perftui_agent.wire.frames import Frame
from tests.support.timed import Timed, http_scope, timed


async def ok(request: Any) -> PlainTextResponse:
    return PlainTextResponse("ok")


async def item(item_id: str) -> str:
    return item_id


def items() -> APIRouter:
    router = APIRouter(prefix="/items")
    router.add_api_route("/{item_id}", item)
    return router


def a_second_later() -> None:
    """Do what the agent's thread does as a frame closes."""
    guard = Guard()
    RoutesProbe(guard).fill(Frame(seq=1, ended_at=1, span_ns=1))
    assert guard.faults == {}


def get(service: Timed, *paths: str) -> None:
    for path in paths:
        assert service.get(path).status_code == 200, path


def test_a_second_path_of_a_known_endpoint_has_its_own_label() -> None:
    """From its first request on, and the first path keeps the one it had."""
    app = FastAPI()
    app.add_api_route("/a/{item_id}", item)
    with timed(app) as service:
        get(service, "/a/1")
        app.add_api_route("/b/{item_id}", item)
        get(service, "/b/1", "/a/2")
        assert service.requests == {"GET /a/{item_id}": 2, "GET /b/{item_id}": 1}


def test_a_second_path_in_a_starlette_app() -> None:
    """In its own list of routes, or in that of a mount."""
    mounted = Router([Route("/a", ok)])
    app = Starlette(routes=[Route("/a", ok), Mount("/m", app=mounted)])
    with timed(app) as service:
        get(service, "/a", "/m/a")
        app.router.routes.append(Route("/b", ok))
        mounted.routes.append(Route("/b", ok))
        get(service, "/b", "/m/b", "/a", "/m/a")
        assert service.requests == {"GET /a": 2, "GET /m/a": 2, "GET /b": 1, "GET /m/b": 1}


def test_a_route_replaced_by_another_path_for_its_endpoint() -> None:
    """The old label is used no more."""
    app = FastAPI()
    app.add_api_route("/old/{item_id}", item)
    with timed(app) as service:
        get(service, "/old/1")
        routes = app.router.routes
        (old,) = [route for route in routes if getattr(route, "endpoint", None) is item]
        app.add_api_route("/new/{item_id}", item)
        routes[routes.index(old)] = routes.pop()
        get(service, "/new/1")
        assert service.requests == {"GET /old/{item_id}": 1, "GET /new/{item_id}": 1}


def test_a_router_included_late_has_its_prefixes_at_once() -> None:
    """Also right after another one."""
    app = FastAPI()
    with timed(app) as service:
        for version in ("/v1", "/v2", "/v3"):
            app.include_router(items(), prefix=version)
            get(service, f"{version}/items/1")
        assert service.requests == {f"GET /v{number}/items/{{item_id}}": 1 for number in (1, 2, 3)}


def test_a_router_included_once_more_has_both_labels() -> None:
    """The same routes, met under another prefix while the app runs."""
    app = FastAPI()
    router = items()
    app.include_router(router, prefix="/v1")
    with timed(app) as service:
        get(service, "/v1/items/1")
        app.include_router(router, prefix="/v2")
        get(service, "/v2/items/1", "/v1/items/1")
        assert service.requests == {"GET /v1/items/{item_id}": 2, "GET /v2/items/{item_id}": 1}


def test_an_app_mounted_late_has_its_prefix() -> None:
    """With an endpoint that is known from elsewhere."""
    app, sub = FastAPI(), FastAPI()
    app.include_router(items())
    sub.include_router(items())
    with timed(app) as service:
        get(service, "/items/1")
        app.mount("/sub", sub)
        get(service, "/sub/items/1")
        assert service.requests == {"GET /items/{item_id}": 1, "GET /sub/items/{item_id}": 1}


CHANGES: dict[str, Callable[[APIRouter, APIRouter], None]] = {
    "a route of an included router": lambda outer, _: outer.add_api_route("/late/{item_id}", item),
    "a route of a router within it": lambda _, inner: inner.add_api_route("/late/{item_id}", item),
    "a router included in it": lambda outer, _: outer.include_router(items(), prefix="/late"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_changes_within_routers_is_noticed_within_a_second(change: str) -> None:
    """Labels may lack a prefix until then, and never afterwards."""
    app, outer, inner = FastAPI(), APIRouter(prefix="/outer"), APIRouter(prefix="/inner")
    inner.add_api_route("/a/{item_id}", item)
    outer.include_router(inner)
    app.include_router(outer)
    with timed(app) as service:
        get(service, "/outer/inner/a/1")
        CHANGES[change](outer, inner)
        a_second_later()
        late = ("/outer/late/1", "/outer/inner/late/1", "/outer/late/items/1")
        served = [path for path in late if service.get(path).status_code == 200]
        # In older versions of FastAPI routes are copied as a router is included: later ones are nobody's.
        assert len(served) == (1 if hasattr(fastapi.routing, "iter_route_contexts") else 0)
        labels = set(service.requests) - {"GET (unmatched)"}
        expected = {"GET " + path.replace("/1", "/{item_id}") for path in served}
        assert labels == expected | {"GET /outer/inner/a/{item_id}"}


def test_a_route_that_is_gone_is_nobodys() -> None:
    """What was served, and is not any more, is unmatched."""
    app = Starlette(routes=[Route("/a", ok), Route("/b", ok)])
    with timed(app) as service:
        get(service, "/a")
        del app.router.routes[0]
        assert service.get("/a").status_code == 404
        assert service.requests == {"GET /a": 1, "GET (unmatched)": 1}


def test_nothing_is_walked_while_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is asked for, known or not."""
    walks = counted_walks(monkeypatch)
    app = FastAPI()
    app.include_router(items())
    with timed(app) as service:
        get(service, "/items/1", "/docs", "/openapi.json")
        for path in ("/nowhere", "/items/2", "/docs"):
            service.get(path)
            a_second_later()
        assert len(walks) == 1


def test_an_app_that_adds_a_route_with_each_request_does_not_pay_for_each(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When walking has taken long enough, labels are those that the scope tells."""
    walks = counted_walks(monkeypatch)
    app = FastAPI()
    with timed(app) as service:
        labels: RouteLabels = vars(app)["_perftui_probe"].labels
        for number in range(200):
            if number == 100:
                labels._left_ns = -1e12
            app.add_api_route(f"/r{number}/{{item_id}}", item)
            service.call(http_scope(f"/r{number}/1"))
        assert len(walks) <= 101
        assert set(service.requests) == {f"GET /r{number}/{{item_id}}" for number in range(200)}


def counted_walks(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    walks: list[None] = []
    walk = RouteTree.walk

    def counted(tree: RouteTree, roots: Any) -> None:
        walks.append(None)
        walk(tree, roots)

    monkeypatch.setattr(RouteTree, "walk", counted)
    return walks
