"""What upstreams were asked in larger pieces: path by path, no call is lost or counted twice."""

from __future__ import annotations

import msgspec
import pytest

from perftui_agent.sketch import LatencySketch
from perftui_agent.wire.called import NewClients, UpstreamPath
from perftui_agent.wire.merging_upstreams import called_paths, merge_upstream
from perftui_agent.wire.outside import UpstreamFrame

MS = 1_000_000


def asked(**calls: int) -> UpstreamFrame:
    """Return a row whose paths were called so often, each call for as many ms; the only one says its name."""
    rows = [a_path(f"/{name}", number) for name, number in calls.items()]
    row = UpstreamFrame(host="pay.example", method="POST", library="httpx")
    for each in rows:
        assert each.answer is not None
        row.latency.merge(each.answer)
        row.answer.merge(each.answer)
        row.spent["GET /"] = row.spent.get("GET /", 0) + each.ns
    row.paths = rows if len(rows) > 1 else [UpstreamPath(path=each.path) for each in rows]
    return row


def a_path(path: str, number: int) -> UpstreamPath:
    answer = LatencySketch()
    answer.add_all([number * MS] * number)
    return UpstreamPath(
        path=path, calls=number, answer=answer, ns=answer.total, spent={"GET /": answer.total}
    )


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([asked(charge=3), asked(charge=3)], {"/charge": 6}),
        ([asked(charge=3), asked(health=2)], {"/charge": 3, "/health": 2}),
        ([asked(charge=3), asked(charge=4, health=2)], {"/charge": 7, "/health": 2}),
        ([asked(charge=4, health=2), asked(health=5), asked()], {"/charge": 4, "/health": 7}),
        ([asked(), asked(charge=3)], {"/charge": 3}),
        ([asked(**{f"p{n}": n + 1 for n in range(30)}), asked(p29=1)], None),
    ],
    ids=["one", "one each", "one and two", "two, one, none", "none and one", "too many"],
)
def test_paths_add_up(rows: list[UpstreamFrame], expected: dict[str, int] | None) -> None:
    """Whichever were told by name alone."""
    calls = sum(row.latency.count for row in rows)
    whole, *others = rows
    for other in others:
        merge_upstream(whole, other)
    paths = called_paths(whole)

    assert whole.latency.count == calls == sum(path.calls for path in paths)
    assert sum(path.ns for path in paths) == whole.latency.total
    assert sum(path.spent.get("GET /", 0) for path in paths) == whole.spent.get("GET /", 0)
    assert [path.answer.count for path in paths if path.answer] == [path.calls for path in paths]
    assert len(paths) <= 21
    if expected is not None:
        assert {path.path: path.calls for path in paths} == expected


def test_an_upstream_s_own_figures_are_not_those_of_its_path() -> None:
    """What is merged into one later leaves the other alone."""
    older = asked(charge=3)
    merge_upstream(older, asked(health=2))
    merge_upstream(older, asked(charge=1))

    assert older.answer.count == 6
    assert {path.path: path.answer and path.answer.count for path in older.paths} == {
        "/charge": 4,
        "/health": 2,
    }


def test_clients_that_requests_have_made_add_up_by_route_and_place() -> None:
    """As frames of the same worker."""
    older, newer = asked(charge=1), asked(charge=1)
    older.made = [NewClients(route="GET /", call_site="a.py:1 f", clients=2, connect_ns=MS)]
    newer.made = [
        NewClients(route="GET /", call_site="a.py:1 f", clients=1, connect_ns=MS),
        NewClients(route="GET /", call_site="b.py:1 f", clients=1),
    ]
    merge_upstream(older, newer)

    assert [(each.call_site, each.clients, each.connect_ns) for each in older.made] == [
        ("a.py:1 f", 3, 2 * MS),
        ("b.py:1 f", 1, 0),
    ]
    assert msgspec.to_builtins(older.paths) == [{"path": "/charge"}]
