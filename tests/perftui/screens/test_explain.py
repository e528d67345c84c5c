"""The plan of a statement, as a screen, and what is said of it where the statement is shown."""

from __future__ import annotations

from perftui_agent.wire.dumps import Refusal
from tests.perftui.screens.seen import look
from tests.support.fake_evidence import ShopFeed
from tests.support.fake_plan import CREATE, SENTENCE


def test_a_plan_says_what_it_means_before_what_it_is() -> None:
    """The statement, what is wrong with its plan, what to try, by what that is known; then the plan."""
    lines = look(ShopFeed(), "4", "e").splitlines()
    text = "\n".join(lines)
    assert "plan" in lines[0]
    assert lines[1].strip().startswith("SELECT item_id")
    assert f"▲ {SENTENCE}" in text
    assert f"→ Try an index: {CREATE}"[:70] in text
    assert "SQLite's planner takes it" in text
    assert text.index("WHAT IT MEANS") < text.index("PLAN") < text.index("SCAN search_terms")
    assert all(len(line) <= 80 for line in lines)


def test_it_opens_from_the_statement_as_well() -> None:
    """`e` on the statement's screen; `esc` goes back there."""
    assert "SCAN search_terms" in look(ShopFeed(), "4", "enter", "e")
    assert "STATEMENT" in look(ShopFeed(), "4", "enter", "e", "escape")


def test_a_refusal_says_why_and_the_mend() -> None:
    """One sentence, and what helps."""
    refused = Refusal(id="e", reason="actions are switched off in this service", advice="start it without")
    screen = look(ShopFeed(answer=refused), "4", "e")
    assert "✗ actions are switched off in this service" in screen
    assert "start it without" in screen
