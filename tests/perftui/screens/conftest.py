"""What no test of a screen sees is not computed: that was a third of the CPU of all of them."""

from __future__ import annotations

from typing import Any

import pytest
from rich.console import RenderableType
from textual._compositor import Compositor
from textual.css import stylesheet
from textual.css.model import RuleSet

_parsed: dict[tuple[object, ...], list[RuleSet]] = {}
_parse_rules = stylesheet.Stylesheet._parse_rules
_render_update = Compositor.render_update


def _parsed_once(sheet: stylesheet.Stylesheet, *source: Any, **named: Any) -> list[RuleSet]:
    """Return the rules of a style sheet; each app would parse the same ones anew."""
    key = (*source, *named.items(), *sheet._variables.items())
    if key not in _parsed:
        _parsed[key] = _parse_rules(sheet, *source, **named)
    return _parsed[key]


def _sent_to_nobody(compositor: Compositor, full: bool = False, **how: Any) -> RenderableType | None:
    """Return nothing to be sent to a terminal that is not there; `Seen.lines` draws what is looked at.

    What is wanted whole is a picture for a file. What one sees through is drawn: here alone it is
    known what is behind it.
    """
    if full or (compositor.root is not None and compositor.root.styles.background.a < 1):
        return _render_update(compositor, full, **how)
    compositor._dirty_regions.clear()
    return None


@pytest.fixture(autouse=True)
def unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw what is looked at, and parse what is new."""
    monkeypatch.setattr(Compositor, "render_update", _sent_to_nobody)
    monkeypatch.setattr(stylesheet.Stylesheet, "_parse_rules", _parsed_once)
