"""The time axis below the charts."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftui.model.happenings import Event, IncidentRow
from perftui.present.picture import Picture
from perftui.present.text.cells import text_of, width_of
from perftui.present.text.delta import Mark
from perftui.present.triage.ruler import ruler_line
from tests.support.fake_evidence import block
from tests.support.fake_feed import FakeFeed
from tests.support.fake_figures import NOON

KNOWN = (NOON - 900.0, NOON)


def picture(*events: Event, cursor: float | None = None, known: tuple[float, float] = KNOWN) -> Picture:
    summary = replace(FakeFeed().summary(60.0, cursor), events=events)
    return Picture(summary, known=known, rewound_s=None if cursor is None else NOON - cursor)


def axes(shown: Picture) -> tuple[str, str]:
    """Return both axes, of 60 cells each: a second and a quarter of a minute in every one."""
    text = text_of(ruler_line(shown, 150))
    return text[14:74], text[89:149]


@pytest.mark.parametrize(
    ("kind", "sign"),
    [
        ("worker-restarted", "●"),
        ("worker-joined", "○"),
        ("worker-lost", "✗"),
        ("deploy", "Δ"),
        ("loop-blocked", "△"),
        ("link-lost", "✗"),
    ],
)
def test_what_happened_stands_at_its_place_on_both_axes(kind: str, sign: str) -> None:
    """Ten minutes ago it is on the long axis alone; half a minute ago on that of the charts as well."""
    old, new = Event(NOON - 600, kind, "4121", "…"), Event(NOON - 30, "deploy", "shop", "…")
    window, known = axes(picture(old, new))
    assert (window[29], window.count("─")) == ("Δ", 59)
    assert (known[19], known[57]) == (sign, "Δ")


def test_blocks_and_marks_are_on_the_axis() -> None:
    """A held loop by how bad it was, a mark by the stroke it has in the charts."""
    shown = picture()
    held = IncidentRow("web-1/1/0", 4121, block(int(NOON * 1e9), 20))
    window, _ = axes(replace(shown, summary=replace(shown.summary, incidents=(held,))))
    assert window[39] == "▲"
    window, known = axes(replace(shown, mark=Mark(NOON - 10, "11:59:50", shown.summary)))
    assert (window[49], known[59]) == ("│", "│")


def test_the_worst_of_what_happened_together_is_seen() -> None:
    """A deploy goes before the joins it consists of."""
    together = [Event(NOON - 30, kind, "4121", "…") for kind in ("worker-joined", "deploy", "worker-joined")]
    assert axes(picture(*together))[0][29] == "Δ"


def test_where_one_stands_is_seen() -> None:
    """Live the window ends the axis; rewound its end is a sign, and what was later is a thin line."""
    assert axes(picture())[1].endswith("─━━━━")
    assert axes(picture(cursor=NOON - 450))[1] == "─" * 26 + "━" * 3 + "◂" + "─" * 30


def test_what_is_not_known_is_blank() -> None:
    """Five minutes after the start there are five minutes of line."""
    assert axes(picture(known=(NOON - 300, NOON)))[1] == " " * 40 + "─" * 16 + "━" * 4


@given(st.integers(0, 300), st.floats(0, 2000), st.floats(0, 2000))
def test_any_width_and_any_moment_fit(width: int, ago_s: float, cursor_ago_s: float) -> None:
    """However narrow, however long ago."""
    shown = picture(Event(NOON - ago_s, "deploy", "shop", "…"), cursor=NOON - cursor_ago_s)
    assert width_of(ruler_line(shown, width)) <= max(width, 28)
