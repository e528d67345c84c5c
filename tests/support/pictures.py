"""Pictures of the screens: `python -m tests.support.pictures`, from a recording of the real demo.

The app's own screenshots at 120×40 for the documents, at one moment of the recordings in `tests/data`, which
`python -m tests.support.demo_recording` makes; and the views at 80×24 as plain text, of a made-up service
that has something of everything. The same code gives the same files, and a test holds the screens against
them: a screen that has changed is looked at and drawn anew, never unnoticed.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from unittest.mock import patch

from perftui.app import Dashboard
from perftui.faults import FAULTS
from perftui.feed import Feed, LiveFeed
from perftui.model.dashboard import Dashboard as Known
from perftui.model.database import Databases
from perftui.model.ramp import RampCourse
from perftui.ramp_app import RampDashboard
from perftui.recording.looking import dashboard_at
from perftui.recording.reader import Recording
from tests.support.demo_recording import AROUND, DEMO
from tests.support.fake_database import locked
from tests.support.fake_evidence import ShopFeed
from tests.support.fake_figures import NOON
from tests.support.fake_ramp import course

LARGE = (120, 40)
SMALL = (80, 24)

TROUBLES = ("blocked", "slo", "errors")

PICTURES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "triage": (),
        "routes": ("2",),
        "requests": ("3",),
        "sql": ("4",),
        "database": ("4", "d"),
        "caches": ("5",),
        "workers": ("6",),
        "timeline": ("7",),
        "upstreams": ("8",),
        "route": ("2", "enter"),
        "request": ("3", "enter"),
        "statement": ("4", "enter"),
        "pool": ("4", "tab", "enter"),
        "worker": ("6", "enter"),
        "upstream": ("8", "enter"),
        "dump": ("7", "slash", *"was taken", "enter", "enter"),
        "rewound": ("left_square_bracket",) * 2,
        "filter": ("slash", *"p95>100ms"),
        "palette": ("colon", *"pa"),
        "keys": ("question_mark",),
        "ramp": (),
    }
)
"""A name for each picture, and the keys that lead there."""

TEXTS = (
    *("triage", "routes", "requests", "sql", "database", "caches", "workers", "timeline", "upstreams"),
    *("route", "request", "upstream", "dump"),
)
"""Those that are pinned as text at 80×24, too."""

ASKED: Mapping[str, tuple[str, ...]] = MappingProxyType({"dump": ("6", "D", "y")})
"""Keys that lead there where somebody answers; in a recording it stands on the timeline."""

AROUND_IT = frozenset({"database", "upstreams", "upstream"})
"""What is shown of the demo under faults of its database and of those it calls."""

MOMENT_S = 17.0
"""The moment of the pictures, from the beginning of the recording."""

BACK_S = (12.0, 6.0, 0.0)
"""So long before it the dashboard has looked already: since when something is wrong is part of a picture."""

KNEE = Path(__file__).parents[1] / "data" / "knee.perftui"
"""The ramp of the README, as `perftui ramp -o` has recorded it; its last seconds alone."""

DOCS = Path(__file__).parents[2] / "docs"
SCREENS = Path(__file__).parents[1] / "perftui" / "screens" / "screens.txt"

PRESSES = MappingProxyType({">": "greater_than_sign"})
"""Characters that a key has a name for."""


class Recorded(LiveFeed):
    """The demo as it was at a moment of its recording: of what happened later nothing is known."""

    def __init__(self, known: Sequence[tuple[float, Known]]) -> None:
        self.known = tuple(known)
        self.stand(0)
        self._clock = lambda: self._at
        self._held = None

    def stand(self, place: int) -> None:
        """Stand at one of the moments."""
        self._at, self._dashboard = self.known[place]

    async def run(self, arrived: object) -> None:
        """Hear nothing more."""
        await asyncio.Event().wait()

    def look_back(self) -> None:
        """Know the past already."""

    def judged(self, at: float, findings: object) -> None:
        """Keep everything anyway."""

    async def databases(self) -> Databases:
        """Ask nobody, as a recording does."""
        return Databases(())


@cache
def recorded(file: Path = DEMO) -> Recorded:
    """Return the demo at the moment of the pictures."""
    with Recording.open(file) as recording:
        moments = [recording.began_at + MOMENT_S - back_s for back_s in BACK_S]
        return Recorded([(at, dashboard_at(recording, at)) for at in moments])


async def _at(app: Dashboard, size: tuple[int, int], keys: tuple[str, ...] = ()) -> tuple[str, str]:
    """Return the screen after these keys, as SVG and as text."""
    async with app.run_test(size=size) as pilot:
        if isinstance(app._feed, Recorded):
            for place in range(len(app._feed.known)):
                app._feed.stand(place)
                app.repaint()
        app.repaint()
        await pilot.pause()
        for key in keys:
            await pilot.press(PRESSES.get(key, key))
        await pilot.pause()
        # They would be told in the bottom line, and looked at by nobody for months.
        assert not FAULTS, FAULTS.story()
        # The number in its names is another one in each run.
        drawn = re.sub(r"terminal-\d+", "terminal", app.export_screenshot(title="perftui"))
        lines = [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]
        return drawn, "\n".join(lines)


def _shop() -> ShopFeed:
    return ShopFeed(troubles=TROUBLES, clock=lambda: NOON, database=locked())


def _dashboard(feed: Feed, course: RampCourse | None = None) -> Dashboard:
    """Return an app that stands still; that of a ramp if there is one."""
    if course is None:
        return Dashboard(feed, depth="full", clock=lambda: 0.0)
    return RampDashboard(feed, Standing(course), depth="full", clock=lambda: 0.0)


def picture(name: str) -> str:
    """Return a screen at 120×40 as SVG."""
    if name == "ramp":
        with Recording.open(KNEE) as recording:
            (told,) = recording.ramps()
            standing = Recorded([(told.at, dashboard_at(recording, told.at))])
        return asyncio.run(_at(_dashboard(standing, told.course), LARGE))[0]
    feed = recorded(AROUND if name in AROUND_IT else DEMO)
    return asyncio.run(_at(_dashboard(feed), LARGE, PICTURES[name]))[0]


def text(name: str) -> str:
    """Return a screen at 80×24 as text."""
    return asyncio.run(_at(_dashboard(_shop()), SMALL, ASKED.get(name, PICTURES[name])))[1]


class Standing:
    """A ramp that stands where it is."""

    def __init__(self, shown: RampCourse) -> None:
        self.course = shown

    async def run(self) -> None:
        """Do nothing."""

    def stop(self) -> None:
        """Do nothing."""


def ramp_text(steps: int | None, size: tuple[int, int]) -> str:
    """Return the screen of a ramp in a step, else when it is over."""
    with patch("perftui.screens.ramp.time.time", lambda: NOON + 75.0):
        return asyncio.run(_at(_dashboard(_shop(), course(steps)), size))[1]


def texts() -> str:
    """Return all pinned screens, one below the other."""
    ramps = {
        "ramp, step 6": ramp_text(6, SMALL),
        "ramp, over": ramp_text(None, SMALL),
        "ramp, over, at 120 by 40": ramp_text(None, LARGE),
    }
    told = {**{name: text(name) for name in TEXTS}, **ramps}
    return "\n".join(f"══ {name} ══\n{drawn}\n" for name, drawn in told.items())


def main() -> None:
    """Draw everything anew."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    for name in PICTURES:
        (DOCS / f"{name}.svg").write_text(picture(name), encoding="utf-8")
    SCREENS.write_text(texts(), encoding="utf-8")


if __name__ == "__main__":
    main()
