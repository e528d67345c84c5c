"""Why there is no dump, in one sentence, and the mend: for whoever is on call and can't look it up."""

from __future__ import annotations

import os
import sys

from perftui_agent.inspect.ptrace import may_trace_anyone, yama_scope
from perftui_agent.inspect.spy_output import Failure
from perftui_agent.wire.dumps import Refusal

_BY_ITSELF = {
    Failure.GONE: ("pid {pid} is gone", "perftui ls shows the workers there are now"),
    Failure.HELD: (
        "pid {pid} is held by another tracer",
        "detach the debugger or profiler that is attached to it, and dump again",
    ),
    Failure.STOPPED: ("pid {pid} is stopped", "kill -CONT {pid} lets it go on"),
    Failure.NOT_PYTHON: (
        "py-spy finds no Python in pid {pid}: it is just starting, or a stack is over 4,096 frames deep",
        "dump again in a second",
    ),
    Failure.TIMED_OUT: (
        "py-spy gave no answer about pid {pid} in time and was ended",
        "dump again; on a machine without a free core, dump from outside: py-spy dump --pid {pid}",
    ),
    Failure.TOO_LARGE: (
        "the stacks of pid {pid} are larger than a dump may be",
        "dump it on its host: py-spy dump --pid {pid}",
    ),
    Failure.UNREADABLE: (
        "py-spy's answer about pid {pid} can't be read",
        "see what it says on the host: py-spy dump --pid {pid}",
    ),
    Failure.NOT_STARTED: (
        "py-spy can't be started here",
        "install it beside the agent: python -m pip install 'py-spy>=0.4.3'",
    ),
}


def refusal_of(failure: Failure, request_id: str, pid: int, detail: str = "") -> Refusal:
    """Return the answer for `failure`; `detail` is what the system said of it, if that helps."""
    if failure is Failure.DENIED:
        return Refusal(id=request_id, reason=f"tracing pid {pid} is not permitted", advice=how_to_permit(pid))
    reason, advice = (text.format(pid=pid) for text in _BY_ITSELF[failure])
    return Refusal(id=request_id, reason=f"{reason}: {detail}" if detail else reason, advice=advice)


def how_to_permit(pid: int) -> str:
    """Return what would let this process trace `pid`, from what can be seen from here."""
    if not sys.platform.startswith("linux"):
        return f"on this system tracing needs root: sudo py-spy dump --pid {pid}"
    user, guarded_by = _owner(f"/proc/{pid}"), _owner(f"/proc/{pid}/environ")
    if user != os.geteuid():
        return f"it runs as another user: sudo py-spy dump --pid {pid}"
    if guarded_by != user:
        # The system gives the files of a process that is not dumpable to root.
        return f"it changed its user: instrument(app, dumpable=True), or sudo py-spy dump --pid {pid}"
    scope = yama_scope()
    if scope >= 2 and not may_trace_anyone():
        return f"kernel.yama.ptrace_scope is {scope}: sudo sysctl kernel.yama.ptrace_scope=1"
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return "add SYS_PTRACE to the container's securityContext.capabilities.add"
    if os.path.exists("/.dockerenv") or os.path.exists("/run/.containerenv"):
        return "start the container with --cap-add=SYS_PTRACE"
    if scope == 1:
        return f"kernel.yama.ptrace_scope is 1: sudo py-spy dump --pid {pid}"
    return f"try as root: sudo py-spy dump --pid {pid}"


def _owner(path: str) -> int | None:
    try:
        return os.stat(path).st_uid
    except OSError:
        return None
