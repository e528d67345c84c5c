"""One stretch in which the event loop did not turn: samples of its thread's stack in, an incident out.

Names the function that most samples found innermost among the app's own, and its most frequent line;
where none of them is at work, the innermost of a library. `time.sleep` and other C functions have no
frame: the line that calls them stands for them.
"""

from __future__ import annotations

import inspect
import itertools
import time
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from inspect import CO_COROUTINE
from time import perf_counter_ns
from types import CodeType, FrameType
from typing import Any, TypeAlias

from perftui_agent.await_chain import route_of
from perftui_agent.foreign_frames import stack_of
from perftui_agent.places import is_ours, is_router, is_stdlib, is_user_code, place_of
from perftui_agent.records import RequestRecord
from perftui_agent.wire.incidents import Incident
from perftui_agent.wire.parts import CodePlace

MAX_STACK_PLACES = 20

MAX_FUNCTIONS = 50
"""Functions told apart in one block."""

MAX_THREADS = 100
"""Threads looked at in one sample; anyio's pool has 40."""

MAX_IN_FLIGHT = 200
"""Requests in flight that a stack is compared with."""

_WALK_AT_MOST = 200

_LOOP_FILES = ("asyncio/base_events.py", "asyncio/events.py", "asyncio/runners.py", "selectors.py")
_LOOP_FUNCTIONS = frozenset({"select", "_run", "_run_once", "run_forever", "run_until_complete", "run"})

_COMPREHENSIONS = frozenset({"<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>"})

_WAITING_FILES = (
    *("threading.py", "queue.py", "selectors.py", "socket.py", "ssl.py", "subprocess.py"),
    *("concurrent/futures/thread.py", "multiprocessing/connection.py"),
)
"""Where a thread most likely waits for something and holds nobody up."""

Line: TypeAlias = tuple[CodeType, int]
"""What a frame was at."""


def base_of(frame: FrameType | None) -> frozenset[int]:
    """Return the ids of the frames that wait for the loop's end: whoever started it holds nothing up.

    Takes the current frame of something that runs on the loop; what is outside of its outermost
    coroutine stays as long as the loop runs. uvloop itself has no frame to be told by.
    """
    outside: set[int] | None = None
    while frame is not None:
        if frame.f_code.co_flags & CO_COROUTINE:
            outside = set()
        elif outside is not None and not _runs_the_loop(frame.f_code):
            outside.add(id(frame))
        frame = frame.f_back
    return frozenset(outside or ())


def stack_on_loop(innermost: FrameType | None, base: Collection[int]) -> list[Line]:
    """Return what runs on the loop, innermost first; empty while the loop itself waits for events.

    The agent's own frames are left out. Up to Python 3.11 a comprehension has a frame of its own: it is
    a line of the function it stands in.
    """
    lines: list[Line] = []
    within: Line | None = None
    for frame in stack_of(innermost, _WALK_AT_MOST):
        if id(frame) in base or _runs_the_loop(frame.f_code):
            break
        code, line = frame.f_code, frame.f_lineno or frame.f_code.co_firstlineno
        if within is not None and within[0].co_filename == code.co_filename:
            line = within[1]
        if code.co_name in _COMPREHENSIONS:
            within = code, line
        else:
            within = None
            if not is_ours(code.co_filename):
                lines.append((code, line))
    return lines


def _runs_the_loop(code: CodeType) -> bool:
    return code.co_name in _LOOP_FUNCTIONS and code.co_filename.endswith(_LOOP_FILES)


def busy_stacks(threads: Iterable[FrameType]) -> Iterator[list[Line]]:
    """Yield the stack of each thread that is at work for the app, as far as it can be told."""
    for frame in itertools.islice(threads, MAX_THREADS):
        if not frame.f_code.co_filename.endswith(_WAITING_FILES):
            stack = stack_on_loop(frame, ())
            if any(is_user_code(code.co_filename) for code, _ in stack):
                yield stack


def request_in(stack: list[Line], in_flight: list[RequestRecord]) -> RequestRecord | None:
    """Return a request in flight whose endpoint is in `stack`."""
    codes = {code for code, _ in stack}
    for record in in_flight[:MAX_IN_FLIGHT]:
        endpoint: Any = (record.scope or {}).get("endpoint")
        if endpoint is not None and getattr(inspect.unwrap(endpoint), "__code__", None) in codes:
            return record
    return None


def _at_work(stack: list[Line]) -> Line:
    """Return the innermost line of the app's own, or of a library where the app's own only waits for it.

    What a middleware of the app's calls is no work of its own: JSON is made within it, too.
    """
    library: Line | None = None
    for code, line in stack:
        file = code.co_filename
        if is_user_code(file):
            return code, line
        if library is None and not is_stdlib(file):
            library = code, line
        if is_router(file):
            break
    return library or stack[0]


class Block:
    """The stretch from `began_ns` on, as far as it has been looked at."""

    def __init__(self, known_ns: int) -> None:
        self.known_ns = known_ns
        """Since when it is known that the loop did not turn, by `perf_counter_ns`."""
        self.began_ns = known_ns
        """When it most likely began: a little earlier, with the request that runs."""
        # Read once: each frame that tells of this block gives the same moment.
        self._wall_ns = time.time_ns() - perf_counter_ns()
        self._functions: Counter[CodeType] = Counter()
        self._lines: dict[CodeType, Counter[int]] = {}
        self._stacks: dict[CodeType, list[Line]] = {}
        self._requests: dict[CodeType, RequestRecord] = {}

    def add(self, stack: list[Line], request: RequestRecord | None) -> None:
        """Count one sample; `request` is the one that ran."""
        code, line = _at_work(stack)
        if code not in self._functions and len(self._functions) >= MAX_FUNCTIONS:
            return
        self._functions[code] += 1
        self._lines.setdefault(code, Counter())[line] += 1
        self._stacks[code] = stack
        if request is not None:
            self._requests[code] = request

    @property
    def seen(self) -> bool:
        """Whether any sample has shown what holds the loop."""
        return bool(self._functions)

    @property
    def where(self) -> CodePlace:
        """What held the loop; empty when nothing has been seen."""
        culprit = self._culprit()
        if culprit is None:
            return ""
        return place_of(culprit.co_filename, self._lines[culprit].most_common(1)[0][0], culprit.co_qualname)

    @property
    def request(self) -> RequestRecord | None:
        """The request that held the loop, if it was one."""
        culprit = self._culprit()
        return None if culprit is None else self._requests.get(culprit)

    @property
    def stack(self) -> list[CodePlace]:
        """How it got there: the app's own frames, innermost first, then the others."""
        culprit = self._culprit()
        if culprit is None:
            return []
        stack = self._stacks[culprit]
        own = [at for at in stack if is_user_code(at[0].co_filename)]
        others = [at for at in stack if not is_user_code(at[0].co_filename)]
        return [
            place_of(code.co_filename, line, code.co_qualname)
            for code, line in [*own, *others][:MAX_STACK_PLACES]
        ]

    def incident(self, ns: int, *, ongoing: bool = False) -> Incident:
        """Return what is to be told of a block of this length."""
        request = self.request
        return Incident(
            kind="loop-blocked",
            at=self._wall_ns + self.began_ns,
            ns=ns,
            where=self.where,
            route=None if request is None else route_of(request),
            stack=self.stack,
            ongoing=ongoing,
        )

    def _culprit(self) -> CodeType | None:
        most = self._functions.most_common(1)
        return most[0][0] if most else None
