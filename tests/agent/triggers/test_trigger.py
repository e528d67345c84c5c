"""How triggers are written, and what is said of one that is written in another way."""

from __future__ import annotations

import logging
import re
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from perftui_agent.settings import read_settings
from perftui_agent.trigger import METRICS, Trigger, Wanted, parse_trigger, parse_triggers


@pytest.mark.parametrize(
    ("text", "trigger"),
    [
        (
            "p95>1s for 10s: profile 20s, dump",
            Trigger("", "p95", True, False, 1.0, (Wanted("profile", 20.0), Wanted("dump"))),
        ),
        (
            "GET /pay/{id}:  p99 >= 300ms for 1m: dump, at most 4/h",
            Trigger("", "p99", True, True, 0.3, (Wanted("dump"),), "GET /pay/{id}", 60.0, 4),
        ),
        ("errors>1%: dump", Trigger("", "errors", True, False, 0.01, (Wanted("dump"),))),
        (
            "rps<10 for 2m: profile",
            Trigger("", "rps", False, False, 10.0, (Wanted("profile", 10.0),), None, 120.0),
        ),
        ("cpu>90% for 30s: dump", Trigger("", "cpu", True, False, 90.0, (Wanted("dump"),), None, 30.0)),
        ("memory>2GB: dump", Trigger("", "memory", True, False, 2e9, (Wanted("dump"),))),
        ("in_flight>100: dump", Trigger("", "in_flight", True, False, 100.0, (Wanted("dump"),))),
        ("lag<=0.5s: dump", Trigger("", "lag", False, True, 0.5, (Wanted("dump"),))),
    ],
)  # fmt: skip
def test_what_is_written_is_understood(text: str, trigger: Trigger) -> None:
    """A condition as a target is written, what to do, and how often at most."""
    understood = parse_trigger(text)

    assert understood.text == " ".join(text.split())
    for name in ("metric", "above", "or_equal", "bound", "actions", "route", "window_s", "per_hour"):
        assert getattr(understood, name) == getattr(trigger, name), name


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "says nothing to do"),
        ("p95>1s", "says nothing to do: write 'p95>1s for 10s: profile 20s, dump'"),
        ("p95>1s:", "'' can't be done"),
        ("p95>1s: at most 3/h", "says nothing to do"),
        ("p96>1s: dump", "'p96' is nothing that can be watched: p50, p95"),
        ("p95>1: dump", "'no unit' after p95: write p95>1s"),
        ("errors>1: dump", "write errors>5%"),
        ("p95=1s: dump", "is no condition"),
        ("p95>1s for 10: dump", "'10': write a time from 1s to 120s, as in 10s"),
        ("p95>1s for 1h: dump", "write a time"),
        ("p95>1s: profile 2m", "'2m': write a time from 1s to 60s"),
        ("p95>1s: restart", "'restart' can't be done: write 'profile 20s', 'dump' or 'at most 4/h'"),
        ("p95>1s: dump, at most 0/h", "from 1 to 60 an hour"),
        ("GET /x: lag>1s: dump", "lag is that of the worker"),
        ("get /x: p95>1s: dump", "is no condition"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(text: str, said: str) -> None:
    """What it is, and what may stand there."""
    with pytest.raises(ValueError, match=re.escape(said)) as raised:
        parse_trigger(text)
    assert "\n" not in str(raised.value)


@given(st.text(string.ascii_lowercase + string.digits + " :;,<>=%./{}GETPOST", max_size=60))
@example("p95>999999999999ms for 10s: dump")
@example("GET /x: GET /y: p95>1s: dump")
def test_any_text_is_a_trigger_or_a_value_error(text: str) -> None:
    """No other exception can keep a service from starting."""
    try:
        trigger = parse_trigger(text)
    except ValueError:
        return
    assert trigger.metric in METRICS
    assert trigger.actions
    assert parse_trigger(trigger.text) == trigger


def test_several_are_divided_by_semicolons() -> None:
    """Empty parts are nothing; there is a most."""
    assert [each.metric for each in parse_triggers("p95>1s: dump; ; errors>1%: dump;")] == ["p95", "errors"]
    with pytest.raises(ValueError, match="9 triggers; 8 are the most"):
        parse_triggers("lag>1s: dump;" * 9)


def test_an_argument_raises_and_a_variable_is_passed_over(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As with every setting: what the developer writes is theirs to see, the environment stops no service."""
    with pytest.raises(ValueError, match=r"instrument\(triggers=.*p96"):
        read_settings(triggers=["p96>1s: dump"])
    monkeypatch.setenv("PERFTUI_TRIGGERS", "p96>1s: dump")
    with caplog.at_level(logging.WARNING, "perftui"):
        assert read_settings().triggers == ()
    assert "PERFTUI_TRIGGERS" in caplog.text

    monkeypatch.setenv("PERFTUI_TRIGGERS", "p95>1s: dump; lag>1s: dump")
    assert [each.metric for each in read_settings().triggers] == ["p95", "lag"]
    assert [each.metric for each in read_settings(triggers=["cpu>1%: dump"]).triggers] == ["cpu"]
    assert read_settings(triggers=[]).triggers == ()
