"""Places in code, as people say them: `app/reports.py:42 build`.

Takes code objects, frames and tracebacks; gives short text. Remembers the short form of each file
name, since working it out costs several microseconds.
"""

from __future__ import annotations

import contextlib
import os
import sys
import sysconfig
from types import FrameType, TracebackType

_paths = sysconfig.get_paths()
_SITE = tuple({os.path.join(_paths[name], "") for name in ("purelib", "platlib")})
_STDLIB = tuple({os.path.join(_paths[name], "") for name in ("stdlib", "platstdlib")})
_OURS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")

MAX_REMEMBERED = 4096

_short_names: dict[str, str] = {}
_is_user: dict[str, bool] = {}


def is_user_code(file: str) -> bool:
    """Tell whether `file` is the app's own: neither installed, nor Python's, nor the agent's."""
    known = _is_user.get(file)
    if known is None:
        known = not (
            file.startswith(("<", *_SITE, *_STDLIB, _OURS))
            or "site-packages" in file
            or "dist-packages" in file
        )
        if len(_is_user) < MAX_REMEMBERED:
            _is_user[file] = known
    return known


def is_stdlib(file: str) -> bool:
    """Tell whether `file` is Python's own."""
    return file.startswith(("<", *_STDLIB)) and not file.startswith(_SITE) and "site-packages" not in file


def is_router(file: str) -> bool:
    """Tell whether `file` finds a request's endpoint: what is outside of it only passes the request on."""
    return file.endswith(("starlette/routing.py", "fastapi/routing.py"))


def is_ours(file: str) -> bool:
    """Tell whether `file` is the agent's."""
    return file.startswith(_OURS)


def is_the_doors(file: str) -> bool:
    """Tell whether `file` is the remote door's, which has tasks on the app's loop."""
    return file.startswith(_OURS) and file.endswith("serve/endpoint.py")


def short_file(file: str) -> str:
    """Return `file` relative to where it was imported from: `app/reports.py`, `fastapi/routing.py`."""
    known = _short_names.get(file)
    if known is None:
        known = _shorten(file)
        if len(_short_names) < MAX_REMEMBERED:
            _short_names[file] = known
    return known


def _shorten(file: str) -> str:
    roots = [*_SITE, *_STDLIB]
    for entry in ["", *sys.path]:
        # The current directory may have been removed, or not to be asked for, by who guards a loop against
        # blocking calls. Most entries need no asking.
        with contextlib.suppress(Exception):
            path = os.path.normpath(entry) if os.path.isabs(entry) else os.path.abspath(entry)
            root = os.path.join(path, "")
            if root != os.sep:
                roots.append(root)
    # The longest root gives the shortest name: site-packages before the standard library it lies in.
    best = max((root for root in roots if file.startswith(root)), key=len, default="")
    if best:
        return file[len(best) :]
    return os.sep.join(file.rsplit(os.sep, 2)[-2:])


def place_of(file: str, line: int, function: str) -> str:
    """Return `file:line function` with the file's short name."""
    return f"{short_file(file)}:{line} {function}"


def place_of_frame(frame: FrameType) -> str:
    """Return where `frame` is right now."""
    code = frame.f_code
    return place_of(code.co_filename, frame.f_lineno or code.co_firstlineno, code.co_qualname)


def where_raised(traceback: TracebackType | None) -> tuple[str, int, str]:
    """Return the innermost place in the app's own code, or the innermost at all, as `place_of` takes it."""
    innermost = user = None
    while traceback is not None:
        innermost = traceback
        if is_user_code(traceback.tb_frame.f_code.co_filename):
            user = traceback
        traceback = traceback.tb_next
    chosen = user or innermost
    if chosen is None:
        return "", 0, ""
    code = chosen.tb_frame.f_code
    return code.co_filename, chosen.tb_lineno, code.co_qualname
