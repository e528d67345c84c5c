"""The screen of a ramp: its state in words first, then the steps on one axis, and in the end the verdict."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from perftui.faults import FAULTS
from perftui.model.ramp import RampCourse
from perftui.ramp_app import RampDashboard
from perftui.screens.ramp import RampView
from perftui.screens.triage import TriageView
from tests.perftui.screens.seen import LARGE, SMALL, Seen
from tests.support.fake_evidence import ShopFeed
from tests.support.fake_figures import NOON
from tests.support.fake_ramp import course


class Played:
    """A ramp that stands in a step until it is stopped, or is over."""

    def __init__(self, shown: RampCourse, *, heeds: bool = True) -> None:
        self.course = shown
        self.stopped = asyncio.Event()
        self.ended = False
        self._heeds = heeds

    async def run(self) -> None:
        """Go on until stopped."""
        if not self.course.is_over:
            await self.stopped.wait()
            self.course = replace(course(), ended="interrupted")
        self.ended = True

    def stop(self) -> None:
        """Stop, if it heeds that."""
        if self._heeds:
            self.stopped.set()


@asynccontextmanager
async def ramped(
    shown: RampCourse, size: tuple[int, int] = SMALL, *, heeds: bool = True
) -> AsyncIterator[tuple[Seen, Played]]:
    """Show a ramp of the shop."""
    played = Played(shown, heeds=heeds)
    app = RampDashboard(ShopFeed(), played, depth="full")
    async with app.run_test(size=size) as pilot:
        seen = Seen(app, pilot)
        await seen.repaint()
        yield seen, played
    assert not FAULTS, FAULTS.story()


def look(shown: RampCourse, size: tuple[int, int] = SMALL, *keys: str) -> list[str]:
    """Return what the screen of a ramp shows after some keys."""

    async def scene() -> list[str]:
        async with ramped(shown, size) as (seen, _):
            await seen.press(*keys)
            return seen.lines()

    return asyncio.run(scene())


@pytest.fixture(autouse=True)
def then(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a minute and a quarter have passed."""
    monkeypatch.setattr("perftui.screens.ramp.time.time", lambda: NOON + 75.0)


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_what_goes_on_is_said_in_words_before_anything_else(size: tuple[int, int]) -> None:
    """Below the header stands which step it is, its rate, what is felt, and whether it holds."""
    lines = look(course(6), size)
    assert lines[1].strip().startswith("step 6, climbing: 52.4/s offered, p95 14ms, holding")
    assert "must hold: p95<200ms, errors<1%" in lines[2]


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_the_verdict_comes_first_with_what_gave_and_the_mend(size: tuple[int, int]) -> None:
    """Where the knee is, what gave with its figures, what to do, what that should give, and what is next."""
    said = " ".join(" ".join(line.split()) for line in look(course(), size)[1:7])
    assert "knee 315/s (306 … 324), a cliff: the pool gave: 15 of 15 connections" in said
    assert "mend pool 15 → 40 a process" in said
    assert "some 620/s, an estimate" in said
    assert "next loop orders.py:41" in said


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_steps_stand_on_one_axis_and_the_resource_that_gave_is_pointed_out(size: tuple[int, int]) -> None:
    """Each row has a column for each step, above the rates; what gave has a sign of its own."""
    lines = look(course(), size)
    kept = next(line for line in lines if "kept up" in line)
    axis = next(line for line in lines if "requests/s" in line)
    assert kept.count("✓") == 12
    assert kept.count("✗") == 3
    assert axis.index("344") == kept.index("✗")
    assert [line.split()[0] for line in lines if line.startswith("▲")] == ["▲pool"]


def test_a_step_that_breaks_a_target_is_said_while_it_goes_on() -> None:
    """What is felt so far is held against what must hold."""
    shown = course(10)
    assert shown.now is not None
    assert shown.now.step.why
    assert "✗ missed p95<200ms" in look(shown)[1]


def test_answers_that_turn_down_what_is_sent_are_pointed_out() -> None:
    """A knee of 422s is no knee of the service's: it is said while the ramp goes on, and with the verdict."""
    for shown in (course(6), course()):
        steps = tuple(replace(step, turned_down=0.98) for step in shown.steps)
        assert "98% of the answers were a 4xx" in "\n".join(look(replace(shown, steps=steps))[2:6])
        assert "4xx" not in "\n".join(look(shown))


def test_enter_looks_at_the_service_while_the_ramp_goes_on_and_0_comes_back() -> None:
    """All views are there, and the ramp lies below them."""

    async def scene() -> None:
        async with ramped(course(6)) as (seen, played):
            await seen.press("enter")
            assert isinstance(seen.app.screen, TriageView)
            await seen.press("2", "1")
            assert isinstance(seen.app.screen, TriageView)
            assert not played.ended
            await seen.press("0")
            assert isinstance(seen.app.screen, RampView)

    asyncio.run(scene())


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
def test_quitting_stops_the_ramp_first(key: str) -> None:
    """It is left once nothing is sent any more."""

    async def scene() -> None:
        async with ramped(course(6)) as (seen, played):
            await seen.press(key)
            await _until(lambda: seen.app.return_value is not None)
            assert played.ended
            assert seen.app.return_value == 0

    asyncio.run(scene())


def test_a_ramp_that_does_not_stop_is_left_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """After three seconds, or as soon as one asks again; meanwhile the screen says that it stops."""
    monkeypatch.setattr("perftui.ramp_app.STOP_S", 0.3)

    async def scene() -> None:
        async with ramped(course(6), heeds=False) as (seen, played):
            await seen.press("q")
            assert not played.ended
            await _until(lambda: seen.app.return_value is not None)
            app = seen.app
            assert isinstance(app, RampDashboard)
            await app.finish()
            assert not played.ended

    asyncio.run(scene())


def test_the_verdict_stays_until_somebody_leaves() -> None:
    """A ramp that is over ends no screen."""

    async def scene() -> None:
        async with ramped(course()) as (seen, played):
            assert played.ended
            await seen.repaint()
            assert seen.app.return_value is None
            await seen.press("q")
            assert seen.app.return_value == 0

    asyncio.run(scene())


def test_what_ends_a_ramp_by_itself_is_raised_once_the_screen_is_left() -> None:
    """It is told on a plain terminal."""

    class Broken(Played):
        async def run(self) -> None:
            raise OSError("no more descriptors")

    async def scene() -> None:
        app = RampDashboard(ShopFeed(), Broken(course(6)), depth="full")
        async with app.run_test(size=SMALL):
            await _until(lambda: app.return_value is not None)
        with pytest.raises(OSError, match="no more descriptors"):
            app.outcome(app.return_value)

    asyncio.run(scene())


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - of what an app does by itself
            await asyncio.sleep(0.02)
