"""The variables of one function, wherever it runs or waits, for who has asked for them by its name.

Nothing of the app's runs for it: no `__repr__`, no property, no lazy attribute of a model; values of Python's
own types are written out, of other objects their type and what lies in their `__dict__`, one level deep. What
is called as secrets are is hidden, unless that very variable was asked for.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from types import FrameType, GetSetDescriptorType
from typing import Any, NamedTuple

from perftui_agent import foreign_frames
from perftui_agent.inspect.text import printable
from perftui_agent.places import is_ours, short_file
from perftui_agent.wire.dumps import FrameLocals

MAX_FRAMES = 20
"""Of the function, in all threads and tasks."""

MAX_VALUES = 50
MAX_ITEMS = 5
MAX_CHARACTERS = 160
MAX_TEXT = 80

_NAME, _FILE = 200, 500

HIDDEN = "(hidden: called as a secret is)"

_SECRET = re.compile(
    r"passw|passphrase|passwd|secret|token|api_?key|auth|cookie|credential|session_?id|private|\bpw\b|\bpin\b",
    re.IGNORECASE,
)

_PLAIN: tuple[type, ...] = (float, complex, bool, type(None))

_LARGEST = 10**30

# As the type itself has them, not as a metaclass or a proxy would answer.
_name_of = type.__dict__["__qualname__"].__get__
_module_of = type.__dict__["__module__"].__get__
_bases_of = type.__dict__["__mro__"].__get__
_namespace_of = type.__dict__["__dict__"].__get__


class Place(NamedTuple):
    """A frame, and who is there."""

    frame: FrameType
    at: str
    """The thread or the task."""
    route: str = ""


class Wanted(NamedTuple):
    """Whose variables are wanted, and which of them; none: all."""

    function: str
    names: tuple[str, ...] = ()

    def is_of(self, frame: FrameType) -> bool:
        """Tell whether a frame is one of the function."""
        code = frame.f_code
        said = self.function
        return not is_ours(code.co_filename) and (
            said in (code.co_name, code.co_qualname) or code.co_qualname.endswith(f".{said}")
        )


def wanted(text: str) -> Wanted:
    """Return who is meant by `build_report` or `build_report:rows,user`."""
    function, _, names = text.partition(":")
    return Wanted(function.strip(), tuple(name.strip() for name in names.split(",") if name.strip()))


def locals_of(places: Iterable[Place], want: Wanted) -> tuple[list[FrameLocals], int]:
    """Return the variables, frame by frame, and how many further frames there were."""
    found = [place for place in places if want.is_of(place.frame)]
    return [_locals(place, want) for place in found[:MAX_FRAMES]], max(0, len(found) - MAX_FRAMES)


def _locals(place: Place, want: Wanted) -> FrameLocals:
    frame, code = place.frame, place.frame.f_code
    held = dict(foreign_frames.locals_of(frame))
    names = [name for name in held if not want.names or name in want.names]
    file = printable(code.co_filename, _FILE)
    return FrameLocals(
        function=printable(code.co_qualname, _NAME),
        file=file,
        line=frame.f_lineno or code.co_firstlineno,
        short_file=short_file(file),
        at=printable(place.at, _NAME),
        route=printable(place.route, _NAME),
        values={
            printable(name, _NAME): _shown(name, held[name], by_name=name in want.names)
            for name in names[:MAX_VALUES]
        },
        values_cut=max(0, len(names) - MAX_VALUES),
    )


def _shown(name: str, value: object, *, by_name: bool) -> str:
    return HIDDEN if _is_secret(name) and not by_name else printable(told(value), MAX_CHARACTERS)


def _is_secret(name: object) -> bool:
    return type(name) is str and bool(_SECRET.search(name))


def told(value: Any, depth: int = 2) -> str:
    """Return a value in a few words; no code but Python's own runs for it."""
    kind = type(value)
    if kind in _PLAIN:
        return repr(value)
    if kind is int:
        return repr(value) if -_LARGEST < value < _LARGEST else "an int of many digits"
    if kind in (str, bytes):
        more = len(value) - MAX_TEXT
        return repr(value[:MAX_TEXT]) + (f" and {more} more" if more > 0 else "")
    try:
        if kind is dict:
            pairs = (_pair(key, held, depth) for key, held in value.items())
            return f"{{{_items(pairs, len(value), depth)}}}"
        if brackets := _BRACKETS.get(kind):
            items = (told(held, depth - 1) for held in value)
            return f"{brackets[0]}{_items(items, len(value), depth)}{brackets[1]}"
        return f"<class {_type(value)}>" if kind is type else _object(value, kind, depth)
    except RuntimeError:  # the app has changed it meanwhile
        return f"<{_type(kind)} that changes>"


_BRACKETS: dict[type, str] = {list: "[]", tuple: "()", set: "{}", frozenset: "{}"}


def _items(items: Iterable[str], length: int, depth: int) -> str:
    if depth == 0:
        return f"{length} items" if length else ""
    shown = ", ".join(itertools.islice(items, MAX_ITEMS))
    return f"{shown}, … {length} in all" if length > MAX_ITEMS else shown


def _pair(key: object, value: object, depth: int) -> str:
    return f"{told(key, 0)}: {HIDDEN if _is_secret(key) else told(value, depth - 1)}"


def _object(value: object, kind: type, depth: int) -> str:
    attributes = _attributes(value, kind) if depth else None
    if not attributes:
        return f"<{_type(kind)}>"
    pairs = (
        f"{name}={HIDDEN if _is_secret(name) else told(held, 0)}"
        for name, held in attributes.items()
        if type(name) is str and not name.startswith("_")
    )
    return f"<{_type(kind)} {', '.join(itertools.islice(pairs, MAX_ITEMS))}>"


def _attributes(value: object, kind: type) -> dict[object, object] | None:
    """Return the `__dict__` of an object, unless its class has made a property of that, as proxies do."""
    for base in _bases_of(kind):
        if (found := _namespace_of(base).get("__dict__")) is not None:
            held = found.__get__(value) if type(found) is GetSetDescriptorType else None
            return held if type(held) is dict else None
    return None


def _type(kind: type) -> str:
    module = _module_of(kind)
    name = str(_name_of(kind))
    return name if type(module) is not str or module == "builtins" else f"{module}.{name}"
