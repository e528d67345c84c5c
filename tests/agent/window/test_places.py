"""Where a step of transactions comes from: where most of its time goes, or that there are several places."""

from __future__ import annotations

from perftui_agent.window.places import MAX_PLACES, SEVERAL, Places

A, B = "app/a.py:1 save", "app/b.py:2 charge"


def test_the_first_is_not_told_for_good() -> None:
    """One that has taken longer since is."""
    places = Places()
    assert places.told() is None
    places.note(A, 10)
    assert places.told() == A
    places.note(B, 100)
    assert places.told() == B


def test_several_are_told_as_such() -> None:
    """None of them has most of the time."""
    places = Places()
    for place in (A, B, A, B):
        places.note(place, 10)
    assert places.told() == SEVERAL


def test_what_was_fades() -> None:
    """A migration at the start is not where commits come from an hour later."""
    places = Places()
    places.note(A, 1000)
    for _ in range(120):
        places.fade()
        places.note(B, 5)
    assert places.told() == B


def test_places_are_bounded() -> None:
    """The cheapest is forgotten."""
    places = Places()
    for number in range(3 * MAX_PLACES):
        places.note(f"app/{number}.py:1 f", number)
    places.note(A, 10**6)
    assert places.told() == A
    assert len(places._ns) == MAX_PLACES
