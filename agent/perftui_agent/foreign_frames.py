"""The frames of other threads, and of coroutines that other threads run, read without a risk to the process.

Up to Python 3.11 a frame has no object before somebody asks for it, and to make one is to allocate, which may
begin a garbage collection. That runs the app's code (a finalizer, a callback of `gc`), which lets go of the
GIL; the thread whose frame it is goes on and leaves the function, and the object then stands for memory
that is something else by now: to read it ends the process. So what makes such objects is done here, in one go
in which no bytecode runs (the GIL stays) and no collection begins. CPython guards its own
`sys._current_frames` in the same way from 3.11.6 on. Since 3.12 collections begin between bytecodes alone.

The frames of one's own thread need none of this: they can't go away meanwhile.
"""

from __future__ import annotations

import gc
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from inspect import CO_OPTIMIZED
from itertools import compress, repeat, takewhile
from operator import call, is_not
from sys import getrefcount
from threading import get_ident
from types import AsyncGeneratorType, CoroutineType, FrameType, GeneratorType
from typing import Any

COLLECTIONS_INTERRUPT = sys.version_info < (3, 12)

FRAMES_KEEP_WHAT_THEY_TOLD = sys.version_info < (3, 13)
"""A function's frame keeps the dictionary of `f_locals`: what a pool's thread did last would not be freed."""

MAX_DEPTH = 200

_FRAME_OF = {CoroutineType: "cr_frame", GeneratorType: "gi_frame", AsyncGeneratorType: "ag_frame"}

_call: Callable[..., Any] = call
_is_frame: Callable[[object], bool] = partial(is_not, None)


def current_frames() -> dict[int, FrameType]:
    """Return the innermost frame of each thread but one's own, by its ident.

    One's own would be that of a function here, whose variables lead to what is returned: a circle, in which
    every other thread's frames, with all their variables, stay until the collector comes by.
    """
    found: list[dict[int, FrameType]] = []
    _undisturbed(partial(found.extend, map(_call, (sys._current_frames,))))
    found[0].pop(get_ident(), None)
    return found[0]


def stack_of(frame: FrameType | None, most: int = MAX_DEPTH) -> list[FrameType]:
    """Return the frames of a stack, innermost first. Walked raw: `traceback` costs 1–4 ms cold."""
    if frame is None:
        return []
    frames: list[Any] = [frame]
    # It reads on from what it has just added.
    backs = map(getattr, iter(frames), repeat("f_back", most - 1), repeat(None))
    _undisturbed(partial(frames.extend, takewhile(_is_frame, backs)))
    return frames


def frames_of(links: Iterable[object]) -> list[FrameType]:
    """Return the frames of those that have one: coroutines and generators that have not ended."""
    having = [link for link in links if type(link) in _FRAME_OF]
    return [frame for frame in _read(having, [_FRAME_OF[type(link)] for link in having]) if frame is not None]


def frame_of_greenlet(greenlet: object) -> FrameType | None:
    """Return the innermost frame of a greenlet that others have been switched to; None if there is none."""
    frame: FrameType | None = _read([greenlet], ["gr_frame"])[0]
    return frame


def locals_of(frame: FrameType) -> dict[str, Any]:
    """Return the variables of a frame, of which none lives longer for that."""
    found = _read([frame], ["f_locals"])
    held = dict(found[0])
    kept = FRAMES_KEEP_WHAT_THEY_TOLD and frame.f_code.co_flags & CO_OPTIMIZED
    # The frame's own reference, the list's and the call's: else the app has it, from `locals()`.
    if kept and getrefcount(found[0]) == 3:
        found[0].clear()
    return held


def _read(objects: Sequence[object], names: Sequence[str]) -> list[Any]:
    """Return an attribute of each; None where there is none."""
    found: list[Any] = []
    _undisturbed(partial(found.extend, map(getattr, objects, names, repeat(None))))
    return found


def _undisturbed(step: Callable[[], object]) -> None:
    """Do a step that is C code alone, with no collection in it; nobody can see that there was to be none."""
    if not COLLECTIONS_INTERRUPT:
        step()
        return
    was_on: list[bool] = []
    steps: tuple[Callable[[], object], ...] = (
        partial(was_on.extend, map(_call, (gc.isenabled,))),
        gc.disable,
        step,
        partial(deque, map(_call, compress((gc.enable,), was_on)), 0),
    )
    try:
        # All four within one call: between two bytecodes another thread might run, and see it switched off.
        deque(map(_call, steps), 0)
    except BaseException:
        if any(was_on):
            gc.enable()
        raise
