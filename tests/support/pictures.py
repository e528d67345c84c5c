"""Pictures of the views for the documents: `python -m tests.support.pictures [folder]`.

The app's own screenshots of a made-up service at one moment, so the same code gives the same files.
"""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Mapping
from types import MappingProxyType

from perftui.app import Dashboard
from tests.support.fake_feed import NOON, FakeFeed

SIZE = (110, 34)

TROUBLES = ("blocked", "slo", "errors")

VIEWS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "triage": (),
        "rewound": ("left_curly_bracket",),
        "route": ("enter",),
        "worker": ("tab", "enter"),
        "dump": ("D", "y"),
        "palette": ("colon", *"pa"),
        "keys": ("question_mark",),
    }
)
"""A name for each picture, and the keys that lead there."""


async def picture(*keys: str) -> str:
    """Return the screen after these keys as SVG."""
    app = Dashboard(FakeFeed(troubles=TROUBLES, clock=lambda: NOON), depth="full", clock=lambda: 0.0)
    async with app.run_test(size=SIZE) as pilot:
        app.repaint()
        await pilot.pause()
        for key in keys:
            await pilot.press(key)
        await pilot.pause()
        return _steady(app.export_screenshot(title="perftui"))


def _steady(svg: str) -> str:
    """Return a picture without the number that is another one in each run."""
    return re.sub(r"terminal-\d+", "terminal", svg)


def main() -> None:
    """Write all pictures into a folder."""
    folder = sys.argv[1] if len(sys.argv) > 1 else "docs"
    os.environ["TZ"] = "UTC"
    time.tzset()
    for name, keys in VIEWS.items():
        drawn = asyncio.run(picture(*keys))
        with open(os.path.join(folder, f"{name}.svg"), "w", encoding="utf-8") as file:
            file.write(drawn)


if __name__ == "__main__":
    main()
