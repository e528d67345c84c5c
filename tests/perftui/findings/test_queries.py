"""Statements that are slow, and statements that are repeated."""

from __future__ import annotations

from perftui.model.happenings import SloVerdict
from perftui.model.summary import Summary
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


def test_a_commit_that_is_always_slow_is_found() -> None:
    """It is named like a statement, and nobody is told to add an index."""
    commit = a_query([400.0] * 40, slow=40, fingerprint="c", statement="COMMIT")
    finding = only(SLOW, picture(transactions=(commit,)))
    assert (finding.subject, finding.statement) == ("COMMIT", "c")
    assert "a commit waits for the disk" in finding.advice


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


def beside(repeated_ms: float, others_ms: float = 0.0, route_ms: float = 400.0, known: int = 600) -> Summary:
    """Return a picture in which every request asks the same, and the database has other work, too."""
    same = a_query([repeated_ms] * known, same_binds=known - 2)
    other = a_query([others_ms] * 100, fingerprint="f2", statement="SELECT a FROM b", routes=())
    route = a_route("GET /items/{item_id}", [route_ms] * known)
    return picture(queries=(same, other), routes=[route])


def test_a_fifth_of_a_routes_latency_would_be_felt() -> None:
    """However idle the database is: three of eight milliseconds; the sentence says so."""
    finding = only(REPEATED, beside(3.0, others_ms=100.0, route_ms=8.0))
    assert "37 % of what GET /items/{item_id} takes, 30 ms of database time a second" in finding.sentence
    assert finding.severity == "low"
    assert finding.route == "GET /items/{item_id}"


def test_what_no_request_feels_is_healthy() -> None:
    """Ten times a second: half a millisecond of one, three of four hundred, beside a database at rest."""
    assert not found(REPEATED, beside(0.4, others_ms=10.0, route_ms=1.0))
    assert not found(REPEATED, beside(3.0, others_ms=100.0, route_ms=400.0))


def test_a_small_part_of_what_a_busy_database_does_is_healthy() -> None:
    """60 ms a second of 1.7 s."""
    assert not found(REPEATED, beside(6.0, others_ms=1000.0))
    assert found(REPEATED, beside(6.0, others_ms=100.0))


def test_a_few_costly_ones_are_enough_for_the_database() -> None:
    """Thirty times a minute the same report of two seconds."""
    assert found(REPEATED, picture(queries=(a_query([2000.0] * 30, same_binds=29),)))
    assert not found(REPEATED, picture(queries=(a_query([2000.0] * 10, same_binds=9),)))


def test_only_the_part_of_a_route_that_runs_it_counts() -> None:
    """A statement of two routes: the one that hardly runs it feels nothing."""
    executions = {"GET /a": 590, "GET /b": 10}
    query = a_query([3.0] * 600, same_binds=590, routes=("GET /a", "GET /b"), executions=executions)
    other = a_query([100.0] * 100, fingerprint="f2", statement="SELECT a FROM b", routes=())
    routes = [a_route("GET /a", [400.0] * 590), a_route("GET /b", [20.0] * 590)]
    assert not found(REPEATED, picture(queries=(query, other), routes=routes))


def test_what_a_route_asks_after_its_response_is_no_part_of_what_it_takes() -> None:
    """A background task's statements are told of under its route; the database feels them, and no request."""
    query = a_query([8.0] * 600, same_binds=580)
    route = a_route("GET /items/{item_id}", [10.0] * 600, sql_ms_per_request=0.0)
    finding = only(REPEATED, picture(queries=(query,), routes=[route]))
    assert "of what GET" not in finding.sentence
    assert "of database time a second" in finding.sentence
    within = a_route("GET /items/{item_id}", [10.0] * 600, sql_ms_per_request=8.0)
    assert "of what GET" in only(REPEATED, picture(queries=(query,), routes=[within])).sentence


def test_a_repeated_query_stays_until_clearly_below_its_share() -> None:
    """At a sixth of the route it stays if it stands."""
    summary = beside(1.5, others_ms=100.0, route_ms=9.0)
    assert not found(REPEATED, summary)
    assert found(REPEATED, summary, {"f1": "low"})
