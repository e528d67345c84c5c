"""Promise 8: who answers before the router, or hides what it has found, changes no label."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from starlette.applications import Starlette
from starlette.middleware.base import BaseHTTPMiddleware, _StreamingResponse
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse, StreamingResponse
from starlette.routing import Host, Mount, Route, Router, WebSocketRoute
from starlette.staticfiles import StaticFiles

from tests.support.timed import Timed, http_scope, timed


class Copying:
    """Hands a copy of the scope on: what the router notes down is in the copy, which nobody sees again."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.app(dict(scope), receive, send)


class Rewriting:
    """Hands on a copy whose path has no language in front."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["path"].startswith("/en/"):
            path = scope["path"].removeprefix("/en")
            scope = dict(scope, path=path, raw_path=path.encode())
        await self.app(scope, receive, send)


class Guarding:
    """Answers 401 to who has no key, and 429 to who has too many."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        key = dict(scope["headers"]).get(b"key")
        if scope["type"] == "http" and key != b"right":
            status = 429 if key == b"many" else 401
            await PlainTextResponse("no", status)(scope, receive, send)
        else:
            await self._app(scope, receive, send)


async def refuse(request: Any, call_next: Any) -> Any:
    if request.headers.get("key") != "right":
        return PlainTextResponse("no", 401)
    return await call_next(request)


def a_function(app: Any) -> Any:
    async def middleware(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return middleware


async def item(item_id: str) -> str:
    if item_id == "gone":
        raise HTTPException(404)
    if item_id == "broken":
        raise HTTPException(500)
    return item_id


def items_app() -> FastAPI:
    app = FastAPI()
    router = APIRouter(prefix="/items")
    router.add_api_route("/{item_id}", item)
    app.include_router(router, prefix="/v1")
    return app


RIGHT = {"key": "right"}


def ask(service: Timed, base: str = "") -> None:
    """Get what there is, what is gone, what is broken and what no route takes."""
    for path, status in (("7", 200), ("gone", 404), ("broken", 500)):
        assert service.get(f"{base}/v1/items/{path}", headers=RIGHT).status_code == status
    assert service.get(f"{base}/v1/nothing/7", headers=RIGHT).status_code == 404


@pytest.mark.parametrize("wrap", [None, Copying, a_function, Guarding])
@pytest.mark.parametrize("base", ["", "/sub", "/{tenant}/sub"])
def test_all_answers_of_a_path_are_in_its_row(base: str, wrap: Any) -> None:
    """At the top or below mounts; and `(unmatched)` has only what no route takes."""
    sub = items_app()
    sub.add_middleware(Copying)
    app: Any = sub
    if base:
        app = FastAPI()
        app.mount(base, wrap(sub) if wrap else sub)
    with timed(app) as service:
        ask(service, base.replace("{tenant}", "acme"))
        seen = service.seen.routes
        assert set(seen) == {f"GET {base}/v1/items/{{item_id}}", "GET (unmatched)"}
        status = seen[f"GET {base}/v1/items/{{item_id}}"].status
        assert (status.success, status.client_error, status.server_error) == (1, 1, 1)


@pytest.mark.parametrize("key", ["wrong", "many"])
@pytest.mark.parametrize("guard", [Guarding, "base"])
def test_what_a_mounted_apps_middleware_answers_is_its_routes(guard: Any, key: str) -> None:
    """A 401 or a 429 before routing is in the row of the path, as the 200s are."""
    sub, app = items_app(), FastAPI()
    if guard == "base":
        sub.add_middleware(BaseHTTPMiddleware, dispatch=refuse)
    else:
        sub.add_middleware(guard)
    app.mount("/sub", sub)
    with timed(app) as service:
        assert service.get("/sub/v1/items/7", headers=RIGHT).status_code == 200
        assert service.get("/sub/v1/items/7", headers={"key": key}).status_code in {401, 429}
        assert service.get("/sub/nothing", headers={"key": key}).status_code in {401, 429}
        assert service.requests == {"GET /sub/v1/items/{item_id}": 2, "GET (unmatched)": 1}


def test_a_guard_around_a_mounted_app_changes_no_label() -> None:
    """Be it a class that calls it `_app`, or a function that has it in its closure."""
    for wrap in (Guarding, lambda app: a_function(Guarding(app))):
        app = FastAPI()
        app.mount("/sub", wrap(items_app()))
        with timed(app) as service:
            assert service.get("/sub/v1/items/7", headers=RIGHT).status_code == 200
            assert service.get("/sub/v1/items/7").status_code == 401
            assert service.requests == {"GET /sub/v1/items/{item_id}": 2}


def test_copies_at_every_level() -> None:
    """The outermost scope knows nothing but the path, and that is enough."""
    inner, middle, outer = items_app(), FastAPI(), FastAPI()
    for app in (inner, middle, outer):
        app.add_middleware(Copying)
    middle.mount("/inner", inner)
    outer.mount("/middle", middle)
    with timed(outer) as service:
        ask(service, "/middle/inner")
        assert service.requests == {"GET /middle/inner/v1/items/{item_id}": 3, "GET (unmatched)": 1}


async def pass_on(request: Any, call_next: Any) -> Any:
    return await call_next(request)


async def fail(item_id: str) -> str:
    raise ValueError(item_id)


EARLY = issubclass(_StreamingResponse, StreamingResponse)
"""Whether Starlette sends what comes through `BaseHTTPMiddleware` in a task of its own: no way leads back."""


@pytest.mark.parametrize("inside", [()] if EARLY else [(), (pass_on,)])
@pytest.mark.parametrize("files", [False, True])
def test_a_copy_with_another_path_is_in_the_row_that_it_came_to(
    inside: tuple[Any, ...], files: bool, tmp_path: Path
) -> None:
    """The path that the server gave fits no route, or one that takes any: where the request went tells."""
    app = items_app()
    app.add_api_route("/v1/fails/{item_id}", fail)
    if files:
        app.mount("/", StaticFiles(directory=tmp_path))
    for dispatch in inside:
        app.add_middleware(BaseHTTPMiddleware, dispatch=dispatch)
    app.add_middleware(Rewriting)
    with timed(app) as service:
        ask(service, "/en")
        assert service.get("/en/v1/fails/7").status_code == 500
        unmatched = "GET /{path}" if files else "GET (unmatched)"
        assert service.requests == {
            "GET /v1/items/{item_id}": 3,
            "GET /v1/fails/{item_id}": 1,
            unmatched: 1,
        }


def test_a_dispatcher_that_gives_its_apps_another_path() -> None:
    """Whose apps can't be seen from outside."""
    apps = {"shop": items_app()}

    async def dispatch(scope: Any, receive: Any, send: Any) -> None:
        _, name, rest = scope["path"].split("/", 2)
        await apps[name](dict(scope, path=f"/{rest}"), receive, send)

    with timed(dispatch) as service:
        ask(service, "/shop")
        assert service.requests == {"GET /v1/items/{item_id}": 3, "GET (unmatched)": 1}


@pytest.mark.parametrize("accepts", [True, False])
@pytest.mark.parametrize("wrap", [Copying, Rewriting])
def test_a_websocket_behind_a_copy(wrap: Any, accepts: bool) -> None:
    """Its route is noted down in the copy as well, whether it is accepted or refused."""

    async def talk(websocket: Any) -> None:
        if accepts:
            await websocket.accept()
        await websocket.close()

    app = Starlette(routes=[WebSocketRoute("/rooms/{name}/talk", talk)])
    app.add_middleware(wrap)
    with timed(app) as service:
        path = "/en/rooms/a/talk" if wrap is Rewriting else "/rooms/a/talk"
        service.call(http_scope(path, type="websocket", subprotocols=[]), [{"type": "websocket.connect"}])
        assert [row.route for row in service.seen.last.channels] == ["WS /rooms/{name}/talk"]


def test_under_a_root_path() -> None:
    """Of the server, with the scope copied behind it."""
    app = FastAPI()
    sub = items_app()
    sub.add_middleware(Copying)
    app.mount("/sub", sub)
    with timed(app) as service:
        for path in ("/prefix/sub/v1/items/7", "/prefix/sub/v1/items/gone"):
            service.get(path, root_path="/prefix")
        assert service.requests == {"GET /sub/v1/items/{item_id}": 2}


@pytest.mark.parametrize("copying", [False, True])
def test_other_methods_of_a_path_are_in_its_row(copying: bool) -> None:
    """HEAD, a wrong one, an odd one: of a path that a route has, with that route's template."""
    app = Starlette(
        routes=[Mount("/sub", routes=[Route("/users/{name}", lambda _: PlainTextResponse("ok"))])]
    )
    if copying:
        app.add_middleware(Copying)
    with timed(app) as service:
        for method, status in (("HEAD", 200), ("DELETE", 405), ("BREW", 405), ("OPTIONS", 405)):
            assert service.request(method, "/sub/users/ann").status_code == status
        for method in ("HEAD", "BREW", "OPTIONS"):
            assert service.request(method, "/sub/nobody").status_code == 404
        labels = {f"{method} /sub/users/{{name}}" for method in ("HEAD", "DELETE", "_OTHER", "OPTIONS")}
        assert set(service.requests) == labels | {
            "HEAD (unmatched)",
            "_OTHER (unmatched)",
            "OPTIONS (unmatched)",
        }


def test_a_preflight_is_in_the_row_of_its_path() -> None:
    """The middleware for CORS answers it, before the router or in a mounted app."""
    sub, app = items_app(), FastAPI()
    sub.add_middleware(CORSMiddleware, allow_origins=["*"])
    app.mount("/sub", sub)
    asks = {"Origin": "http://shop", "Access-Control-Request-Method": "GET"}
    with timed(app) as service:
        assert service.request("OPTIONS", "/sub/v1/items/7", headers=asks).status_code == 200
        assert service.request("OPTIONS", "/sub/scanned", headers=asks).status_code == 200
        assert service.requests == {"OPTIONS /sub/v1/items/{item_id}": 1, "OPTIONS (unmatched)": 1}


def test_hosts_routes_behind_a_copy() -> None:
    """A host is no part of a path."""
    hosts = Host("api.shop", app=Router([Route("/users/{name}", lambda _: PlainTextResponse("ok"))]))
    app = Starlette(routes=[hosts])
    app.add_middleware(Copying)
    with timed(app) as service:
        assert service.get("/users/ann", headers={"host": "api.shop"}).status_code == 200
        assert service.requests == {"GET /users/{name}": 1}


def test_the_route_of_a_websocket_takes_no_request() -> None:
    """A GET for its path is nobody's."""

    async def talk(websocket: Any) -> None:
        await websocket.accept()

    app = FastAPI()
    app.router.routes.append(WebSocketRoute("/talk", talk))
    app.add_api_websocket_route("/chat", talk)
    with timed(app) as service:
        assert service.get("/talk").status_code == 404
        assert service.get("/chat").status_code == 404
        assert service.requests == {"GET (unmatched)": 2}


def test_an_app_of_another_kind_is_one_route() -> None:
    """What has routes that are not Starlette's is as good as without: no request to it is unmatched."""

    class Foreign:
        routes = (object(), object())

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            await PlainTextResponse("ok")(scope, receive, send)

    app = FastAPI()
    app.mount("/foreign", Foreign())
    with timed(app) as service:
        assert service.get("/foreign/a/b").status_code == 200
        assert service.requests == {"GET /foreign/{path}": 1}


def serve_folder(app: Any, path: str, directory: Path) -> None:
    """Serve a folder where no route fits: FastAPI's own way, or a mount in versions that have none."""
    if hasattr(app, "frontend"):
        app.frontend(path, directory=directory)
    else:
        app.mount(path, StaticFiles(directory=directory, html=True))


def test_a_frontend_is_one_route(tmp_path: Path) -> None:
    """A folder that is served where nothing else fits takes what it is asked for, found or not."""
    (tmp_path / "index.html").write_text("home")
    (tmp_path / "app.js").write_text("run")
    app, sub = items_app(), FastAPI()
    serve_folder(sub, "/", tmp_path)
    serve_folder(app, "/ui", tmp_path)
    app.mount("/sub", sub)
    with timed(app) as service:
        for path in ("/ui/", "/ui/app.js", "/sub/app.js", "/sub/index.html", "/v1/items/7"):
            assert service.get(path, headers=RIGHT).status_code == 200
        assert service.get("/ui/none.js").status_code == 404
        assert service.get("/none").status_code == 404
        assert service.requests == {
            "GET /ui/{path}": 3,
            "GET /sub/{path}": 2,
            "GET /v1/items/{item_id}": 1,
            "GET (unmatched)": 1,
        }


def test_20_000_random_paths_through_a_guard_make_one_row() -> None:
    """Answered before the router in a mounted app, none of them is a route's."""
    sub, app = items_app(), FastAPI()
    sub.add_middleware(Guarding)
    app.mount("/sub", sub)
    with timed(app) as service:
        service.call_all(http_scope(f"/sub/wp-{number}.php") for number in range(20_000))
        assert service.requests == {"GET (unmatched)": 20_000}
