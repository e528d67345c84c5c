"""What the dashboard lives on, from real sockets and black boxes."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from perftui.feed import LiveFeed
from perftui.sources.live import LiveSource
from perftui.sources.target import parse_live
from perftui_agent.wire.parts import WorkerId
from tests.support.fake_service import fake_service
from tests.support.servers import private_dir

TEN_MINUTES_S = 600


@pytest.fixture
def directory() -> Iterator[Path]:
    """A runtime directory with a name short enough for sockets."""
    path = private_dir()
    yield path
    shutil.rmtree(path)


def test_ten_minutes_are_there_after_connecting_and_the_present_comes_between(directory: Path) -> None:
    """All the service did before is counted once, and what it does meanwhile is seen before the past is."""

    async def scenario() -> None:
        async with (
            fake_service(directory, workers=3, routes=10, history_s=TEN_MINUTES_S) as service,
            LiveSource(parse_live(["8000"]), where=[directory], head_start_s=20.0) as source,
        ):
            feed = LiveFeed(source)
            spoke: list[WorkerId] = []
            happened = asyncio.Event()
            began = time.time()

            def heard(worker: WorkerId | None) -> None:
                spoke.extend([worker] if worker is not None else [])
                happened.set()

            async def until(true: Callable[[], bool]) -> None:
                while not true():
                    happened.clear()
                    await happened.wait()

            def past_s() -> float:
                return began - (feed.reach()[0] or began)

            following = asyncio.create_task(feed.run(heard))
            await until(lambda: past_s() > 0)
            feed.look_back()
            await service.speak()
            await until(lambda: len(spoke) == len(service.workers))
            assert past_s() < TEN_MINUTES_S / 2
            await until(lambda: feed.summary(900.0).totals.requests >= service.requests)
            assert feed.summary(900.0).totals.requests == service.requests
            assert past_s() > TEN_MINUTES_S - 20
            following.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await following

    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario()

    asyncio.run(bounded())
