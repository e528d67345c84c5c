"""Screens say where figures rest on the requests that an agent under load has followed."""

from __future__ import annotations

import msgspec
import pytest

from perftui.findings.repeated_query import KIND as REPEATED
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.present.details.route_blocks import figures
from perftui.present.details.statement import statement_rows
from perftui.present.details.worker_blocks import agent
from perftui.present.picture import Picture
from perftui.present.text.cells import Line
from perftui_agent.wire.outside import StatementFrame
from perftui_agent.wire.process import AgentStats
from tests.perftui.findings.pictures import a_query, found, only, picture
from tests.support.frames import T, dashboard_of, frame, joined, received, route, sketch, worker

A = worker(1)


def summary(one_in: int) -> Summary:
    """Return a worker of which one request in so many was followed."""
    row = route("GET /", [10.0] * 80)
    row.unfollowed = 80 - 80 // one_in
    statement = StatementFrame(
        fingerprint="f1",
        statement="SELECT * FROM t WHERE id = ?",
        latency=sketch([2.0] * 160),
        same_binds=12,
        unfollowed=160 - 160 // one_in,
        routes={"GET /": 160},
    )
    told = msgspec.structs.replace(
        frame(1, T + 1, [row]), statements=[statement], agent=AgentStats(sampled=one_in)
    )
    return summarize(dashboard_of(joined(A), received(A, told)), T + 1.5)


def text(lines: list[Line]) -> str:
    return "\n".join("".join(cell.text for cell in line) for line in lines)


def pages(of: Summary) -> list[str]:
    """Return what the screens of its worker, its route and its statement say."""
    rows = statement_rows(Picture(of), "f1", 100, 40)
    return [
        text(agent(of.workers[0], 100)),
        text(figures(of.routes[0], frozenset(), 100)),
        text([row.line for row in rows]),
    ]


def test_at_full_detail_nothing_is_said() -> None:
    """A figure that rests on everything needs no word."""
    assert not [page for page in pages(summary(1)) if "followed" in page or "about" in page]


def test_under_load_each_says_one_in_how_many() -> None:
    """And what was estimated from those says so."""
    on_worker, on_route, on_statement = pages(summary(8))
    assert "followed 1 request in 8" in on_worker
    assert "followed 1 in 8" in on_route
    assert "followed 1 in 8" in on_statement
    assert "same binds again about 96" in on_statement


@pytest.mark.parametrize(("followed", "about"), [(600, False), (75, True), (None, False)])
def test_a_finding_says_what_is_estimated(followed: int | None, about: bool) -> None:
    """A judgement from a sample is told as one."""
    query = a_query([8.0] * 600, same_binds=580, followed=followed)
    assert found(REPEATED, picture(queries=(query,)))
    assert only(REPEATED, picture(queries=(query,))).sentence.startswith("about 580×") is about
