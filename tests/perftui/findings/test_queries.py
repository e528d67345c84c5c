"""Statements that are slow, and statements that are repeated."""

from __future__ import annotations

from perftui.model.summary import SloVerdict
from tests.perftui.findings.pictures import a_block, a_query, a_route, a_worker, found, only, picture

SLOW, REPEATED = "slow-query", "repeated-query"


def test_a_statement_that_is_always_slow_is_found() -> None:
    """p95, how many of how many, from where, for which route."""
    query = a_query([812.0] * 40, slow=40)
    finding = only(SLOW, picture(queries=(query,), routes=[a_route("GET /items/{item_id}", [900.0] * 40)]))
    assert finding.subject == "SELECT items.name FROM items WHERE items.id = ?"
    assert finding.sentence.startswith(
        "p95 810 ms, 40× slow of 40 (100 %) from app/crud.py:42 get_item for GET"
    )
    assert finding.severity == "medium"
    assert (finding.statement, finding.route) == ("f1", "GET /items/{item_id}")
    assert finding.evidence["slow"] == 40


def test_one_slow_execution_is_healthy() -> None:
    """A cold page cache or a lock makes one of twenty slow."""
    assert not found(SLOW, picture(queries=(a_query([2.0] * 19 + [900.0], slow=1),)))


def test_few_slow_ones_of_very_many_are_healthy() -> None:
    """Ten of a thousand are beyond p99, not beyond p95."""
    assert not found(SLOW, picture(queries=(a_query([2.0] * 990 + [150.0] * 10, slow=10),)))


def test_waits_for_a_held_loop_are_not_the_statements() -> None:
    """While reports hold the loop, a tenth of all awaited statements takes long; a scan takes long always."""
    waiting = a_query([2.0] * 90 + [400.0] * 10, slow=10)
    scanning = a_query([700.0] * 30, slow=30, fingerprint="f2", statement="SELECT ? FROM terms")
    blocked = picture(queries=(waiting, scanning), incidents=(a_block(400.0),))
    assert only(SLOW, blocked).statement == "f2"
    lagging = picture(queries=(waiting,), workers=(a_worker(loop_lag_p99_ms=300.0),))
    assert not found(SLOW, lagging)
    assert found(SLOW, picture(queries=(waiting,)))


def test_a_slow_statement_of_a_route_within_its_own_target_is_healthy() -> None:
    """A report that may take 800 ms may have a statement that takes 300."""
    query = a_query([300.0] * 40, slow=40, routes=("GET /reports",))
    met = SloVerdict("p95<800ms", "GET /reports", 500.0, True, 800.0, 40)
    missed = SloVerdict("p95<800ms", "GET /reports", 900.0, False, 800.0, 40)
    assert not found(SLOW, picture(queries=(query,), slo=(met,)))
    assert found(SLOW, picture(queries=(query,), slo=(missed,)))


def test_it_stays_until_clearly_below_its_share() -> None:
    """Four of a hundred keep it, and do not bring it."""
    summary = picture(queries=(a_query([2.0] * 96 + [300.0] * 4, slow=4),))
    assert not found(SLOW, summary)
    assert found(SLOW, summary, {"f1": "medium"})


def test_the_same_question_request_after_request_is_found() -> None:
    """A cache would take it: how often, how much of all, what it costs."""
    finding = only(REPEATED, picture(queries=(a_query([8.0] * 600, same_binds=580),)))
    assert finding.severity == "medium"
    assert finding.sentence.startswith(
        "580× with binds that another request had used (97 % of its executions"
    )
    assert finding.evidence["repeated_ms_per_second"] == 77.333
    assert finding.statement == "f1"


def test_other_binds_each_time_are_healthy() -> None:
    """Items by id, of which some are looked at twice."""
    assert not found(REPEATED, picture(queries=(a_query([8.0] * 600, same_binds=200),)))


def test_a_cheap_question_now_and_then_is_healthy() -> None:
    """Two a second at half a millisecond each are what databases are for."""
    assert not found(REPEATED, picture(queries=(a_query([0.5] * 120, same_binds=119),)))


def test_reloads_of_one_page_are_healthy() -> None:
    """Sixty of the same in a minute may be one user."""
    assert not found(REPEATED, picture(queries=(a_query([30.0] * 60, same_binds=59),)))


def test_a_health_check_that_asks_the_database_is_healthy() -> None:
    """`SELECT ?` reads nothing that could be kept."""
    query = a_query([1.0] * 900, same_binds=899, statement="SELECT ?")
    assert not found(REPEATED, picture(queries=(query,)))


def test_a_repeated_query_stays_until_clearly_below_its_rate() -> None:
    """At four a second it stays if it stands."""
    summary = picture(queries=(a_query([0.5] * 240, same_binds=238),))
    assert not found(REPEATED, summary)
    assert found(REPEATED, summary, {"f1": "low"})
