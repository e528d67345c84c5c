"""One SELECT shape, many times in one request."""

from __future__ import annotations

import pytest

from perftui.findings.find import find
from perftui.model.summary import Summary
from perftui_agent.wire.requests import RepeatedShape
from tests.perftui.findings.pictures import a_query, a_route, found, only, picture

KIND = "n-plus-one"


def repeating(
    times: float,
    *,
    requests: int = 40,
    other_binds: float = 1.0,
    ms_each: float = 9.4,
    latency_ms: float = 620.0,
) -> Summary:
    """Return a picture of GET /orders, whose requests run one SELECT so many times."""
    executions = round(times * requests)
    shape = RepeatedShape(
        fingerprint="f1",
        call_site="crud.py:88 load_lines",
        requests=requests,
        executions=executions,
        distinct_binds=round(executions * other_binds),
        total_ns=round(executions * ms_each * 1e6),
        most=round(times),
    )
    query = a_query([ms_each] * executions, statement="SELECT … FROM items WHERE order_id = ?")
    return picture(routes=[a_route("GET /orders", [latency_ms] * 40, repeats=(shape,))], queries=(query,))


def test_it_reads_as_an_engineer_would_say_it() -> None:
    """How often, what, from where, and how much of the request."""
    finding = only(KIND, repeating(51))
    assert finding.subject == "GET /orders"
    assert finding.severity == "high"
    assert finding.sentence == (
        "51× SELECT … FROM items WHERE order_id = ? from crud.py:88 load_lines, 479 ms of 620 ms per request"
    )
    assert finding.evidence["per_request"] == 51
    assert finding.evidence["ms_per_request"] == pytest.approx(479.4)
    assert (finding.route, finding.statement) == ("GET /orders", "f1")


@pytest.mark.parametrize("times", [3, 4])
def test_a_few_look_ups_of_one_shape_are_healthy(times: int) -> None:
    """`selectinload` runs two or three statements, and code looks up two or three rows by key."""
    assert not find(repeating(times))


def test_the_same_binds_again_are_no_n_plus_one() -> None:
    """Asking for the same row 20 times wants no join."""
    assert not found(KIND, repeating(20, other_binds=0.05))


def test_one_odd_request_is_not_enough() -> None:
    """Two requests with unusual arguments say little about a route."""
    assert not found(KIND, repeating(50, requests=2))


def test_statements_without_repeats_are_healthy() -> None:
    """A batched insert of a thousand rows is one statement: the agent reports no repeat of it."""
    assert not found(KIND, picture(routes=[a_route("POST /import", sql_per_request=4.0)]))


def test_it_stays_until_clearly_below_its_threshold() -> None:
    """At four and a half a request it stays if it stands."""
    assert not found(KIND, repeating(4.5))
    assert found(KIND, repeating(4.5), {"GET /orders": "low"})
    assert not found(KIND, repeating(3.5), {"GET /orders": "low"})


def test_severity_follows_what_it_costs() -> None:
    """Six quick look-ups are low, twelve medium, fifty high."""
    severities = [only(KIND, repeating(times, ms_each=0.1)).severity for times in (6, 12, 50)]
    assert severities == ["low", "medium", "high"]


def test_a_statement_nobody_shows_is_still_found() -> None:
    """With statement texts off, the place remains."""
    summary = repeating(51)
    finding = only(KIND, picture(routes=list(summary.routes)))
    assert finding.sentence.startswith("51× one SELECT from crud.py:88 load_lines")
