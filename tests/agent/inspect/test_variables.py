"""Variables that were asked for by the name of their function, and nothing of the app's that runs for it."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any, ClassVar

import pytest

from perftui_agent.inspect.variables import HIDDEN, MAX_FRAMES, Place, locals_of, told, wanted


class Touchy:
    """An object of which nobody may ask anything."""

    ran: ClassVar[list[str]] = []

    def __init__(self) -> None:
        self.name = "ann"
        self.api_token = "s3cret"
        self.orders = [1, 2, 3]

    def __repr__(self) -> str:
        Touchy.ran.append("repr")
        return "s3cret"

    def __getattribute__(self, name: str) -> Any:
        Touchy.ran.append(name)
        return object.__getattribute__(self, name)

    def __hash__(self) -> int:
        return 7

    def __eq__(self, other: object) -> bool:
        Touchy.ran.append("eq")
        return True


class Proxy:
    """What stands for something else, as Flask's `request` does."""

    @property
    def __dict__(self) -> Any:  # type: ignore[override]
        Touchy.ran.append("dict")
        return {}


def build_report(password: str, rows: list[int], user: object) -> FrameType:
    return sys._getframe()


class Reports:
    def build(self) -> FrameType:
        return sys._getframe()


FRAME = build_report("s3cret", [1, 2, 3], Touchy())


def values(text: str, frame: FrameType = FRAME) -> list[dict[str, str]]:
    found, _ = locals_of([Place(frame, "MainThread", "GET /")], wanted(text))
    return [each.values for each in found]


def test_nothing_of_the_apps_runs_for_it() -> None:
    """No `__repr__`, no property, no attribute that is fetched as it is asked for, no comparison."""
    Touchy.ran.clear()
    mixed = {Touchy(): [Touchy()], "proxy": Proxy()}
    shown = told(mixed)
    values("build_report")
    assert Touchy.ran == []
    assert "s3cret" not in shown
    assert "Proxy>" in shown


def test_only_the_function_that_was_named_is_told_of() -> None:
    """By its name, or with its class; nobody else's variables, and those that were named if any were."""
    assert list(values("build_report")[0]) == ["password", "rows", "user"]
    assert values("build_report:rows") == [{"rows": "[1, 2, 3]"}]
    assert values("report") == values("build") == values("") == []
    frame = Reports().build()
    assert len(values("build", frame)) == len(values("Reports.build", frame)) == 1


def test_what_is_called_as_a_secret_is_hidden_unless_it_was_named_itself() -> None:
    """As a variable, an attribute or a key."""
    (shown,) = values("build_report")
    assert shown["password"] == HIDDEN
    assert shown["user"].endswith(f"Touchy name='ann', api_token={HIDDEN}, orders=[3 items]>")
    assert values("build_report:password") == [{"password": "'s3cret'"}]
    assert told({"Authorization": "Bearer s3cret", "n": 1}) == f"{{'Authorization': {HIDDEN}, 'n': 1}}"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "None"),
        (-3, "-3"),
        (10**40, "an int of many digits"),
        (b"x" * 100, f"{b'x' * 80!r} and 20 more"),
        (list(range(1_000_000)), "[0, 1, 2, 3, 4, … 1000000 in all]"),
        ({"a": {"b": {"c": 1}}}, "{'a': {'b': {1 items}}}"),
        ((1,), "(1)"),
        (Touchy, f"<class {__name__}.Touchy>"),
    ],
)
def test_values_are_short_however_large_they_are(value: object, shown: str) -> None:
    """A list of a million is not copied, and nobody's number is made a text of a megabyte."""
    assert told(value) == shown


def test_what_leads_back_to_itself_ends() -> None:
    """Two levels are told."""
    loop: list[object] = []
    loop.append(loop)
    assert told(loop) == "[[[1 items]]]"


def test_a_recursion_is_told_of_in_part() -> None:
    """So many frames, and how many more there are."""
    found, cut = locals_of([Place(FRAME, "t") for _ in range(30)], wanted("build_report"))
    assert (len(found), cut) == (MAX_FRAMES, 10)
