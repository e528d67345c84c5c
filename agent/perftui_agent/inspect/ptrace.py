"""Who may trace this process: the least that lets the agents of a service dump their siblings.

Measured under Yama `ptrace_scope=1`: without help nobody may trace; after
`prctl(PR_SET_PTRACER, getppid())` the children of the worker, of its siblings and of the supervisor
may, and an unrelated process of the same uid may not. It ends with the named process and is not
inherited by fork, so each worker asks for itself, after its fork.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys

from perftui_agent.wire.standing import read_rights, read_yama

PR_GET_DUMPABLE, PR_SET_DUMPABLE = 3, 4
PR_SET_NAME = 15
PR_SET_PTRACER = 0x59616D61


def permit_tracing(*, dumpable: bool = False) -> str:
    """Let this worker's children and its siblings' trace it; return `on`, or `off: why`.

    With `dumpable`, also if it has changed its user since it started: the system keeps such a process from
    its new user, since it may hold what that one may not see. Only its owner knows whether it does.

    Any thread may call it: the kernel notes it for the process (Yama names the thread group's
    leader), so the agent's thread will do, once per process and again if the supervisor changed.
    """
    if not sys.platform.startswith("linux"):
        return "off: not Linux"
    if _prctl(PR_GET_DUMPABLE) == 0 and not (dumpable and _prctl(PR_SET_DUMPABLE, 1) == 0):
        return "off: not dumpable, as after a change of user"
    scope = yama_scope()
    if scope >= 2 and not may_trace_anyone():
        return f"off: kernel.yama.ptrace_scope is {scope}"
    failure = _name_tracer(chosen_tracer(os.getppid(), os.getpid()))
    if failure == errno.EINVAL and scope > 0:
        # The supervisor died between asking for its pid and naming it.
        failure = _name_tracer(os.getpid())
    if failure and scope > 0:
        return f"off: {os.strerror(failure)}"
    return "on"


def name_thread(name: str) -> None:
    """Have the system call this thread so, in at most 15 characters; Python does by itself from 3.14 on."""
    if sys.platform.startswith("linux"):
        buffer = ctypes.create_string_buffer(name.encode())
        _prctl(PR_SET_NAME, ctypes.addressof(buffer))


def chosen_tracer(parent: int, own: int) -> int:
    """Return the pid to name: the supervisor's, so that siblings are let in with it.

    A parent of 0 (outside this container) would clear the permission, and 1 would let in every
    process of a container or a whole machine.
    """
    return parent if parent > 1 else own


def yama_scope() -> int:
    """Return `kernel.yama.ptrace_scope`; 0 on a kernel without Yama."""
    return read_yama() or 0


def may_trace_anyone() -> bool:
    """Whether this process holds CAP_SYS_PTRACE."""
    rights = read_rights(os.getpid())
    return rights is not None and rights.may_trace_anyone


def _name_tracer(pid: int) -> int:
    """Return 0, or the errno; EINVAL without Yama, or for a pid that is gone."""
    return 0 if _prctl(PR_SET_PTRACER, pid) == 0 else ctypes.get_errno()


def _prctl(option: int, argument: int = 0) -> int:
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        ctypes.set_errno(errno.ENOSYS)
        return -1
    prctl.argtypes = [ctypes.c_int, *[ctypes.c_ulong] * 4]
    prctl.restype = ctypes.c_int
    return int(prctl(option, argument, 0, 0, 0))
