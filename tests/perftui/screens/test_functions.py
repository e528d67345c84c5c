"""Which functions a route's requests call, as a screen."""

from __future__ import annotations

import pstats
from pathlib import Path

import pytest

from perftui_agent.wire.dumps import Refusal
from tests.perftui.screens.seen import LARGE, SMALL, look
from tests.support.fake_feed import FakeFeed


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_the_dearest_function_comes_first(size: tuple[int, int]) -> None:
    """What the requests took and where, then the functions by their own time."""
    lines = look(FakeFeed(), "2", "F", "y", size=size).splitlines()
    assert "functions" in lines[0]
    assert lines[1].strip().startswith("20 requests, 60ms each: 27ms on the loop, 3.0ms in threads, 30ms wa")
    assert lines[3].split()[:4] == ["FUNCTIONS", "↓own", "total", "calls"]
    first = lines[4].split()
    assert first[:6] == ["›", "shop/reports.py:53", "rolling_medians", "360ms", "60%", "520ms"]
    assert first[6] == "20"
    assert all(len(line) <= size[0] for line in lines)


def test_it_asks_first_and_names_the_worker_and_the_cost() -> None:
    """At 80 columns, too."""
    asked = look(FakeFeed(), "2", "F").splitlines()[-1]
    assert asked.startswith(" Measure the next 20 requests in worker 4121? They take")
    assert asked.rstrip().endswith("no")


def test_it_can_be_sorted_by_each_column() -> None:
    """By own, total, calls and the name of the function."""
    by_total = look(FakeFeed(), "2", "F", "y", "s").splitlines()
    assert "build" in by_total[4]
    by_calls = look(FakeFeed(), "2", "F", "y", "s", "s").splitlines()
    assert "sorted" in by_calls[4]
    by_name = look(FakeFeed(), "2", "F", "y", "s", "s", "s").splitlines()
    assert "<built-in" in by_name[4]
    assert "rolling_medians" in look(FakeFeed(), "2", "F", "y", "s", "S").splitlines()[4]


def test_it_says_how_far_it_is_and_can_be_ended() -> None:
    """Three of twenty requests; ended, it keeps those and says so."""
    feed = FakeFeed(profile_waits=True)
    assert "3 of 20 requests … 60 s left" in look(feed, "2", "F", "y")
    ended = look(FakeFeed(profile_waits=True), "2", "F", "y", "e")
    assert "3 requests, 60ms each" in ended
    assert "ended early: 3 of 20 requests were measured" in ended


def test_a_refusal_says_why_and_the_mend() -> None:
    """One sentence, and what helps."""
    refusal = Refusal(id="f", reason="no request of GET /orders came to this worker", advice="send some")
    screen = look(FakeFeed(answer=refusal), "2", "F", "y")
    assert "no request of GET /orders came to this worker" in screen
    assert "send some" in screen


def test_it_is_saved_as_pstats(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file's name is told, and Python opens it."""
    monkeypatch.chdir(tmp_path)
    assert "wrote perftui-functions-" in look(FakeFeed(), "2", "F", "y", "o")
    (path,) = tmp_path.glob("*.pstats")
    assert pstats.Stats(str(path)).total_calls == 20 + 40 * 20 + 20 + 2 * 20  # type: ignore[attr-defined]


@pytest.mark.parametrize("keys", [("F",), ("enter", "F")])
def test_it_is_reached_from_triage_and_from_a_route(keys: tuple[str, ...]) -> None:
    """In as few keys as a profile."""
    assert "FUNCTIONS" in look(FakeFeed(), *keys, "y")
