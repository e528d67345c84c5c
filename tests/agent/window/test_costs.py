"""Which names a full table forgets: those that have cost least lately."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from perftui_agent.window.costs import HALVED_AFTER_S, Costs

SECOND_NS = 1_000_000_000


def closed(costs: Costs[str], **spent: int) -> tuple[list[str], list[str]]:
    for name in spent:
        costs.admit(name)
    return costs.close(spent, SECOND_NS)


def test_a_full_table_forgets_the_cheapest() -> None:
    """Not the one that came last."""
    costs: Costs[str] = Costs(most=2, newcomers=2)
    closed(costs, cheap=1_000, dear=1_000_000)
    assert closed(costs, last=50_000) == ([], ["cheap"])
    assert ("dear" in costs, "last" in costs, "cheap" in costs) == (True, True, False)
    assert costs.forgotten == 1


def test_who_comes_into_a_full_table_displaces_the_cheapest_at_once() -> None:
    """However little it costs: all that a second has had are told of, if there is room for so many."""
    costs: Costs[str] = Costs(most=3, newcomers=3)
    closed(costs, a=5_000_000, b=6_000_000, c=7_000_000)
    assert closed(costs, new=1) == ([], ["a"])
    assert "new" in costs


def test_of_more_than_a_frame_has_room_for_the_cheapest_are_not_told_of() -> None:
    """They keep their places in the table as far as there are any."""
    costs: Costs[str] = Costs(most=4, newcomers=4, told=2)
    untold, forgotten = closed(costs, a=1, b=2, c=3, d=4)
    assert (sorted(untold), forgotten) == (["a", "b"], [])


def test_there_is_room_for_newcomers_until_the_frame_closes() -> None:
    """Then there is again."""
    costs: Costs[str] = Costs(most=1, newcomers=2)
    assert [costs.admit(name) for name in "abcd"] == [True, True, True, False]
    costs.close({"a": 1, "b": 2, "c": 3}, SECOND_NS)
    assert costs.admit("d")


def test_what_was_costly_once_is_outdone_by_what_costs_now() -> None:
    """A cost counts for half after a minute."""
    costs: Costs[str] = Costs(most=1, newcomers=1)
    closed(costs, migration=1_000_000)
    costs.close({}, int(HALVED_AFTER_S * 4) * SECOND_NS)
    costs.admit("now")
    costs.close({"now": 100_000}, SECOND_NS)
    assert ("now" in costs, "migration" in costs) == (True, False)


def test_a_day_of_seconds_leaves_the_order_as_it_is() -> None:
    """The weights that let old costs fade are taken back before they grow out of bounds."""
    costs: Costs[str] = Costs(most=2, newcomers=2)
    for _ in range(86_400 // 10):
        costs.close({"little": 1_000, "much": 2_000}, 10 * SECOND_NS)
    assert costs.close({"new": 1}, SECOND_NS)[1] == ["little"]


@given(st.lists(st.dictionaries(st.integers(0, 300), st.integers(0, 1 << 40)), max_size=30))
def test_a_table_never_has_more_than_its_places(spans: list[dict[int, int]]) -> None:
    """Whatever comes, and it counts what it has forgotten."""
    costs: Costs[int] = Costs(most=20, newcomers=30)
    for span in spans:
        spent = {key: ns for key, ns in span.items() if costs.admit(key)}
        untold, forgotten = costs.close(spent, SECOND_NS)
        assert len(spent) - len(untold) <= 20
        assert not set(forgotten) & {key for key in range(301) if key in costs}
    assert sum(key in costs for key in range(301)) <= 20
