"""Pictures of the screens, of a made-up service at one moment: `python -m tests.support.pictures`.

The app's own screenshots at 120×40 for the documents, and the views at 80×24 as plain text. The same code
gives the same files, and a test holds the screens against them: a screen that has changed is looked at and
drawn anew, never unnoticed.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import patch

from perftui.app import Dashboard
from perftui.model.ramp import RampCourse
from perftui.ramp_app import RampDashboard
from tests.support.fake_database import locked
from tests.support.fake_evidence import ShopFeed
from tests.support.fake_feed import NOON
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
        "dump": ("6", "D", "y"),
        "rewound": ("left_curly_bracket",),
        "filter": ("slash", *"p95>100ms"),
        "palette": ("colon", *"pa"),
        "keys": ("question_mark",),
    }
)
"""A name for each picture, and the keys that lead there."""

TEXTS = (
    *("triage", "routes", "requests", "sql", "database", "caches", "workers", "timeline", "upstreams"),
    *("route", "request", "upstream", "dump"),
)
"""Those that are pinned as text at 80×24, too."""

DOCS = Path(__file__).parents[2] / "docs"
SCREENS = Path(__file__).parents[1] / "perftui" / "screens" / "screens.txt"

PRESSES = MappingProxyType({">": "greater_than_sign"})
"""Characters that a key has a name for."""


def _shop() -> ShopFeed:
    return ShopFeed(troubles=TROUBLES, clock=lambda: NOON, database=locked())


async def _at(
    size: tuple[int, int], keys: tuple[str, ...], shown: RampCourse | None = None
) -> tuple[str, str]:
    """Return the screen after these keys, as SVG and as text; that of a ramp of the shop if there is one."""
    options: dict[str, Any] = {"depth": "full", "clock": lambda: 0.0}
    app = (
        Dashboard(_shop(), **options) if shown is None else RampDashboard(_shop(), Standing(shown), **options)
    )
    async with app.run_test(size=size) as pilot:
        app.repaint()
        await pilot.pause()
        for key in keys:
            await pilot.press(PRESSES.get(key, key))
        await pilot.pause()
        # The number in its names is another one in each run.
        drawn = re.sub(r"terminal-\d+", "terminal", app.export_screenshot(title="perftui"))
        lines = [strip.text.rstrip() for strip in app.screen._compositor.render_strips()]
        return drawn, "\n".join(lines)


def picture(name: str) -> str:
    """Return a screen at 120×40 as SVG."""
    return asyncio.run(_at(LARGE, PICTURES[name]))[0]


def text(name: str) -> str:
    """Return a screen at 80×24 as text."""
    return asyncio.run(_at(SMALL, PICTURES[name]))[1]


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
        return asyncio.run(_at(size, (), course(steps)))[1]


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
