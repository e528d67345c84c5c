"""A recording in the dashboard: every view as it was live, and a clock."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from perftui.app import Dashboard
from perftui.feed import Feed, LiveFeed
from perftui.model.dashboard import Dashboard as Known
from perftui.model.merge import merge
from perftui.recording.entries import Judged, moment_of
from perftui.recording.gaps import clock_time
from perftui.recording.reader import Recording
from perftui.replay import ReplayFeed
from perftui.replay_app import ReplayDashboard
from tests.perftui.screens.seen import Seen
from tests.support.asked import asked_of
from tests.support.frames import T, worker
from tests.support.recordings import record
from tests.support.rich_service import rich_service

SIZE = (120, 40)

SECONDS = 75

VIEWS: tuple[tuple[str, ...], ...] = (
    *((number,) for number in "12345678"),
    *((number, "enter") for number in "2345678"),
    ("4", "tab", "enter"),
    ("7", "G", "enter"),
    ("w",),
)
"""Every view, and what opens from its first row."""


@contextmanager
def recorded(path: Path, seconds: int = SECONDS) -> Iterator[Recording]:
    """Record a service that has something of everything."""
    with Recording.open(record(path / "a.perftui", rich_service(seconds))) as recording:
        yield recording


@asynccontextmanager
async def shown(app: Dashboard) -> AsyncIterator[Seen]:
    """Show an app at its size."""
    async with app.run_test(size=SIZE) as pilot:
        seen = Seen(app, pilot)
        await seen.repaint()
        yield seen


class Standing(LiveFeed):
    """A live service of which everything has been heard, at one moment."""

    def __init__(self, known: Known, at: float) -> None:
        self._dashboard = known
        self._clock = lambda: at
        self._held = None

    async def run(self, arrived: object) -> None:
        """Hear nothing more."""
        await asyncio.Event().wait()

    def look_back(self) -> None:
        """Know the past already."""

    def judged(self, at: float, findings: object) -> None:
        """Keep everything anyway."""


def live_at(at: float, seconds: int = SECONDS) -> Feed:
    """Return the live service as it was at a moment."""
    known = Known("localhost:8000")
    for event in rich_service(seconds):
        if moment_of(event) <= at:
            known = merge(known, event)
    return Standing(known, at)


async def texts(app: Dashboard) -> dict[str, list[str]]:
    """Return every view as text, without where in time one stands and what one can do."""
    found = {}
    async with shown(app) as seen:
        for keys in VIEWS:
            await seen.press("1", *keys)
            lines = seen.lines()[:-1]
            state = re.sub(r"● live|(plays|stands at) [\d:]+( ×\S+)?  of [\d:]+", "", lines[0])
            lines[0] = re.sub(r" +", " ", state)
            found[" ".join(keys)] = lines
    return found


@pytest.mark.parametrize("second", [44, 74])
def test_every_view_of_a_recording_is_that_of_the_live_service(tmp_path: Path, second: int) -> None:
    """Whatever was on a screen then is on it now, line by line: leapt to, and played to."""
    at = T + second + 0.5

    async def scene() -> None:
        live = await texts(Dashboard(live_at(at), depth="full", clock=lambda: 0.0))
        with recorded(tmp_path) as recording:
            leapt = ReplayFeed(recording, at=at)
            leapt.settle()
            assert await texts(ReplayDashboard(leapt, depth="full", clock=lambda: 0.0)) == live
            played = ReplayFeed(recording, at=T + 20.0)
            played.settle()
            played.playing = True
            await played._play(at - played.at, lambda _: None)
            played.stand()
            assert played.at == at
            assert await texts(ReplayDashboard(played, depth="full", clock=lambda: 0.0)) == live

    asyncio.run(scene())


@contextmanager
def asked_and_recorded(path: Path) -> Iterator[tuple[Feed, ReplayFeed]]:
    """Give a service of which everything was asked that can be, live and replayed, right after it."""
    known = Known("localhost:8000")
    events = [*rich_service(30, workers=1), *asked_of(worker(4120), T + 29.1)]
    events.sort(key=moment_of)
    for event in events:
        known = merge(known, event)
    with Recording.open(record(path / "a.perftui", events)) as recording:
        replay = ReplayFeed(recording, at=T + 30.2)
        replay.settle()
        yield Standing(known, T + 30.2), replay


def test_what_was_asked_for_opens_from_the_timeline_live_and_replayed(tmp_path: Path) -> None:
    """A dump, a profile, what grew, functions, a plan and the databases, each on the screen of its kind."""
    shows = ("build_report", "shop/cart.py", "GREW, BY LINE", "calls", "search_terms", "as of")

    async def opened(app: Dashboard) -> dict[str, list[str]]:
        screens: dict[str, list[str]] = {}
        async with shown(app) as seen:
            await seen.press("7")
            for _ in range(30):
                cursor = next(line for line in seen.lines() if line.startswith("›"))
                if " asked " in cursor and cursor not in screens:
                    await seen.press("enter")
                    screens[re.sub(r"^.*? asked ", "", cursor)] = seen.lines()[1:-1]
                    await seen.press("escape")
                await seen.press("j")
        return screens

    async def scene() -> None:
        with asked_and_recorded(tmp_path) as (live, replay):
            told = await opened(Dashboard(live, depth="full", clock=lambda: 0.0))
            assert len(told) == len(shows)
            for said in shows:
                assert sum(said in "\n".join(lines) for lines in told.values()) >= 1, said
            assert await opened(ReplayDashboard(replay, depth="full", clock=lambda: 0.0)) == told

    asyncio.run(scene())


def replayed(recording: Recording, at: float | None = None) -> ReplayDashboard:
    """Return the dashboard on a recording."""
    feed = ReplayFeed(recording, at=at)
    feed.settle()
    return ReplayDashboard(feed, depth="full", clock=lambda: 0.0)


def test_the_clock_steps_leaps_and_goes_to_either_end(tmp_path: Path) -> None:
    """`[` `]` step by a tick, `{` `}` leap by a window, Home and End go to the ends, which is said."""

    async def scene() -> None:
        with recorded(tmp_path) as recording:
            async with shown(replayed(recording)) as seen:
                assert f"stands at {clock_time(recording.ended_at)}" in seen.lines()[0]
                await seen.press("left_square_bracket", "left_square_bracket")
                assert f"stands at {clock_time(recording.ended_at - 2)}" in seen.lines()[0]
                await seen.press("left_curly_bracket")
                assert f"stands at {clock_time(recording.ended_at - 62)}" in seen.lines()[0]
                await seen.press("home")
                assert f"stands at {clock_time(T)}" in seen.lines()[0]
                assert "the recording begins here" in seen.lines()[-1]
                await seen.press("end")
                assert "the recording ends here" in seen.lines()[-1]

    asyncio.run(scene())


def test_it_plays_and_stands_slower_and_faster(tmp_path: Path) -> None:
    """`space` plays, at the end from the beginning, `>` and `<` say how fast, and the header tells."""

    async def scene() -> None:
        with recorded(tmp_path) as recording:
            app = replayed(recording)
            async with shown(app) as seen:
                await seen.press("greater_than_sign", "space")
                feed = app._feed
                assert isinstance(feed, ReplayFeed)
                assert (feed.playing, feed.speed) == (True, 2.0)
                assert "plays" in seen.lines()[0]
                assert "×2" in seen.lines()[0]
                began = feed.at
                feed.settle()
                await feed._play(3.0, lambda _: None)
                assert feed.at == pytest.approx(began + 3.0, abs=0.5)
                await seen.press("space", "less_than_sign", "less_than_sign")
                assert (feed.playing, feed.speed) == (False, 0.5)

    asyncio.run(scene())


def test_next_goes_to_what_happened(tmp_path: Path) -> None:
    """`n` goes to the next thing on the timeline, `N` to the one before, and says what it is."""

    async def scene() -> None:
        with recorded(tmp_path) as recording:
            async with shown(replayed(recording, T + 1.0)) as seen:
                said = []
                for _ in range(8):
                    await seen.press("n")
                    said.append(seen.lines()[-1].strip())
                told = "\n".join(said)
                for what in ("trigger", "a clock was set", "mark deploy", "a worker is gone"):
                    assert what in told
                assert "nothing happened after this" in told
                await seen.press("N")
                assert said[-2] != seen.lines()[-1].strip()

    asyncio.run(scene())


def test_nothing_is_asked_of_a_service_that_was(tmp_path: Path) -> None:
    """Dumps, profiles and what else intrudes are refused with a sentence, and so is recording it anew."""

    async def scene() -> None:
        with recorded(tmp_path) as recording:
            async with shown(replayed(recording)) as seen:
                for key in "DPF":
                    await seen.press(key)
                    assert (
                        "this is a recording: nothing can be asked of a service that was" in seen.lines()[-1]
                    )
                await seen.press("6", "enter", "M")
                assert "this is a recording" in seen.lines()[-1]
                await seen.press("R")
                assert "there is nothing here to record" in seen.lines()[-1]

    asyncio.run(scene())


def test_what_was_taken_opens_from_the_timeline(tmp_path: Path) -> None:
    """A trigger's dump is in the recording, and is shown as it was taken."""

    async def scene() -> None:
        with recorded(tmp_path) as recording:
            async with shown(replayed(recording)) as seen:
                await seen.press("7", "slash", *"trigger", "enter", "enter")
                assert "build" in seen.text()
                assert "app/r.py:9" in seen.text()

    asyncio.run(scene())


def test_the_keys_of_a_recording_are_told_in_it_alone(tmp_path: Path) -> None:
    """The bottom line has them in a replay, and not beside a live service."""

    async def scene() -> None:
        with recorded(tmp_path) as recording:
            async with shown(replayed(recording)) as seen:
                assert "n next" in seen.lines()[-1]
        async with shown(Dashboard(live_at(T + 30.0), depth="full", clock=lambda: 0.0)) as seen:
            assert "n next" not in seen.lines()[-1]

    asyncio.run(scene())


def test_recorded_findings_are_things_to_go_to(tmp_path: Path) -> None:
    """When a finding began, as whoever recorded judged, is a place to go."""
    from perftui.findings.find import find
    from perftui.replay import things_in

    feed = live_at(T + 40.0)
    found = find(feed.summary(60.0))
    events = [*rich_service(50), Judged(T + 40.0, tuple(found)), Judged(T + 45.0, tuple(found))]
    with Recording.open(record(tmp_path / "b.perftui", sorted(events, key=moment_of))) as recording:
        things = [thing for thing in things_in(recording) if thing.at == T + 40.0]
        assert {thing.sentence for thing in things} >= {f"{each.kind} of {each.subject}" for each in found}
        assert not [thing for thing in things_in(recording) if thing.at == T + 45.0]
