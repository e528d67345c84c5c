"""One table of keys."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

from perftui.keys import KEYS, TITLES, as_markdown, keys_of, written_into
from perftui.keytable.key import Place
from perftui.present.text.cells import text_of
from perftui.screens.help import help_lines

TOGETHER: tuple[tuple[Place, ...], ...] = (
    ("triage", "table", "everywhere"),
    ("triage", "rows", "everywhere"),
    ("worker", "view", "table", "everywhere"),
    ("worker", "evidence", "rows", "everywhere"),
    ("route", "view", "table", "everywhere"),
    ("route", "evidence", "rows", "everywhere"),
    ("functions", "everywhere"),
    ("dump", "everywhere"),
)
"""Places whose keys work at the same time."""


def test_every_key_is_in_the_help() -> None:
    """Whatever can be pressed is told, with a sentence."""
    text = "\n".join(text_of(line) for line in help_lines(80))
    for key in KEYS:
        assert key.shown in text
        assert key.sentence in text


def test_every_key_is_in_the_readme_table() -> None:
    """`python -m perftui.keys` prints a Markdown row for each key."""
    printed = subprocess.run(
        [sys.executable, "-m", "perftui.keys"], check=True, capture_output=True, text=True
    ).stdout
    assert as_markdown() == printed.rstrip("\n")
    for key in KEYS:
        assert any(key.sentence in row and TITLES[key.place] in row for row in printed.splitlines())


def test_the_readme_has_the_table_of_today() -> None:
    """What stands between its markers is what `python -m perftui.keys README.md` writes there."""
    text = (Path(__file__).parents[2] / "README.md").read_text()
    assert text == written_into(text), "run: python -m perftui.keys README.md"


def test_no_key_means_two_things_at_once() -> None:
    """Of the keys that work at the same time none is bound twice."""
    for places in TOGETHER:
        counts = Counter(name for key in keys_of(*places) for name in key.keys)
        assert {name: number for name, number in counts.items() if number > 1} == {}


def test_keys_that_multiplexers_take_are_not_used() -> None:
    """tmux, screen and terminals keep ctrl+a, ctrl+b, ctrl+s and the function keys for themselves."""
    used = {name for key in KEYS for name in key.keys}
    assert not used & {"ctrl+a", "ctrl+b", "ctrl+s", *(f"f{number}" for number in range(1, 13))}
