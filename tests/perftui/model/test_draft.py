"""A filter as it is being typed, letter by letter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftui.model.draft import Draft
from perftui.model.filter import parse_filter
from tests.perftui.findings.pictures import a_route, a_worker

ROUTES = (a_route("GET /orders", [300.0] * 50), a_route("GET /items", [20.0] * 50))
WORKERS = (a_worker(4121), a_worker(4122))


def typed(text: str, draft: Draft | None = None) -> Draft:
    """Return the draft after each of the letters."""
    draft = draft or Draft()
    for end in range(1, len(text) + 1):
        draft = draft.typed(text[:end], lambda: (ROUTES, WORKERS))
    return draft


def seen(draft: Draft) -> tuple[int, int]:
    """Return how many routes and workers are in sight."""
    return len(draft.wanted.of(ROUTES)), len(draft.wanted.of(WORKERS))


@pytest.mark.parametrize(
    "text",
    [
        "route:/orders",
        "p95>200ms",
        "p95<200ms",
        "errors<1%",
        "worker:4121",
        "orders",
        "-orders",
        '"GET /items"',
    ],
)
def test_no_letter_on_the_way_to_a_filter_empties_what_it_speaks_about(text: str) -> None:
    """Whatever the beginning means, there are rows on the screen; at the end the filter is in force."""
    draft = Draft()
    for end in range(1, len(text) + 1):
        draft = draft.typed(text[:end], lambda: (ROUTES, WORKERS))
        routes, workers = seen(draft)
        assert routes
        assert workers or routes < len(ROUTES)
    assert draft.wanted.text == text
    assert draft.problem == ""


def test_a_word_that_is_not_understood_leaves_those_before_it_in_force() -> None:
    """And is told with what is wrong with it."""
    draft = typed("route:/orders p95>fast")
    assert draft.wanted.text == "route:/orders"
    assert draft.problem == "p95>fast: fast is not a time, write p95>200ms or 1.5s"


def test_what_was_understood_last_stays_when_one_types_on_behind_a_wrong_word() -> None:
    """A finished word that is wrong doesn't bring back what was hidden."""
    draft = typed("route:/orders p95>fast GET")
    assert draft.wanted.text == "route:/orders"
    assert draft.problem.startswith("p95>fast: ")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("rou", "rou: go on to route:; ⏎ for this text"),
        ("p9", "p9: go on to p95, p99; ⏎ for this text"),
        ("p95", "p95: go on to p95>200ms or 1.5s; ⏎ for this text"),
        ("s", "s: go on to sql, size, status:, state:; ⏎ for this text"),
        ("-", "-: before a word it leaves out what meets it"),
        ('"GET /o', 'the quote in "GET /o is not closed'),
        ("p42>1", "p42>1: there is no figure p42; in quotes it is text"),
        ("p95<2", "p95<2: nothing here meets that"),
        ("zzz", "zzz: nothing here meets that"),
    ],
)
def test_what_is_missing_is_told_in_a_few_words(text: str, problem: str) -> None:
    """Each says which word it is about; all rows stay."""
    draft = typed(text)
    assert draft.problem == problem
    assert seen(draft) == (2, 2)


def test_a_word_is_finished_by_a_space_or_by_keeping_the_line() -> None:
    """Then it means what it says, even if it looks like a beginning or leaves nothing."""
    assert seen(typed("zzz ")) == (0, 0)
    assert seen(typed("zzz").kept()) == (0, 0)
    kept = typed("rou").kept()
    assert (kept.wanted.text, kept.problem) == ("rou", "")


def test_a_line_that_is_not_understood_can_not_be_kept() -> None:
    """What is in force stays so, and the problem is still told."""
    kept = typed("route:/orders status:9xx").kept()
    assert kept.wanted.text == "route:/orders"
    assert kept.problem.startswith("status:9xx: a status is one of")


def test_a_filter_can_be_gone_on_with() -> None:
    """Typing begins with the filter that is on, which stays on."""
    draft = Draft("route:/orders", parse_filter("route:/orders"))
    assert draft.typed("route:/orders p", lambda: (ROUTES, WORKERS)).wanted.text == "route:/orders"


@given(st.text(max_size=30))
def test_whatever_is_typed_there_is_a_filter_in_force_and_one_line_to_say(text: str) -> None:
    """Nothing is raised."""
    draft = typed(text)
    assert isinstance(draft.wanted.of(ROUTES), tuple)
    assert draft.problem == "" or draft.wanted.text != text.strip()
