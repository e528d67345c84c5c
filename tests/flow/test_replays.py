"""A recording in a real terminal, by the real command line."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.recordings import record
from tests.support.rich_service import rich_service
from tests.support.terminal import perftui, terminal


def test_a_recording_plays_in_a_terminal_and_leaves_it_as_it_was(tmp_path: Path) -> None:
    """`perftui replay` stands where it was told to, plays, goes to what happened next, and quits."""
    path = record(tmp_path / "a.perftui", rich_service(75))
    env = {**os.environ, "TZ": "UTC", "PERFTUI_RUNTIME_DIR": str(tmp_path)}
    with terminal(*perftui("replay", str(path), "--at", "+60s"), env=env, size=(110, 30)) as seen:
        seen.wait_for("stands at", "GET /items/{item_id}")
        assert "22:15:00 of 22:15:15" in seen.lines()[0].replace("  ", " ")
        seen.press(" ")
        seen.wait_for("plays")
        seen.wait(lambda text: "22:15:02" in text or "22:15:03" in text, "the clock to go on")
        seen.press("N")
        seen.wait_for("stands at")
        seen.press("q")
        assert seen.end() == 0
