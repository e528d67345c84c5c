"""A summary for a ticket."""

from __future__ import annotations

from dataclasses import replace

from perftui.model.filter import parse_filter
from perftui.model.happenings import Finding
from perftui.present.documents.markdown import MAX_ROWS, text_markdown, triage_markdown
from perftui.present.picture import Picture
from tests.support.fake_feed import FakeFeed
from tests.support.fake_routes import many_routes


def picture(feed: FakeFeed) -> Picture:
    return Picture(feed.summary(60.0))


def test_it_tells_whose_figures_these_are_and_of_when() -> None:
    """Service, target, moment in UTC and window come first."""
    first = triage_markdown(picture(FakeFeed())).splitlines()[0]
    assert first == "### shop · localhost:8000 — 2026-11-21 12:00:00 UTC, last 1m"


def test_routes_stand_as_on_the_screen() -> None:
    """Only those in sight, in their order."""
    text = triage_markdown(picture(FakeFeed()), ["GET /config", "GET /orders"])
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| GET")]
    assert rows == ["| GET /config", "| GET /orders"]


def test_a_filter_is_told_and_followed() -> None:
    """Nobody takes some of the workers for all of them."""
    text = triage_markdown(replace(picture(FakeFeed()), wanted=parse_filter("worker:4122")), [])
    rows = [line.split(" | ")[0] for line in text.splitlines() if line.startswith("| 41")]
    assert rows == ["| 4122"]
    assert "those that meet worker:4122." in text


def test_findings_and_targets_are_told_in_words() -> None:
    """Kind, severity, subject and sentence; each target as met or missed."""
    finding = Finding("n-plus-one", "high", "GET /orders", "51× the same", {}, "")
    text = triage_markdown(replace(picture(FakeFeed(troubles=("slo",))), findings=(finding,)))
    assert "- **n-plus-one** (high) GET /orders: 51× the same" in text
    assert "p95\\<200ms missed, errors\\<1% met" in text


def test_names_are_no_markup() -> None:
    """Pipes, backticks and stars of a route stay text; its column stays its column."""
    text = triage_markdown(picture(FakeFeed(names=(("GET /a|b*`c`", 1.0, 1.0),))))
    assert "| GET /a\\|b\\*\\`c\\` |" in text


def test_what_is_left_out_is_counted() -> None:
    """Of many routes the first ones, and how many more there are."""
    assert f"and {300 - MAX_ROWS} more routes" in triage_markdown(picture(FakeFeed(names=many_routes(300))))


def test_any_other_view_is_text_in_a_fence_that_holds() -> None:
    """However many backticks are in it."""
    text = text_markdown(FakeFeed().summary(60.0), ["a ```` b"])
    assert "`````text\na ```` b\n`````" in text
