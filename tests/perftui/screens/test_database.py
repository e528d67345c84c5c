"""The databases' own view, as a screen."""

from __future__ import annotations

from dataclasses import replace

from perftui.model.database import Databases, joined
from perftui.model.summary import Summary
from perftui_agent.wire.database import DatabaseLook
from perftui_agent.wire.dumps import Refusal
from tests.perftui.screens.seen import look
from tests.support.fake_database import locked
from tests.support.fake_feed import FakeFeed


def test_the_route_that_holds_everybody_up_comes_first() -> None:
    """Then who waits for it, as a tree, who idles, what runs, what it costs; and what is left out."""
    lines = look(FakeFeed(database=locked()), "4", "d").splitlines()
    head = next(line for line in lines if line.startswith(" database"))
    assert head.startswith(" database db:5432/main · PostgreSQL 18.1 · 41/97 connections · cache hit 99%")
    tree = [line for line in lines if line.lstrip(" ›").startswith(("▲", "├", "└"))]
    assert tree[0].startswith("›▲ POST /checkout  worker 102")
    assert tree[0].rstrip().endswith("idle in transaction 12.4s  holds a row of items")
    assert tree[1].startswith("  └ POST /checkout  worker 101")
    assert "waits  11.9s  UPDATE items SET stock" in tree[1]
    assert tree[2].startswith("    └ GET /report  worker 104")
    assert any("41.0s  GET /days  worker 103" in line for line in lines)


def test_a_session_leads_to_its_route() -> None:
    """⏎ on the one that holds everybody up opens the route."""
    assert "POST /checkout" in look(FakeFeed(database=locked()), "4", "d", "enter").splitlines()[0]


def test_it_is_asked_again_on_demand() -> None:
    """Each time anew; nothing is asked by itself."""
    feed = FakeFeed(database=locked())
    assert "as of" in look(feed, "4", "d", "a", "a")
    assert feed.asked_databases == 3


def test_a_service_without_a_database() -> None:
    """It says so, and nothing else."""
    assert "have used no database" in look(FakeFeed(database=Databases((), 4, 4)), "4", "d")


def test_what_can_not_be_told() -> None:
    """A refusal of the agent's, or a database of another kind, is a sentence."""
    refused = Databases((), 0, 4, {101: Refusal(id="d", reason="actions are switched off in this service")})
    assert "worker 101: actions are switched off" in look(FakeFeed(database=refused), "4", "d")
    other = DatabaseLook(engine="a", kind="mysql", database="a", refused="this database is of the kind mysql")
    screen = look(FakeFeed(database=Databases((joined(other, ()),), 4, 4)), "4", "d")
    assert "✗ this database is of the kind mysql" in screen


def test_what_an_agent_saw_by_itself() -> None:
    """Where nobody can be asked, as in a recording, frames tell of it all the same."""

    class Recorded(FakeFeed):
        def summary(self, window_s: float, cursor: float | None = None) -> Summary:
            return replace(super().summary(window_s, cursor), databases=locked().views)

    screen = look(Recorded(), "4", "d")
    assert "as an agent saw it of its own accord" in screen
    assert "▲ POST /checkout  worker 102" in screen
