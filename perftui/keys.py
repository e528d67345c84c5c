"""Every key there is, in one table: bindings, the bottom line, the help and the README derive from it.

`python -m perftui.keys README.md` writes the table into the README. Upper case intrudes on the service and
asks first. Never ctrl+a, ctrl+b, ctrl+s or F-keys alone: tmux, screen and terminals take them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import replace

from perftui.keytable.asked import ASKED
from perftui.keytable.everywhere import EVERYWHERE
from perftui.keytable.key import Key, Place
from perftui.keytable.views import VIEWS

KEYS = (*VIEWS, *ASKED, *EVERYWHERE)

TITLES: dict[Place, str] = {
    "triage": "Triage",
    "view": "Views 2 to 8",
    "table": "In a table",
    "rows": "In findings and details",
    "evidence": "Details",
    "everywhere": "Everywhere",
    "replay": "In a recording",
    "ramping": "In a ramp",
    "ramp": "Ramp",
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

_WIDE: frozenset[Place] = frozenset({"everywhere", "replay", "ramping"})
"""Whose keys work on every screen."""

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
    if _WIDE & {key.place, other.place} and {key.place, other.place} & _SHADOWING:
        return False
    return not {key.place, other.place} & _ALONE and (
        bool(_WIDE & {key.place, other.place}) or {key.place, other.place} <= {"triage", "table", "rows"}
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
