"""The profile of a worker or of all, as a screen."""

from __future__ import annotations

from pathlib import Path

import pytest

from perftui_agent.wire.dumps import Refusal
from tests.perftui.screens.seen import LARGE, Seen, look
from tests.support.fake_feed import FakeFeed


def test_three_keys_lead_to_the_hot_line() -> None:
    """From triage: P, yes, own time; the first line is the one."""
    screen = look(FakeFeed(troubles={"blocked"}), "P", "y", "t")
    lines = screen.splitlines()
    assert lines[0].startswith(" shop › 4 workers › profile")
    assert "3,812 samples ±2 %" in lines[0]
    assert lines[4].split()[:5] == ["50%", "62%", "48–52%", "rolling_medians", "reports.py:53"]


def test_routes_stand_above_and_one_can_be_chosen() -> None:
    """`r` goes from route to route: the shares are those of the route alone."""
    feed = FakeFeed(troubles={"blocked"})
    every, reports = look(feed, "P", "y"), look(feed, "P", "y", "r")
    assert "▸all routes  GET /reports 64%  GET /orders 23%  (no request) 13%" in every
    assert "▸GET /reports 64%" in reports
    assert "load_lines" not in reports


def test_zoom_tells_shares_of_both() -> None:
    """⏎ zooms into a function: its share of what is shown and of the whole; esc goes back."""
    feed = FakeFeed(troubles={"blocked"})
    zoomed = look(feed, "P", "y", "j", "enter")
    assert "ALL ▸ build" in zoomed
    line = next(line for line in zoomed.splitlines() if "rolling_medians" in line)
    assert line.split()[:2] == ["97%", "62%"]
    assert look(feed, "P", "y", "j", "enter", "escape") == look(feed, "P", "y", "j")


def test_escape_leads_home() -> None:
    """From the profile itself esc goes back to where it was asked for."""
    assert " ROUTES" in look(FakeFeed(troubles={"blocked"}), "P", "y", "escape")


def test_callers_of_a_function() -> None:
    """`i` on a line shows who calls it, and again the ways."""
    screen = look(FakeFeed(troubles={"blocked"}), "P", "y", "j", "j", "j", "i")
    assert "CALLERS OF median" in screen
    assert "rolling_medians ▸ build ▸ app ▸ Server.run server.py:70" in look(
        FakeFeed(troubles={"blocked"}), "P", "y", "j", "j", "j", "i", size=LARGE
    )


def test_an_expression_is_found_and_a_wrong_one_explained() -> None:
    """/ tells how many functions it finds and what share passes through them, as one types."""
    feed = FakeFeed(troubles={"blocked"})
    assert "/med finds 2 functions: 62% passes through them" in look(feed, "P", "y", "slash", *"med", "enter")
    assert "/(: " in look(feed, "P", "y", "slash", "left_parenthesis")


def test_a_profile_against_the_mark() -> None:
    """`b` marks one, `a` takes another, `x` tells what has changed, in ms for each second."""
    feed = FakeFeed(troubles={"blocked"})

    async def then(seen: Seen) -> None:
        feed.profile_scale = 2.5
        await seen.press("a", "x")

    screen = look(feed, "P", "y", "b", then=then, size=LARGE)
    line = next(line for line in screen.splitlines() if "rolling_medians" in line)
    assert line.split()[:4] == ["▲", "480ms", "1.20s", "+720.0"]
    assert "functions as before" in screen
    assert "no mark yet" in look(FakeFeed(), "P", "y", "x")


def test_it_is_live_and_can_be_ended_early() -> None:
    """While it samples there is a picture of what was seen; `e` ends it with that."""
    feed = FakeFeed(troubles={"blocked"}, profile_waits=True)
    live = look(feed, "P", "y")
    assert "s left" in live.splitlines()[0]
    assert "rolling_medians" in live
    ended = look(feed, "P", "y", "e")
    assert "s left" not in ended
    assert "rolling_medians" in ended


def test_a_refusal_says_why_and_the_mend() -> None:
    """Each worker that could not be profiled has its line."""
    feed = FakeFeed(answer=Refusal(id="p", reason="actions are switched off", advice="start it otherwise"))
    screen = look(feed, "P", "y")
    assert screen.count("actions are switched off") == 4
    assert "start it otherwise" in screen


def test_no_is_no() -> None:
    """Nothing is profiled without a yes."""
    feed = FakeFeed()
    look(feed, "P", "n")
    assert feed.profiled == []


def test_one_worker_alone() -> None:
    """From the workers' view only the one under the cursor is profiled, and `v` takes the other engine."""
    feed = FakeFeed()

    async def then(seen: Seen) -> None:
        await seen.press("v")

    screen = look(feed, "6", "P", "y", then=then)
    assert screen.splitlines()[0].startswith(" shop › worker ")
    assert [by_route for _, by_route in feed.profiled] == [True, False]


def test_it_is_written_into_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`o` writes every format, and says so."""
    monkeypatch.chdir(tmp_path)
    assert "wrote perftui-profile-" in look(FakeFeed(), "P", "y", "o", size=LARGE)
    assert sorted("".join(path.suffixes) for path in tmp_path.iterdir()) == [
        ".collapsed",
        ".pstats",
        ".speedscope.json",
        ".svg",
    ]
