"""Places in code as agents name them, `app/reports.py:42 build`, and the function that each lies in.

A comprehension or a lambda is a frame of its own and no function of its own: whoever looks a few times meets
sometimes it and sometimes the function around it.
"""

from __future__ import annotations

_INNER = frozenset({"<listcomp>", "<genexpr>", "<dictcomp>", "<setcomp>", "<lambda>"})


def function_of(place: str) -> str:
    """Return a place's function: `app/reports.py build` of `app/reports.py:42 build.<locals>.<lambda>`."""
    path, _, rest = place.rpartition(":")
    line, _, function = rest.partition(" ")
    return f"{path} {around(function)}" if path and line.isdecimal() else place


def around(function: str) -> str:
    """Return the function that a comprehension or lambda is in: `build` of `build.<locals>.<listcomp>`."""
    while function.rpartition(".")[2] in _INNER and ".<locals>." in function:
        function = function.rpartition(".<locals>.")[0]
    return function
