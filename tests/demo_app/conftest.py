"""The shop on real servers, with data of its own, and with an eye on what its code does."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lanes import common_base
from tests.support.postgres import postgres
from tests.support.servers import Service, running, write_app

WATCHED_SHOP = """
    from __future__ import annotations

    import threading
    from typing import Any

    from sqlalchemy import Engine, event

    from demo_app.app import app
    from demo_app.routers import checkout, items, reports

    seen: dict[str, Any] = {}
    engine = app.state.sessions.kw["bind"]
    build, ask_bank = reports.build, checkout.ask_bank


    @event.listens_for(Engine, "before_cursor_execute")
    def note_statement(connection, cursor, statement, parameters, context, executemany):
        seen.setdefault("statements", []).append(statement)


    def watched_build(sales):
        seen["built_on_loop"] = threading.current_thread() is threading.main_thread()
        return build(sales)


    async def watched_ask_bank():
        seen["connections_held"] = engine.pool.checkedout()
        await ask_bank()


    reports.build, checkout.ask_bank = watched_build, watched_ask_bank


    @app.get("/seen")
    async def what_was_seen():
        now = {"statements": [], "pool_size": engine.pool.size(), "cache_size": items.items_by_id.maxsize}
        now |= seen
        seen.clear()
        return now
"""
"""The shop with a way to ask what it did since it was last asked."""


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory for the shop's SQLite files, for all tests of all lanes: to build one takes 4 s."""
    path = common_base(tmp_path_factory) / "shop"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def shop(request: pytest.FixtureRequest, data_dir: Path) -> Iterator[Service]:
    """Return the shop with all its faults, on each of its databases."""
    if request.param == "sqlite":
        with running(workers=2, env={"SHOP_DATA_DIR": str(data_dir)}) as service:
            yield service
    else:
        with postgres() as url, running(workers=2, env={"DATABASE_URL": url}) as service:
            yield service


def watched(data_dir: Path, directory: Path, faults: str) -> Iterator[Service]:
    env = {"SHOP_DATA_DIR": str(data_dir), "SHOP_FAULTS": faults}
    with running(write_app(directory, WATCHED_SHOP, "watched_shop"), workers=1, env=env) as service:
        yield service


@pytest.fixture(scope="module")
def faulty(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return the watched shop with all its faults."""
    yield from watched(data_dir, tmp_path_factory.mktemp("faulty"), "all")


@pytest.fixture(scope="module")
def healthy(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Return the watched shop with none of its faults."""
    yield from watched(data_dir, tmp_path_factory.mktemp("healthy"), "none")
