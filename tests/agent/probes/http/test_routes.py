"""Promise 8: labels are templates with every prefix; what is random in a path is not in a label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import PlainTextResponse
from starlette.routing import Host, Mount, Route, Router
from starlette.staticfiles import StaticFiles

from perftui_agent import instrument
from perftui_agent.window.routes import MAX_ROUTES
from tests.support.timed import http_scope, timed


async def ok(request: Any) -> PlainTextResponse:
    return PlainTextResponse("ok")


async def item(item_id: str) -> str:
    return item_id


def items() -> APIRouter:
    router = APIRouter(prefix="/items")
    router.add_api_route("/{item_id}", item)
    return router


def test_promise_8_nested_routers_give_all_their_prefixes() -> None:
    """A router in a router in an app has the prefixes of all three."""
    app = FastAPI()
    api = APIRouter(prefix="/api")
    api.include_router(items(), prefix="/v1")
    app.include_router(api)
    with timed(app) as service:
        assert service.get("/api/v1/items/7").status_code == 200
        assert service.requests == {"GET /api/v1/items/{item_id}": 1}


def test_promise_8_a_router_included_twice_has_two_labels() -> None:
    """The same endpoint under two prefixes is two routes."""
    app = FastAPI()
    router = items()
    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v2")
    with timed(app) as service:
        for path, times in (("/v1/items/1", 2), ("/v2/items/1", 3)):
            for _ in range(times):
                assert service.get(path).status_code == 200
        assert service.requests == {"GET /v1/items/{item_id}": 2, "GET /v2/items/{item_id}": 3}


def test_promise_8_routes_that_share_a_template_are_told_apart_by_method() -> None:
    """GET and POST of one path are two labels, each with its own endpoint or the same."""
    app = FastAPI()
    app.add_api_route("/items", item, methods=["GET"])
    app.add_api_route("/items", item, methods=["POST"])
    with timed(app) as service:
        service.get("/items?item_id=1")
        service.request("POST", "/items?item_id=1")
        assert service.requests == {"GET /items": 1, "POST /items": 1}


def test_promise_8_a_mount_with_a_parameter_keeps_the_template() -> None:
    """The concrete value of a mount's parameter is not in the label."""
    app = Starlette(routes=[Mount("/{tenant}", routes=[Route("/users/{name}", ok)])])
    with timed(app) as service:
        assert service.get("/acme/users/ann").status_code == 200
        assert service.get("/other/users/bob").status_code == 200
        assert service.requests == {"GET /{tenant}/users/{name}": 2}


def test_promise_8_a_sub_app_mounted_twice_has_two_labels() -> None:
    """The path tells which mount a request came through."""
    sub = FastAPI()
    sub.include_router(items())
    app = FastAPI()
    app.mount("/a", sub)
    app.mount("/b", sub)
    with timed(app) as service:
        service.get("/a/items/1")
        service.get("/b/items/1")
        service.get("/b/items/2")
        assert service.requests == {"GET /a/items/{item_id}": 1, "GET /b/items/{item_id}": 2}


def test_promise_8_a_sub_app_in_a_sub_app_has_both_mounts() -> None:
    """However deep, and instrumented by itself or not, a request is counted once, by the outermost."""
    inner, middle, outer = FastAPI(), FastAPI(), FastAPI()
    inner.include_router(items())
    middle.mount("/inner", inner)
    outer.mount("/middle", middle)
    with timed(outer) as service, timed(inner):
        service.window.take()
        service.window.open = True
        service.get("/middle/inner/items/1")
        assert service.requests == {"GET /middle/inner/items/{item_id}": 1}


@pytest.mark.parametrize("wrap", [lambda app: app, GZipMiddleware])
@pytest.mark.parametrize("first", ["/a/acme/items/1", "/a/acme/nothing"])
def test_promise_8_an_app_that_is_mounted_in_one_that_nobody_watches_has_its_prefixes(
    wrap: Any, first: str
) -> None:
    """From the first request on, whatever that is; every answer of a path is in its row."""
    part, whole = FastAPI(), FastAPI()
    part.include_router(items())
    whole.mount("/a/{tenant}", wrap(part))
    whole.mount("/b", part)
    with timed(part) as service:
        service.app = whole
        for path in (first, "/a/acme/items/1", "/a/other/items/2", "/b/items/3", "/b/nothing"):
            service.get(path)
        service.request("DELETE", "/b/items/3")
        known = int(first.endswith("1"))
        assert service.requests == {
            "GET /a/{tenant}/items/{item_id}": 2 + known,
            "GET /b/items/{item_id}": 1,
            "DELETE /b/items/{item_id}": 1,
            "GET (unmatched)": 2 - known,
        }


def test_promise_8_what_an_app_mounts_itself_is_no_reason_to_look_around() -> None:
    """Its own router is the outermost that requests come by."""
    app = FastAPI()
    sub = FastAPI()
    sub.include_router(items())
    app.mount("/sub", sub)
    with timed(app) as service:
        for path in ("/sub/items/1", "/sub/nothing"):
            service.get(path)
        assert service.requests == {"GET /sub/items/{item_id}": 1, "GET (unmatched)": 1}


@pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")
@pytest.mark.parametrize("path", ["/items/7", "/prefix/items/7"])
def test_promise_8_a_root_path_is_not_in_the_label(path: str) -> None:
    """Given to FastAPI, it says where the app is seen from outside, whether the path has it or not."""
    app = FastAPI(root_path="/prefix")
    app.include_router(items())
    with timed(app) as service:
        assert service.get(path).status_code == 200
        assert service.requests == {"GET /items/{item_id}": 1}


def test_promise_8_a_root_path_of_the_server_is_not_in_the_label() -> None:
    """Nor is it when the server says it, even for endpoints that need their path to be told apart."""
    app = FastAPI()
    router = items()
    app.include_router(router, prefix="/v1")
    app.include_router(router, prefix="/v2")
    with timed(app) as service:
        assert service.get("/prefix/v2/items/7", root_path="/prefix").status_code == 200
        assert service.requests == {"GET /v2/items/{item_id}": 1}


def test_promise_8_a_root_path_does_not_mislead_mounts() -> None:
    """A mount extends the root path of the scope with its concrete values; labels don't follow it."""
    app = Starlette(routes=[Mount("/{tenant}", routes=[Route("/a/{x}", ok), Route("/b/{x}", ok)])])
    with timed(app) as service:
        assert service.get("/prefix/acme/b/1", root_path="/prefix").status_code == 200
        assert service.requests == {"GET /{tenant}/b/{x}": 1}


def test_promise_8_routes_of_a_host_are_found() -> None:
    """A host's routes have their templates; the host itself is no part of them."""
    app = Starlette(routes=[Host("api.{domain}", app=Router([Route("/users/{name}", ok)]))])
    with timed(app) as service:
        assert service.get("/users/ann", headers={"host": "api.shop"}).status_code == 200
        assert service.requests == {"GET /users/{name}": 1}


class Dispatcher:
    """An ASGI app of the house: which app answers is its own affair."""

    def __init__(self, site: Any, api: Any) -> None:
        self._apps = {"site": site, "api": api}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._apps["api" if scope["path"].startswith("/api") else "site"](scope, receive, send)


def behind_a_function(app: Any) -> Any:
    """Return the app behind a middleware that does not show what it is around."""

    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return middleware


@pytest.mark.parametrize("inner_too", [False, True])
def test_promise_8_apps_that_cannot_be_seen_from_outside_have_all_their_prefixes(inner_too: bool) -> None:
    """Behind a dispatcher or a middleware that is a function, whether or not they are instrumented too."""
    sub = FastAPI()
    sub.include_router(items())
    site = Starlette(routes=[Mount("/{tenant}", routes=[Route("/users/{name}", ok)])])
    api = FastAPI()
    for version in ("/api/v1", "/api/v2"):
        api.include_router(items(), prefix=version)
    api.mount("/api/sub", sub)
    if inner_too:
        instrument(api)
    with timed(Dispatcher(site, behind_a_function(api))) as service:
        for path in ("/acme/users/ann", "/api/v1/items/1", "/api/v2/items/1", "/api/sub/items/1"):
            assert service.get(path).status_code == 200
        assert service.get("/api/sub/nowhere").status_code == 404
        assert service.requests == {
            "GET /{tenant}/users/{name}": 1,
            "GET /api/v1/items/{item_id}": 1,
            "GET /api/v2/items/{item_id}": 1,
            "GET /api/sub/items/{item_id}": 1,
            "GET (unmatched)": 1,
        }


def test_promise_8_static_files_are_one_route(tmp_path: Path) -> None:
    """A mount of files is a route by itself, whatever file is asked for, found or not."""
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.txt").write_text("b")
    app = FastAPI()
    app.mount("/static", StaticFiles(directory=tmp_path))
    with timed(app) as service:
        assert service.get("/static/a.txt").status_code == 200
        assert service.get("/static/b.txt").status_code == 200
        assert service.get("/static/none.txt").status_code == 404
        assert service.requests == {"GET /static/{path}": 3}


def test_promise_8_a_redirect_to_the_path_with_a_slash_has_no_route() -> None:
    """The router itself answers it."""
    app = FastAPI()
    app.add_api_route("/items/", item)
    with timed(app) as service:
        assert service.get("/items?item_id=1").status_code == 307
        (route,) = service.seen.routes.values()
        assert (route.route, route.status.redirect) == ("GET (unmatched)", 1)


def test_promise_8_what_no_route_takes_is_unmatched() -> None:
    """404 and 405 are client errors of `(unmatched)`, at the top and within a mounted app."""
    sub = FastAPI()
    sub.include_router(items())
    app = FastAPI()
    app.include_router(items())
    app.mount("/sub", sub)
    with timed(app) as service:
        assert service.get("/nowhere").status_code == 404
        assert service.get("/sub/nowhere").status_code == 404
        assert service.request("GET", "/items").status_code == 404
        assert service.requests == {"GET (unmatched)": 3}


def test_promise_8_a_wrong_method_is_a_405_of_its_path_or_unmatched() -> None:
    """FastAPI names the route of a method that is not allowed; the label never has the concrete path."""
    app = FastAPI()
    app.include_router(items())
    with timed(app) as service:
        assert service.request("DELETE", "/items/7").status_code == 405
        (label,) = service.requests
        assert label in {"DELETE /items/{item_id}", "DELETE (unmatched)"}


def test_promise_8_odd_methods_are_one() -> None:
    """Whatever a client calls its method."""
    app = FastAPI()
    app.include_router(items())
    with timed(app) as service:
        for method in ("BREW", "PROPFIND", "get", "X" * 1000):
            service.call(http_scope("/nowhere", method))
        assert service.requests == {"_OTHER (unmatched)": 4}


def test_promise_8_head_is_a_method_of_its_own() -> None:
    """HEAD requests are no GET requests."""
    app = Starlette(routes=[Route("/users/{name}", ok)])
    with timed(app) as service:
        assert service.request("HEAD", "/users/ann").status_code == 200
        assert service.requests == {"HEAD /users/{name}": 1}


def test_promise_8_random_paths_make_one_row() -> None:
    """20,000 paths that nobody serves are one route."""
    app = Starlette(routes=[Route("/users/{name}", ok)])
    with timed(app) as service:
        service.call_all(http_scope(f"/wp-{number}.php") for number in range(20_000))
        assert service.requests == {"GET (unmatched)": 20_000}


def test_promise_13_routes_past_the_bound_share_one_row_and_are_counted() -> None:
    """An app with more routes than the bound loses no request, and the frame says how many are folded."""
    app = Starlette(routes=[Route(f"/r{number}", ok) for number in range(MAX_ROUTES + 20)])
    with timed(app) as service:
        service.call_all(http_scope(f"/r{number}") for number in range(MAX_ROUTES + 20))
        requests = service.requests
        assert sum(requests.values()) == MAX_ROUTES + 20
        assert requests["(other)"] == 20
        assert service.window.take_bounded()["routes"] >= 20  # background work of theirs, too


def test_promise_8_a_middleware_that_answers_is_labelled_by_the_path() -> None:
    """The router was never asked; the path says which route it would have been."""
    app = FastAPI()
    app.include_router(items())

    async def refuse(request: Any, call_next: Any) -> PlainTextResponse:
        return PlainTextResponse("no", status_code=403)

    app.add_middleware(BaseHTTPMiddleware, dispatch=refuse)
    with timed(app) as service:
        assert service.get("/items/7").status_code == 403
        assert service.get("/nowhere").status_code == 403
        assert service.requests == {"GET /items/{item_id}": 1, "GET (unmatched)": 1}


def test_promise_8_a_middleware_that_copies_the_scope_changes_no_label() -> None:
    """What the router notes down is in the copy, which nobody sees again."""

    class Copying:
        def __init__(self, app: Any) -> None:
            self.app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await self.app(dict(scope), receive, send)

    app = FastAPI()
    app.include_router(items())
    app.add_middleware(Copying)
    with timed(app) as service:
        assert service.get("/items/7").status_code == 200
        assert service.requests == {"GET /items/{item_id}": 1}


def test_promise_8_middleware_of_the_usual_kinds_changes_no_label() -> None:
    """A BaseHTTPMiddleware and compression see the request, and the label is the route's."""

    async def pass_on(request: Any, call_next: Any) -> Any:
        return await call_next(request)

    app = FastAPI()
    app.include_router(items())
    app.add_middleware(GZipMiddleware, minimum_size=1)
    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    with timed(app) as service:
        assert service.get("/items/7").status_code == 200
        assert service.requests == {"GET /items/{item_id}": 1}


def test_promise_8_routes_added_while_the_app_runs_are_found() -> None:
    """The tree of routes is walked again for an endpoint that is not known."""
    app = FastAPI()
    app.include_router(items())
    with timed(app) as service:
        service.get("/items/7")
        vars(service.app)["_perftui_probe"].labels._built_at = float("-inf")  # a second later
        app.add_api_route("/late/{item_id}", ok)
        service.get("/late/7")
        assert service.requests["GET /late/{item_id}"] == 1


def test_promise_8_an_endpoint_object_is_named_too() -> None:
    """Starlette takes classes and other ASGI apps for endpoints."""

    async def raw(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("raw")(scope, receive, send)

    class Raw:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await raw(scope, receive, send)

    app = Starlette(routes=[Route("/raw/{x}", Raw()), Mount("/mounted", app=raw)])
    with timed(app) as service:
        assert service.get("/raw/1").status_code == 200
        assert service.get("/mounted/anything").status_code == 200
        assert service.requests == {"GET /raw/{x}": 1, "GET /mounted/{path}": 1}


def test_a_bare_asgi_callable_has_no_routes() -> None:
    """It is timed all the same."""

    async def bare(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("bare")(scope, receive, send)

    with timed(bare) as service:
        assert service.app.app is bare
        assert service.get("/any/path").status_code == 200
        assert service.requests == {"GET (unmatched)": 1}
