"""Each kind of meter, and that none is left on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import anyio._backends._asyncio as anyio_backend
import pytest

from perftui_agent.inspect import stepping
from perftui_agent.inspect.meters import CallbackMeter, LocalMeter
from perftui_agent.probes.http import timing

METERS = [CallbackMeter] if sys.version_info >= (3, 12) else [LocalMeter, CallbackMeter]


@pytest.fixture(params=METERS, ids=lambda meter: meter.__name__)
def _meter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stepping, "new_meter", request.param)


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    submit, run = ThreadPoolExecutor.submit, _run_in_thread()
    ways = [road.untimed for road in timing.roads]
    yield
    assert ThreadPoolExecutor.submit is submit
    assert _run_in_thread() is run
    assert [_led_by(road) for road in timing.roads][: len(ways)] == ways
    assert sys.getprofile() is None


def _run_in_thread() -> Any:
    return vars(anyio_backend.AsyncIOBackend)["run_sync_in_worker_thread"]


def _led_by(road: timing.Road) -> Any:
    """Return by which way a road leads now."""
    (cell,) = road.lead.__closure__ or ()
    return cell.cell_contents
