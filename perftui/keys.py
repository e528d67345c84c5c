"""Every key there is, in one table: bindings, the bottom line, the help and the README derive from it.

`python -m perftui.keys README.md` writes the table into the README. Upper case intrudes on the service and
asks first. Never ctrl+a, ctrl+b, ctrl+s or F-keys alone: tmux, screen and terminals take them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, TypeAlias

from perftui.record import Record

Place: TypeAlias = Literal[
    "everywhere",
    "replay",
    "triage",
    "view",
    "table",
    "rows",
    "evidence",
    "detail",
    "worker",
    "route",
    "timeline",
    "dump",
    "flame",
    "memory",
    "functions",
    "sql",
    "database",
    "statement",
    "explain",
    "help",
    "confirm",
    "filter",
    "export",
    "palette",
]
"""Where a key works: on every screen, on one of them, or in what has the focus."""


class Key(Record, frozen=True):
    """A key (or several that do the same), what it does, and where."""

    keys: tuple[str, ...]
    """As Textual names them."""
    shown: str
    """As people read them."""
    action: str
    label: str
    """One or two words for the bottom line; empty to leave it out there."""
    sentence: str
    place: Place
    weight: int = 50
    """The lighter, the further left in the bottom line; the heaviest give way when there is no room."""


KEYS = (
    Key(("enter",), "⏎", "open", "open", "Open the selected row: a route, a worker.", "table", 10),
    Key(("up", "k"), "↑ k", "cursor(-1)", "", "One row up.", "table"),
    Key(("down", "j"), "↓ j", "cursor(1)", "", "One row down.", "table"),
    Key(("pageup", "ctrl+u"), "PgUp ctrl+u", "page(-1)", "", "One page up.", "table"),
    Key(("pagedown", "ctrl+d"), "PgDn ctrl+d", "page(1)", "", "One page down.", "table"),
    Key(("g",), "gg", "top", "", "To the first row.", "table"),
    Key(("G", "shift+g"), "G", "bottom", "", "To the last row.", "table"),
    Key(("s",), "s", "sort(1)", "sort", "Sort by the next column.", "table", 30),
    Key(("S", "shift+s"), "S", "sort(-1)", "", "Sort by the previous column.", "table"),
    Key(("i",), "i", "invert", "", "Turn the order of the rows around.", "table"),
    Key(("tab",), "tab", "pane(1)", "pane", "The next pane.", "triage", 40),
    Key(("shift+tab",), "shift+tab", "pane(-1)", "", "The previous pane.", "triage"),
    Key(("z",), "z", "zoom", "zoom", "Give this pane the whole screen, or give it back.", "triage", 75),
    Key(("slash",), "/", "filter", "filter", "Show only the rows that meet what you type.", "triage", 20),
    Key(("escape",), "esc", "clear_filter", "", "Show all panes again; else clear the filter.", "triage"),
    Key(
        ("D", "shift+d"),
        "D",
        "dump",
        "dump",
        "Dump the selected worker's threads; asks first.",
        "triage",
        35,
    ),
    Key(
        ("P", "shift+p"),
        "P",
        "profile",
        "profile",
        "Profile all workers, by route; asks first.",
        "triage",
        37,
    ),
    Key(
        ("F", "shift+f"),
        "F",
        "functions",
        "functions",
        "Which functions the selected route calls; asks first.",
        "triage",
        46,
    ),
    Key(("tab",), "tab", "pane(1)", "pane", "The next pane.", "view", 40),
    Key(("shift+tab",), "shift+tab", "pane(-1)", "", "The previous pane.", "view"),
    Key(("z",), "z", "zoom", "zoom", "Give this pane the whole screen, or give it back.", "view", 75),
    Key(("slash",), "/", "filter", "filter", "Show only the rows that meet what you type.", "view", 20),
    Key(
        ("escape",), "esc", "back", "back", "Show all panes, else clear the filter, else Triage.", "view", 90
    ),
    Key(("enter",), "⏎", "open", "open", "Open what the selected line is about.", "rows", 10),
    Key(("up", "k"), "↑ k", "cursor(-1)", "", "To the line before that leads somewhere.", "rows"),
    Key(("down", "j"), "↓ j", "cursor(1)", "", "To the next line that leads somewhere.", "rows"),
    Key(("pageup", "ctrl+u"), "PgUp ctrl+u", "page(-1)", "", "A screenful up.", "rows"),
    Key(("pagedown", "ctrl+d"), "PgDn ctrl+d", "page(1)", "", "A screenful down.", "rows"),
    Key(("g",), "gg", "top", "", "To the first line.", "rows"),
    Key(("G", "shift+g"), "G", "bottom", "", "To the last line.", "rows"),
    Key(("escape",), "esc", "back", "back", "Back, to the row this was opened from.", "evidence", 90),
    Key(("escape",), "esc", "back", "back", "Back, to the same row.", "detail", 90),
    Key(("up", "k"), "↑ k", "scroll(-1)", "", "One line up.", "detail"),
    Key(("down", "j"), "↓ j", "scroll(1)", "", "One line down.", "detail"),
    Key(("pageup", "ctrl+u"), "PgUp ctrl+u", "scroll(-10)", "", "Ten lines up.", "detail"),
    Key(("pagedown", "ctrl+d"), "PgDn ctrl+d", "scroll(10)", "", "Ten lines down.", "detail"),
    Key(("g",), "gg", "scroll(-10000)", "", "To the first line.", "detail"),
    Key(("G", "shift+g"), "G", "scroll(10000)", "", "To the last line.", "detail"),
    Key(
        ("D", "shift+d"),
        "D",
        "dump",
        "dump",
        "Dump this worker's threads; asks first.",
        "worker",
        35,
    ),
    Key(
        ("P", "shift+p"),
        "P",
        "profile",
        "profile",
        "Profile this worker, by route; asks first.",
        "worker",
        37,
    ),
    Key(
        ("P", "shift+p"),
        "P",
        "profile",
        "profile",
        "Profile this route in all workers; asks first.",
        "route",
        37,
    ),
    Key(
        ("F", "shift+f"),
        "F",
        "functions",
        "functions",
        "Which functions this route calls; asks first.",
        "route",
        46,
    ),
    Key(
        ("t",),
        "t",
        "go",
        "go there",
        "To the moment of the selected row: all views show it as it was.",
        "timeline",
        15,
    ),
    Key(("enter",), "⏎", "fold", "unfold", "Open or close what is folded on this line.", "dump", 10),
    Key(("d",), "d", "again", "again", "Take another dump of the same worker.", "dump", 20),
    Key(("a",), "a", "all", "all", "Dump all workers, or the one alone again; asks first.", "dump", 22),
    Key(
        ("l",),
        "l",
        "variables",
        "locals",
        "Show this function's variables, or hide them; asks first.",
        "dump",
        24,
    ),
    Key(("up", "k"), "↑ k", "cursor(-1)", "", "One line up.", "dump"),
    Key(("down", "j"), "↓ j", "cursor(1)", "", "One line down.", "dump"),
    Key(("pageup", "ctrl+u"), "PgUp ctrl+u", "cursor(-10)", "", "Ten lines up.", "dump"),
    Key(("pagedown", "ctrl+d"), "PgDn ctrl+d", "cursor(10)", "", "Ten lines down.", "dump"),
    Key(("g",), "gg", "cursor(-10000)", "", "To the first line.", "dump"),
    Key(("G", "shift+g"), "G", "cursor(10000)", "", "To the last line.", "dump"),
    Key(("escape",), "esc", "back", "back", "Back to the worker.", "dump", 90),
    Key(
        ("M", "shift+m"),
        "M",
        "memory",
        "memory",
        "Watch what grows in this worker; asks first.",
        "worker",
        39,
    ),
    Key(("e",), "e", "explain", "explain", "How the database goes about the selected statement.", "sql", 33),
    Key(
        ("e",),
        "e",
        "explain",
        "explain",
        "How the database goes about it, and what is missing.",
        "statement",
        33,
    ),
    Key(("a",), "a", "again", "again", "Ask the database again.", "explain", 30),
    Key(("e",), "e", "finish", "end", "End it now, with what there is.", "memory", 20),
    Key(("a",), "a", "again", "again", "Watch again.", "memory", 30),
    Key(("s",), "s", "sort(1)", "sort", "Sort by the next column: own, total, calls.", "functions", 10),
    Key(("S", "shift+s"), "S", "sort(-1)", "", "Sort by the previous column.", "functions"),
    Key(("i",), "i", "invert", "", "Turn the order of the rows around.", "functions"),
    Key(("e",), "e", "finish", "end", "End it now, with what there is.", "functions", 20),
    Key(("a",), "a", "again", "again", "Measure the next requests.", "functions", 30),
    Key(("o",), "o", "save", "save", "Write a .pstats file.", "functions", 40),
    Key(("escape",), "esc", "back", "back", "Back, to where this was opened.", "functions", 90),
    Key(("d",), "d", "database", "database", "The database's own view: waits and locks.", "sql", 35),
    Key(("a",), "a", "again", "again", "Ask the database again.", "database", 20),
    Key(("enter",), "⏎", "zoom_in", "zoom in", "Zoom into the function on this line.", "flame", 10),
    Key(("escape",), "esc", "out", "out", "Zoom out; from all of it, back.", "flame", 90),
    Key(("r",), "r", "route(1)", "route", "The next route.", "flame", 15),
    Key(("R", "shift+r"), "R", "route(-1)", "", "The previous route.", "flame"),
    Key(("t",), "t", "shape('own')", "own time", "A table by own time, or the ways again.", "flame", 20),
    Key(("i",), "i", "shape('callers')", "callers", "Who calls the function on this line.", "flame", 25),
    Key(("x",), "x", "shape('change')", "Δ mark", "The difference to the mark.", "flame", 30),
    Key(("b",), "b", "mark", "mark", "Mark this profile: x holds the next against it.", "flame", 35),
    Key(("l",), "l", "loop", "loop", "Only the event loop's thread, or all threads.", "flame", 40),
    Key(("slash",), "/", "find", "find", "Find functions by a regular expression.", "flame", 33),
    Key(("space", "p"), "space p", "freeze", "freeze", "Freeze the picture while it samples.", "flame", 50),
    Key(("e",), "e", "finish", "end", "End it now, with what there is.", "flame", 45),
    Key(("a",), "a", "again", "again", "Take another profile.", "flame", 47),
    Key(("v",), "v", "engine", "engine", "Another one, by py-spy or the agent's sampler.", "flame", 53),
    Key(
        ("o",), "o", "save", "save", "Write the profile into files: SVG, speedscope, collapsed.", "flame", 55
    ),
    Key(("up", "k"), "↑ k", "cursor(-1)", "", "One line up.", "flame"),
    Key(("down", "j"), "↓ j", "cursor(1)", "", "One line down.", "flame"),
    Key(("pageup", "ctrl+u"), "PgUp ctrl+u", "cursor(-10)", "", "Ten lines up.", "flame"),
    Key(("pagedown", "ctrl+d"), "PgDn ctrl+d", "cursor(10)", "", "Ten lines down.", "flame"),
    Key(("g",), "gg", "cursor(-10000)", "", "To the first line.", "flame"),
    Key(("G", "shift+g"), "G", "cursor(10000)", "", "To the last line.", "flame"),
    Key(
        ("1", "2", "3", "4", "5", "6", "7", "8"),
        "1–8",
        "view({key})",
        "views",
        "Triage, Routes, Requests, SQL, Caches, Workers, Timeline, HTTP.",
        "everywhere",
        45,
    ),
    Key(("w",), "w", "window", "window", "The next window: 10 s, 1 m, 5 m, 15 m.", "everywhere", 60),
    Key(
        ("space", "p"),
        "space p",
        "pause",
        "pause",
        "Freeze the picture; play or halt a recording.",
        "everywhere",
        50,
    ),
    Key(
        ("left_square_bracket",),
        "[",
        "step(-1)",
        "time",
        "Step back in time, by a tick of the chart.",
        "everywhere",
        55,
    ),
    Key(("right_square_bracket",), "]", "step(1)", "", "Step forward in time.", "everywhere"),
    Key(("left_curly_bracket",), "{", "leap(-1)", "", "Leap back in time, by a window.", "everywhere"),
    Key(("right_curly_bracket",), "}", "leap(1)", "", "Leap forward in time.", "everywhere"),
    Key(("end",), "End", "live", "", "Back to the present.", "everywhere"),
    Key(("b",), "b", "mark", "mark", "Mark this moment: Δ p95 is told against it.", "everywhere", 70),
    Key(("y",), "y", "copy", "copy", "Copy what is on the screen as Markdown (OSC 52).", "everywhere", 65),
    Key(("E", "shift+e"), "E", "export", "", "Write the view into a file: SVG, text or JSON.", "everywhere"),
    Key(
        ("R", "shift+r"),
        "R",
        "record",
        "",
        "Record into a file, or end that; asks first.",
        "everywhere",
    ),
    Key(("n",), "n", "thing(1)", "next", "To what happened next.", "replay", 5),
    Key(("N", "shift+n"), "N", "thing(-1)", "", "To what happened before this.", "replay"),
    Key(("greater_than_sign",), ">", "speed(1)", "faster", "Play faster.", "replay", 7),
    Key(("less_than_sign",), "<", "speed(-1)", "", "Play slower.", "replay"),
    Key(("home",), "Home", "begin", "", "To the beginning of the recording.", "replay"),
    Key(("plus", "equals_sign"), "+", "refresh_rate(-1)", "", "Repaint more often.", "everywhere"),
    Key(("minus",), "-", "refresh_rate(1)", "", "Repaint less often.", "everywhere"),
    Key(("ctrl+z",), "ctrl+z", "suspend_process", "", "Into the background; `fg` comes back.", "everywhere"),
    Key(
        ("colon", "ctrl+p"),
        ": ctrl+p",
        "palette",
        "",
        "Find what one can do here by a few letters.",
        "everywhere",
    ),
    Key(("ctrl+l",), "ctrl+l", "redraw", "", "Draw the whole screen again.", "everywhere"),
    Key(
        ("question_mark",),
        "?",
        "help",
        "help",
        "These keys; on a route first how near it is to each finding.",
        "everywhere",
        95,
    ),
    Key(("q", "ctrl+c"), "q ctrl+c", "quit", "quit", "Quit; the service notices nothing.", "everywhere", 99),
    Key(("question_mark",), "?", "back", "back", "Close the help.", "help", 95),
    Key(("s",), "s", "choose('svg')", "SVG", "A picture that a browser shows.", "export", 10),
    Key(("t",), "t", "choose('txt')", "text", "The text on the screen.", "export", 20),
    Key(
        ("j",),
        "j",
        "choose('json')",
        "JSON",
        "All figures, as `perftui snapshot --json` prints them.",
        "export",
        30,
    ),
    Key(("escape", "n"), "esc n", "choose('')", "no", "Write nothing.", "export", 40),
    Key(("enter",), "⏎", "choose", "do it", "Do what is chosen.", "palette", 10),
    Key(("up", "ctrl+p"), "↑ ctrl+p", "cursor(-1)", "", "One line up.", "palette"),
    Key(("down", "ctrl+n", "tab"), "↓ ctrl+n", "cursor(1)", "", "One line down.", "palette"),
    Key(("escape",), "esc", "leave", "leave", "Do nothing.", "palette", 20),
    Key(("y",), "y", "answer(True)", "yes", "Do it.", "confirm", 10),
    Key(("escape", "n"), "esc n", "answer(False)", "no", "Leave it.", "confirm", 20),
    Key(("enter",), "⏎", "screen.keep", "keep", "Keep the filter.", "filter", 10),
    Key(("escape",), "esc", "screen.drop", "clear", "Clear the filter.", "filter", 20),
)

TITLES: dict[Place, str] = {
    "triage": "Triage",
    "view": "Views 2 to 8",
    "table": "In a table",
    "rows": "In findings and details",
    "evidence": "Details",
    "everywhere": "Everywhere",
    "replay": "In a recording",
    "detail": "Texts",
    "worker": "Worker",
    "timeline": "Timeline",
    "route": "Route",
    "dump": "Dump",
    "flame": "Profile",
    "memory": "Memory",
    "functions": "Functions",
    "sql": "SQL",
    "database": "Database",
    "statement": "Statement",
    "explain": "Plan",
    "confirm": "When asked",
    "filter": "While you type a filter",
    "export": "When asked what to write",
    "palette": "In the palette",
    "help": "Help",
}


_NAMES = {
    "cursor(-1)": "up",
    "cursor(1)": "down",
    "scroll(-1)": "up",
    "scroll(1)": "down",
    "page(-1)": "page-up",
    "page(1)": "page-down",
    "cursor(-10)": "page-up",
    "cursor(10)": "page-down",
    "scroll(-10)": "page-up",
    "scroll(10)": "page-down",
    "cursor(-10000)": "top",
    "cursor(10000)": "bottom",
    "scroll(-10000)": "top",
    "scroll(10000)": "bottom",
    "sort(1)": "sort",
    "sort(-1)": "sort-previous",
    "pane(1)": "next-pane",
    "pane(-1)": "previous-pane",
    "refresh_rate(-1)": "faster",
    "refresh_rate(1)": "slower",
    "step(-1)": "step-back",
    "step(1)": "step-forward",
    "thing(1)": "next-event",
    "thing(-1)": "previous-event",
    "speed(1)": "play-faster",
    "speed(-1)": "play-slower",
    "leap(-1)": "leap-back",
    "leap(1)": "leap-forward",
    "answer(True)": "yes",
    "answer(False)": "no",
    "choose('')": "choose-none",
    "shape('own')": "own-time",
    "shape('callers')": "callers",
    "shape('change')": "difference",
    "route(1)": "next-route",
    "route(-1)": "previous-route",
}
"""What actions are called in settings, where their own words don't do."""

_SIGNS = {
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "left_curly_bracket": "{",
    "right_curly_bracket": "}",
    "question_mark": "?",
    "slash": "/",
    "colon": ":",
    "plus": "+",
    "greater_than_sign": ">",
    "less_than_sign": "<",
    "minus": "-",
    "enter": "⏎",
    "escape": "esc",
    "up": "↑",
    "down": "↓",
}

_ALONE: frozenset[Place] = frozenset({"confirm", "filter", "export", "palette"})
"""Where no key of another place works."""

_SHADOWING: frozenset[Place] = frozenset({"flame"})
"""Whose keys come before those that work everywhere: somebody may have chosen one of them for these."""

_rebound: dict[str, tuple[str, ...]] = {}


def name_of(key: Key) -> str:
    """Return what the settings call an action; empty if its keys are what they are."""
    if "{key}" in key.action:
        return ""
    plain = key.action.rpartition(".")[2].replace("('", "-").replace("')", "")
    return _NAMES.get(key.action, plain.replace("_", "-"))


NAMES = tuple(dict.fromkeys(filter(None, map(name_of, KEYS))))
"""Every action whose keys can be chosen."""


def rebind(chosen: Mapping[str, tuple[str, ...]]) -> None:
    """Let actions be reached by other keys, before any screen is imported: all derive from the table.

    Raises `ValueError` that says which key would mean two things at once.
    """
    _rebound.clear()
    _rebound.update({name: tuple(k for key in keys for k in _as_typed(key)) for name, keys in chosen.items()})
    for key in map(_as_chosen, KEYS):
        for other in map(_as_chosen, KEYS):
            taken = set(key.keys) & set(other.keys)
            if name_of(key) in _rebound and name_of(other) != name_of(key) and taken and _meet(key, other):
                raise ValueError(f"keys.{name_of(key)}: {min(taken)} is taken by {name_of(other) or 'views'}")


def _meet(key: Key, other: Key) -> bool:
    """Tell whether two keys can work at the same time."""
    if key.place == other.place:
        return True
    if {"everywhere", "replay"} & {key.place, other.place} and {key.place, other.place} & _SHADOWING:
        return False
    return not {key.place, other.place} & _ALONE and (
        bool({"everywhere", "replay"} & {key.place, other.place})
        or {key.place, other.place} <= {"triage", "table", "rows"}
    )


def _as_typed(key: str) -> tuple[str, ...]:
    """Return a key as terminals may tell it: capitals come in two ways."""
    return (key, f"shift+{key.lower()}") if len(key) == 1 and key.isupper() else (key,)


def _as_chosen(key: Key) -> Key:
    keys = _rebound.get(name_of(key))
    if keys is None:
        return key
    shown = " ".join(
        _SIGNS.get(name, name) for name in keys if not name.startswith("shift+") or len(keys) == 1
    )
    return replace(key, keys=keys, shown=shown)


def keys_of(*places: Place) -> list[Key]:
    """Return the keys that work in any of `places`, in the order of the table."""
    return [_as_chosen(key) for key in KEYS if key.place in places]


def as_markdown() -> str:
    """Return all keys as a Markdown table."""
    lines = ["| where | key | does | name |", "|---|---|---|---|"]
    for place, title in TITLES.items():
        for key in keys_of(place):
            shown = " ".join(f"`{name}`" for name in key.shown.split(" "))
            name = f"`{name_of(key)}`" if name_of(key) else ""
            lines.append(f"| {title} | {shown} | {key.sentence} | {name} |".replace("  |", " |"))
    return "\n".join(lines)


BEGIN, END = "<!-- keys: written by `python -m perftui.keys README.md` -->", "<!-- /keys -->"


def written_into(text: str) -> str:
    """Return a document with the table of keys between its markers."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"there is no {BEGIN} … {END}")
    return f"{before}{BEGIN}\n\n{as_markdown()}\n\n{END}{after}"


def main(paths: list[str]) -> None:
    """Write the table of keys into documents; without any, print it."""
    if not paths:
        print(as_markdown())  # noqa: T201 - this is what it is run for
    for path in paths:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        with open(path, "w", encoding="utf-8") as file:
            file.write(written_into(text))


if __name__ == "__main__":
    main(sys.argv[1:])
