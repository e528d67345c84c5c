"""Looking at the past."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from perftui.model.happenings import Event
from perftui.model.summary import Summary
from tests.perftui.screens.seen import LARGE, SMALL, look, opened
from tests.support.fake_evidence import ShopFeed
from tests.support.fake_feed import FakeFeed
from tests.support.fake_figures import NOON

AXIS = 4
"""The line at 80×24 that shows where in time one stands."""


def figures(lines: list[str]) -> list[str]:
    """Return what is told of the service: all but where one stands, and what one can do."""
    return [*lines[1:AXIS], *lines[AXIS + 1 : -1]]


def test_a_step_back_shows_the_picture_as_it_was() -> None:
    """`[` goes back by one tick of the chart, and the numbers are those of that moment."""
    then = look(FakeFeed(clock=lambda: NOON - 3)).splitlines()
    rewound = look(FakeFeed(), *["left_square_bracket"] * 3).splitlines()
    assert figures(then) == figures(rewound)
    assert "◂" in rewound[AXIS]


def test_a_rewound_picture_says_so_above_all() -> None:
    """The whole header is a banner that names the moment and how long ago it is."""
    keys = ["left_square_bracket"] * 38
    assert "◂ 11:59:22 · 38 s ago" in look(FakeFeed(), *keys).splitlines()[0]

    async def scene() -> None:
        async with opened(FakeFeed()) as seen:
            await seen.press(*keys)
            header = seen.app.screen._compositor.render_strips()[0]
            grounds = {segment.style.bgcolor for segment in header if segment.style and segment.text.strip()}
            assert len(grounds) == 1
            await seen.press("end")
            assert "● live" in seen.lines()[0]

    asyncio.run(scene())


def test_a_step_in_a_long_window_is_as_long_as_its_ticks() -> None:
    """Over five minutes a point is 3 s here, so a step is."""
    assert "◂ 11:59:57" in look(FakeFeed(), "w", "left_square_bracket")


def test_a_leap_is_a_window() -> None:
    """`{` goes back a minute, after `w` five; `}` comes forward again."""
    assert "◂ 11:59:00" in look(FakeFeed(), "left_curly_bracket")
    assert "◂ 11:54:00" in look(FakeFeed(), "left_curly_bracket", "w", "left_curly_bracket")
    assert "◂ 11:58:00" in look(FakeFeed(), *["left_curly_bracket"] * 3, "right_curly_bracket")


def test_the_beginning_of_history_is_said() -> None:
    """Further back there is nothing: it stops there and says when that is."""
    text = look(FakeFeed(memory_s=90.0), *["left_curly_bracket"] * 3)
    assert "history begins here, at 11:58:30" in text
    assert "◂ 11:58:30" in text


def test_the_present_is_the_other_end() -> None:
    """A step forward from now is answered; stepping forward from the past ends up live."""
    assert "this is now: [ steps back" in look(FakeFeed(), "right_square_bracket")
    text = look(FakeFeed(), "left_square_bracket", "right_square_bracket")
    assert "live again" in text
    assert "● live" in text.splitlines()[0]


def test_before_any_data_there_is_no_history() -> None:
    """Without a first frame the keys say why they do nothing."""
    assert "no history yet" in look(FakeFeed(troubles=("connecting",)), "left_square_bracket")


def test_all_screens_follow_the_one_cursor() -> None:
    """Opened from the past, a route is that of the past, and steps go on there."""
    text = look(FakeFeed(), "left_square_bracket", "enter", "left_square_bracket")
    assert "shop › GET /orders · ◂ 11:59:58 · 2.0 s ago" in text.splitlines()[0]


def test_stepping_back_from_a_pause_starts_where_it_stands() -> None:
    """The moment before the pause, not the moment before now."""
    moment = [NOON]

    async def scene() -> str:
        async with opened(FakeFeed(clock=lambda: moment[0]), SMALL) as seen:
            await seen.press("space")
            moment[0] += 30
            await seen.press("left_square_bracket")
            return seen.lines()[0]

    assert "◂ 11:59:59 · 31 s ago" in asyncio.run(scene())


def test_a_lost_service_can_be_rewound() -> None:
    """What is known of the past is still there, and that the link is stale is still told."""
    first = look(FakeFeed(troubles=("stale",)), "left_square_bracket").splitlines()[0]
    assert "◂ 11:59:59" in first
    assert "stale" in first


def test_an_entry_of_the_timeline_leads_to_its_moment() -> None:
    """`t` shows the service as it was when it happened, in every view; End returns to the present."""
    lost = ["7", "slash", *"lost", "enter"]
    assert "t go there" in look(ShopFeed(), *lost).splitlines()[-1]
    there = look(ShopFeed(), *lost, "t", size=LARGE)
    assert "◂ 11:58:31" in there.splitlines()[0]
    assert "as it was at 11:58:31: End is live" in there
    then = look(FakeFeed(clock=lambda: NOON - 89)).splitlines()
    assert figures(then) == figures(look(ShopFeed(change=_lost_a_worker), *lost, "t", "1").splitlines())
    assert "● live" in look(ShopFeed(), *lost, "t", "end").splitlines()[0]


def test_an_entry_of_the_window_opens_its_evidence_without_leaving_the_present() -> None:
    """What stands is looked at as it stands; its moment is another key."""
    first = look(ShopFeed(), "7", "slash", *"loop", "enter", "enter").splitlines()[0]
    assert "reports.py build_report" in first
    assert "● live" in first


def test_the_evidence_of_what_is_past_is_shown_as_it_was_then() -> None:
    """A worker that joined five minutes ago is opened at that moment, and `esc` leads back."""
    opened = look(ShopFeed(), "7", "slash", *"joined", "enter", "enter", size=LARGE)
    assert "worker 4121 · ◂ 11:55:01" in opened.splitlines()[0]
    assert "as it was at 11:55:01: End is live" in opened


def test_an_entry_without_evidence_of_its_own_leads_to_its_moment() -> None:
    """Enter is never in vain."""
    assert "◂ 11:58:31" in look(ShopFeed(), "7", "slash", *"lost", "enter", "enter").splitlines()[0]


def test_an_entry_older_than_history_says_so() -> None:
    """The picture stays where it is."""
    text = look(ShopFeed(memory_s=60.0), "7", "slash", *"lost", "enter", "t", size=LARGE)
    assert "11:58:30 is older than history, which begins at 11:59:00" in text
    assert "● live" in text.splitlines()[0]


def _lost_a_worker(summary: Summary) -> Summary:
    """Return a picture whose worker was lost ninety seconds before noon, and that shows nothing else new."""
    event = Event(NOON - 90, "worker-lost", "4119", "worker 4119 is gone")
    return replace(FakeFeed().summary(60.0, summary.at), events=(event,))
