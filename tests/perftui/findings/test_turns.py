"""When findings begin and end."""

from __future__ import annotations

from perftui.findings.turns import ENDS_AFTER_S, Turns
from perftui.model.happenings import Finding, Severity
from perftui.present.documents.turns import turn_document, turn_line
from tests.perftui.findings.pictures import picture
from tests.support.frames import T


def a_finding(severity: Severity = "high", subject: str = "GET /bad", since: float | None = None) -> Finding:
    return Finding(
        "error-burst", severity, subject, "60 of 100 requests fail", {"n": 1}, "mend it", since=since
    )


def told(*pictures: tuple[float, list[Finding]], on: Severity = "high") -> list[tuple[str, float]]:
    """Return what is told of pictures at some seconds."""
    turns = Turns(on)
    all_of_them: list[tuple[str, float]] = []
    for at, findings in pictures:
        turns, new = turns.next(at, findings)
        all_of_them += [(each.event, each.at) for each in new]
    return all_of_them


def test_a_finding_begins_once_and_ends_once() -> None:
    """It ends when it was last seen, once it has been gone for long enough."""
    found = [a_finding()]
    pictures = [(float(at), found if at < 5 else []) for at in range(40)]
    assert told(*pictures) == [("begin", 0.0), ("end", 4.0)]


def test_what_comes_again_within_seconds_has_not_gone() -> None:
    """A flicker is told of once."""
    found = [a_finding()]
    pictures = [(float(at), found if at % 8 < 4 else []) for at in range(40)]
    assert told(*pictures) == [("begin", 0.0)]
    assert told((0.0, found), (ENDS_AFTER_S, []), (20.0, found)) == [
        ("begin", 0.0),
        ("end", 0.0),
        ("begin", 20.0),
    ]


def test_what_is_less_severe_begins_when_it_is_severe_enough() -> None:
    """And ends when it is that no longer."""
    pictures = [(float(at), [a_finding("high" if 10 <= at < 20 else "medium")]) for at in range(40)]
    assert told(*pictures) == [("begin", 10.0), ("end", 19.0)]
    assert told(*pictures, on="medium") == [("begin", 0.0)]
    assert told(*pictures, on="low") == [("begin", 0.0)]


def test_each_finding_has_a_beginning_of_its_own() -> None:
    """By what it is, not by its figures."""
    assert told((0.0, [a_finding()]), (1.0, [a_finding(), a_finding(subject="GET /x")])) == [
        ("begin", 0.0), ("begin", 1.0),
    ]  # fmt: skip


def test_a_turn_is_a_line_and_a_document() -> None:
    """Of one that ended, how long it lasted; no escape and no second line from outside."""
    turns, (begun,) = Turns().next(T + 0.0, [a_finding(subject="GET /\x1b[31m\nx", since=T - 30.0)])
    _, (ended,) = turns.next(T + 60.0, [])
    line = turn_line(begun)
    assert line.startswith("2023-11-14T22:14:00Z begin high   error-burst GET /")
    assert "\x1b" not in line
    assert "\n" not in line
    assert turn_line(ended).endswith("60 of 100 requests fail (lasted 30 s)")
    said = turn_document(ended, picture())
    assert (said["event"], said["since"], said["lasted_s"]) == ("end", "2023-11-14T22:13:30Z", 30.0)
    assert said["finding"]["evidence"] == {"n": 1}
