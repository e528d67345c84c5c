"""The section of a ramp in a report: what was found, what gave, and the steps."""

from __future__ import annotations

import xml.etree.ElementTree as Xml
from dataclasses import replace

from perftui.findings.over_time import stood
from perftui.model.ramp import RampCourse, RampLimit
from perftui.present.documents.page.knee import Knee
from perftui.present.documents.page.render import html, markdown
from tests.perftui.present.documents.test_page import References, picture
from tests.support.fake_ramp import course
from tests.support.frames import T

EVIL = "<script>alert(1)</script>"


def page(*ramps: RampCourse) -> str:
    """Return a page of a service that was ramped."""
    summary = picture()
    return html(summary, stood([summary]), (), ramps, made_at=float(T), version="1")


def section(text: str) -> str:
    """Return the part of a page that tells of the knee."""
    return text[text.index('<section id="knee">') : text.index('<section id="why">')]


def test_the_page_begins_with_what_was_found_and_what_gave() -> None:
    """The headline is the knee, and the section tells the mend, what it should give, and what is next."""
    text = page(course())
    headline = text[text.index("<h1") : text.index("</h1>")]
    assert "Knee 315/s (306 … 324), a cliff: the pool gave: 15 of 15 connections" in headline
    told = section(text)
    assert "<b>Mend</b> pool 15 → 40 a process, or hold connections for less long; that should give" in told
    assert "620/s, an estimate" in told
    assert "<b>Next to give</b> loop orders.py:41" in told
    assert 'href="#knee"' in text


def test_every_step_is_in_the_table_and_curves_go_by_the_rate() -> None:
    """Charts are well-formed SVG over the rate that was sent, the knee is drawn in each."""
    told = section(page(course()))
    assert told.count("<tr><td") == len(course().steps)
    assert told.count("✗ missed p95") == 3
    pictures = [told[at : told.index("</svg>", at) + 6] for at in _places(told, "<svg")]
    assert len(pictures) == 3
    for drawn in pictures:
        paths = Xml.fromstring(drawn).findall("path")
        (knee,) = (path.get("d") for path in paths if path.get("class") == "bound")
        assert knee == f"M{course().knee_rps:.1f} 0V100"
        (line, *_) = (path.get("d") or "" for path in paths if (path.get("class") or "").startswith("line"))
        across = [float(point.split(" ")[0]) for point in line.lstrip("M").replace("h.01", "").split("L")]
        assert across == sorted(across)


def test_of_the_resources_the_one_that_gave_is_drawn_first() -> None:
    """Three lines can be told apart, all others are in the table."""
    full = Knee(course()).charts[2]
    assert [line.name for line in full.series] == ["pool", "event loop", "CPU"]


def test_markdown_tells_the_same() -> None:
    """What was found, the mend, and a row for each step."""
    summary = picture()
    text = markdown(summary, stood([summary]), (), [course()], made_at=float(T), version="1")
    told = text[text.index("## The knee") : text.index("## Why")]
    assert "Knee 315/s (306 … 324), a cliff: the pool gave" in told
    assert "- Mend: pool 15 → 40 a process" in told
    assert sum(line.startswith("| ") for line in told.splitlines()) == len(course().steps) + 1


def test_a_ramp_that_found_no_knee_is_told_as_such() -> None:
    """What comes of no step, and of one that was not ended, is no page full of nothing."""
    nothing = RampCourse(verdict="nothing was found (interrupted)", ended="interrupted")
    told = section(page(nothing))
    assert "Nothing was found (interrupted)" in told
    assert "<svg" not in told
    assert '<section id="knee">' not in page(RampCourse())


def test_what_a_recording_says_of_a_ramp_is_taken_for_data() -> None:
    """Subjects, sentences and requests come from outside."""
    evil = replace(course(limits=(RampLimit("pool", EVIL, EVIL, EVIL),)), requests=(EVIL,), law=EVIL)
    text = page(evil)
    assert EVIL not in text
    assert References(text).tags.count("script") == References(page(course())).tags.count("script")


def _places(text: str, word: str) -> list[int]:
    return [at for at in range(len(text)) if text.startswith(word, at)]
