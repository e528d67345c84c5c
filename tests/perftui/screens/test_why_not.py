"""`?` on a route: how near it is to each finding, before the keys."""

from __future__ import annotations

import pytest

from tests.perftui.screens.seen import LARGE, look
from tests.support.fake_feed import FakeFeed


@pytest.mark.parametrize("keys", [("2", "question_mark"), ("2", "enter", "question_mark")])
def test_the_help_of_a_route_begins_with_why_it_has_no_finding(keys: tuple[str, ...]) -> None:
    """Under the cursor as on its own screen; the keys follow."""
    text = look(FakeFeed(), *keys, size=LARGE)
    head, _, rest = text.partition("WHY NOT: WHAT IS LOOKED AT ON ")
    assert len(head.splitlines()) <= 3
    assert rest.startswith(("GET ", "POST "))
    assert "error-burst" in rest
    assert "of the requests that fail" in rest
    assert "EVERYWHERE" in look(FakeFeed(), *keys, size=(120, 100))


def test_elsewhere_the_help_is_the_keys() -> None:
    """And goes back to where it was opened."""
    assert "WHY NOT" not in look(FakeFeed(), "question_mark")
    assert "WHY NOT" not in look(FakeFeed(), "6", "question_mark")
    assert look(FakeFeed(), "2", "question_mark", "escape") == look(FakeFeed(), "2")


def test_the_help_says_all_that_it_says_at_any_width() -> None:
    """By how much a route misses each threshold, and what a key does, go on in the next line."""
    for size in ((80, 250), (120, 150), (180, 100)):
        text = look(FakeFeed(), "2", "question_mark", size=size)
        assert "…" not in text.partition("WHY NOT")[2]
        assert "all of them: perftui findings KIND" in text
        assert "to each finding." in text
