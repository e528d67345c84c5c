"""Whether there is a terminal."""

from __future__ import annotations

import pytest

from perftui import terminal


@pytest.mark.parametrize(("term", "there"), [("xterm-256color", True), ("vt100", True), ("dumb", False)])
def test_a_dumb_terminal_is_none(term: str, there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """It can't place its cursor: in an editor's shell a dashboard would be noise."""
    monkeypatch.setattr("os.isatty", lambda _: True)
    monkeypatch.setenv("TERM", term)
    assert terminal.is_there() is there
