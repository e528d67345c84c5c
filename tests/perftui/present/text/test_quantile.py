"""Percentiles that rest on too little."""

from __future__ import annotations

from perftui.model.measures import Latency
from perftui.present.text.cells import Cell
from perftui.present.text.quantile import quantile_cell
from tests.perftui.screens.seen import look
from tests.support.fake_feed import FakeFeed

SEVERAL = (("GET /rare", 0.25, 40.0), ("GET /often", 100.0, 9.0))


def latency(count: int) -> Latency:
    return Latency(count, 10.0, 20.0, 30.0, 40.0)


def test_p95_needs_twenty_requests_and_p99_a_hundred() -> None:
    """Below, it is dimmed and marked by a sign; from there on it is as it ever was."""
    assert quantile_cell(latency(19), "p95") == Cell("~20ms", "faint")
    assert quantile_cell(latency(20), "p95") == Cell("20ms", "text")
    assert quantile_cell(latency(99), "p99") == Cell("~30ms", "faint")
    assert quantile_cell(latency(100), "p99") == Cell("30ms", "text")


def test_a_missed_target_stays_loud() -> None:
    """However few requests there are, what misses its target isn't dimmed."""
    assert quantile_cell(latency(5), "p95", "high") == Cell("~20ms", "high")


def test_without_data_there_is_no_doubt() -> None:
    """Nothing measured is a dash, not a doubtful one."""
    assert quantile_cell(Latency(), "p95").text == "–"


def test_a_rare_route_is_told_from_a_busy_one() -> None:
    """In the table only the figures that rest on too little have the sign."""
    rows = look(FakeFeed(names=SEVERAL)).splitlines()
    rare = next(row for row in rows if "GET /rare" in row)
    often = next(row for row in rows if "GET /often" in row)
    assert rare.count("~") == 2
    assert "~" not in often
