"""What is asked for below a route that takes any path: told apart, bounded, and without anybody's secrets."""

from __future__ import annotations

import random
import string
import uuid
from pathlib import Path
from typing import Any

import pytest
from a2wsgi import WSGIMiddleware
from fastapi import FastAPI
from flask import Flask
from starlette.responses import PlainTextResponse
from starlette.staticfiles import StaticFiles

from perftui_agent.records import OpenEnded, RequestRecord
from perftui_agent.window.paths import GAP, MANY, MAX_KNOWN, MAX_PATHS, OFTEN, PathTable
from perftui_agent.wire.requests import PathFrame
from tests.support.timed import Timed, http_scope, timed

MS = 1_000_000


def asked(path: str, status: int = 200) -> RequestRecord:
    record = RequestRecord()
    record.path, record.status = path, status
    return record


def rows(table: PathTable, paths: list[str], status: int = 200) -> dict[str, int]:
    for path in paths:
        table.fold(asked(path, status), MS)
    return {row.path: row.requests for row in table.close()}


@pytest.fixture
def table() -> PathTable:
    return PathTable(OpenEnded("", ""))


def test_ids_are_gaps_and_words_that_come_often_are_told(table: PathTable) -> None:
    """From the first request on, if the others come in the same second."""
    paths = [f"/api/users/{number}/orders" for number in range(10)]
    paths += [f"/api/runs/{uuid.UUID(int=number)}" for number in range(5)]
    paths += ["/health/"] * 4
    assert rows(table, paths) == {
        "/api/users/{…}/orders": 10,
        "/api/runs/{…}": 5,
        "/health/": 4,
    }


SECRETS = [
    "42",
    "2024-05-17",
    "550e8400-e29b-41d4-a716-446655440000",
    "d41d8cd98f00b204e9800998ecf8427e",
    "ann@example.org",
    "report.final.pdf",
    "eyJhbGciOiJIUzI1NiJ9",
    "AKIAabcdefghijklmnopqrstuvwxyz",
    "user7",
    "größe",
    "%41",
    "a b",
    "-.-",
    "x" * 25,
    "\x1b[31m",
    "QwErTyUiOpAsDfGh",
    "xkqjzpwmvt",
    "ABCDEFGHIJKLM",
    "日本",
]


@pytest.mark.parametrize("secret", SECRETS)
def test_what_can_be_no_word_is_never_told(secret: str, table: PathTable) -> None:
    """However often it is asked for."""
    assert rows(table, [f"/files/{secret}/raw"] * 100) == {"/files/{…}/raw": 100}


WORDS = (
    "users Users getUser order-items order_items API v1 v12 _next __debug__ mlflow well-known runs-search Ab"
)


@pytest.mark.parametrize("word", WORDS.split())
def test_words_as_apps_have_them_are_told(word: str, table: PathTable) -> None:
    """In any of the usual cases."""
    assert rows(table, [f"/{word}/7"] * OFTEN) == {f"/{word}/{{…}}": OFTEN}


def test_a_word_that_comes_once_is_somebodys(table: PathTable) -> None:
    """A name or a token of letters alone is told only if it comes again and again."""
    names = [a + b + c for a in "Annbo" for b in "elmnra" for c in "aiou"]
    assert rows(table, [f"/users/{name}/profile" for name in dict.fromkeys(names)]) == {
        "/users/{…}/profile": len(set(names))
    }
    assert rows(table, ["/reset/banana"] * (OFTEN - 1) + ["/reset/"] * 5) == {
        "/reset/{…}": OFTEN - 1,
        "/reset/": 5,
    }


def test_of_many_words_at_one_place_those_that_stand_out_are_told(table: PathTable) -> None:
    """Thousands of customers who come back are no endpoints, whatever they are called."""
    rng = random.Random(7)
    customers = ["".join(rng.choices(string.ascii_lowercase, k=6)) for _ in range(1_000)]
    paths = [f"/{rng.choice(customers)}/cart" for _ in range(20_000)] + ["/login"] * 2_000
    told = rows(table, paths)
    assert told == {"/{…}/cart": 20_000, "/login": 2_000}
    assert MANY < 1_000


def test_20_000_random_words_make_one_row(table: PathTable) -> None:
    """Found or not; and the endpoints beside them keep theirs."""
    rng = random.Random(7)
    words = ["/" + "".join(rng.choices(string.ascii_letters, k=8)) for _ in range(20_000)]
    for status in (200, 404):
        told = rows(table, words + ["/api/orders"] * 500, status=200 if status == 200 else 404)
        assert told == {"/{…}": 20_000, "/api/orders": 500}
    assert len(table._known) <= MAX_KNOWN + 1_000
    assert len(table._words) <= 1_000


def test_what_was_not_found_proves_no_word(table: PathTable) -> None:
    """A scanner asks for the same thing again and again."""
    assert rows(table, ["/wp-login"] * 50, status=404) == {"/{…}": 50}


def test_shapes_are_bounded(table: PathTable) -> None:
    """The costliest are told, the others share a row, and no request is lost."""
    letters = string.ascii_lowercase
    words = [f"/{a}{b}" for a in letters[:10] for b in letters[:10]]
    paths = [f"/api{word}/{other}" for word in words[:40] for other in ("list", "edit") for _ in range(5)]
    told = rows(table, paths + ["/api/aa/list"] * 50)
    assert len(told) == MAX_PATHS + 1
    assert told["/api/aa/list"] == 55
    assert sum(told.values()) == len(paths) + 50
    assert table.forgotten == 80 - MAX_PATHS


def test_a_long_path_is_cut(table: PathTable) -> None:
    """Deeper than anybody reads."""
    (path,) = rows(table, ["/a" * 50] * 10)
    assert path == "/a" * 8 + f"/{GAP}"


def test_the_template_of_a_mount_stays() -> None:
    """With its parameters, and without the root path of the server."""
    below = PathTable(OpenEnded("/prefix", "/{tenant}/app"))
    assert rows(below, ["/prefix/acme/app/run"] * 5 + ["/other/app/run"] * 5) == {"/{tenant}/app/run": 10}


def test_failures_and_times_are_those_of_the_path(table: PathTable) -> None:
    """Clients that left count as requests and say nothing about how long it took."""
    for _ in range(4):
        table.fold(asked("/slow"), 500 * MS)
        table.fold(asked("/broken", 500), MS)
    left = asked("/slow", 200)
    left.disconnected = True
    table.fold(left, 9_000 * MS)
    told: dict[str, PathFrame] = {row.path: row for row in table.close()}
    assert (told["/slow"].requests, told["/slow"].errors, told["/slow"].latency.count) == (5, 0, 4)
    assert (told["/broken"].requests, told["/broken"].errors) == (4, 4)
    assert told["/slow"].latency.max == 500 * MS


def flask_app() -> Flask:
    app = Flask("shop")

    @app.get("/api/<int:number>/runs")
    def runs(number: int) -> str:
        return str(number)

    @app.get("/users/<name>")
    def user(name: str) -> str:
        return name

    @app.get("/")
    def home() -> str:
        return "home"

    @app.get("/broken")
    def broken() -> tuple[str, int]:
        return "broken", 500

    return app


def paths_of(service: Timed, route: str) -> dict[str, tuple[int, int]]:
    found: dict[str, tuple[int, int]] = {}
    for frame in service.seen.frames:
        for row in [row for each in frame.routes if each.route == route for row in each.paths]:
            requests, errors = found.get(row.path, (0, 0))
            found[row.path] = (requests + row.requests, errors + row.errors)
    return found


def test_the_endpoints_of_a_mounted_flask_app_are_told_apart() -> None:
    """One route to FastAPI, and below it what Flask serves."""
    app = FastAPI()

    @app.get("/fast/{item_id}")
    async def fast(item_id: int) -> int:
        return item_id

    app.mount("/", WSGIMiddleware(flask_app()))  # type: ignore[arg-type]
    with timed(app) as service:
        for number in range(5):
            assert service.get(f"/api/{number}/runs").status_code == 200
            assert service.get(f"/users/person{number}").status_code == 200
            assert service.get("/").status_code == 200
            assert service.get("/broken").status_code == 500
            assert service.get(f"/fast/{number}").status_code == 200
        assert service.requests == {"GET /{path}": 20, "GET /fast/{item_id}": 5}
        assert paths_of(service, "GET /{path}") == {
            "/api/{…}/runs": (5, 0),
            "/users/{…}": (5, 0),
            "/": (5, 0),
            "/broken": (5, 5),
        }
        assert paths_of(service, "GET /fast/{item_id}") == {}


def test_a_proxy_route_and_files_show_their_paths_too(tmp_path: Path) -> None:
    """Whatever takes any path, below whatever prefix."""
    for name in ("styles", "scripts"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "main.css").write_text("")
    app, sub = FastAPI(), FastAPI()

    @sub.get("/proxy/{rest:path}")
    async def proxy(rest: str) -> str:
        return rest

    async def foreign(scope: Any, receive: Any, send: Any) -> None:
        await PlainTextResponse("ok")(scope, receive, send)

    sub.mount("/foreign", foreign)
    app.mount("/static", StaticFiles(directory=tmp_path))
    app.mount("/sub", sub)
    with timed(app) as service:
        for number in range(4):
            service.get("/static/styles/main.css?version=secret", root_path="")
            service.get(f"/sub/proxy/orders/{number}")
            service.get("/sub/foreign/jobs")
        assert paths_of(service, "GET /static/{path}") == {f"/static/styles/{GAP}": (4, 0)}
        assert paths_of(service, "GET /sub/proxy/{rest}") == {f"/sub/proxy/orders/{GAP}": (4, 0)}
        assert paths_of(service, "GET /sub/foreign/{path}") == {"/sub/foreign/jobs": (4, 0)}


def test_an_app_without_a_catch_all_shows_no_paths() -> None:
    """20,000 random ones are one row, with nothing below it."""
    app = FastAPI()
    with timed(app) as service:
        service.call_all(http_scope(f"/wp-{number}.php") for number in range(2_000))
        assert service.requests == {"GET (unmatched)": 2_000}
        assert paths_of(service, "GET (unmatched)") == {}
