"""Which conditions of a statement are held against a sample."""

from __future__ import annotations

from perftui_agent.inspect.explain.terms import may_be_tried, terms_of


def test_a_function_of_the_apps_own_is_not_called() -> None:
    """Neither by a name of its own nor by one that only its schema tells from a harmless one."""
    tried = {
        text: all(may_be_tried(term) for term in terms_of(text))
        for text in ("lower(name) = 'a'", "app.lower(name) = 'a'", "counted(name) = 'a'")
    }
    assert tried == {
        "lower(name) = 'a'": True,
        "app.lower(name) = 'a'": False,
        "counted(name) = 'a'": False,
    }
