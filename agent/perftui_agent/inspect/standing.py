"""What this worker's agent may do here: asked of the kernel, not worked out from its settings.

A child asks to trace each worker and to read of its memory, as py-spy would. It seizes and does not stop:
the worker runs on while it is held, and is let go as the child ends, some microseconds later. Reading is
asked of address 0, where nothing can be read: the kernel looks at the permission first.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping

from perftui_agent.inspect.pyspy import environment, find_py_spy, outcome
from perftui_agent.inspect.text import printable
from perftui_agent.wire.standing import Rights, Standing, Trial, read_machine, read_rights

MOST_TARGETS = 64

LIMIT_S = 2.0

_ASK = """
import ctypes, sys
class Piece(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]
libc = ctypes.CDLL(None, use_errno=True)
def failed(result):
    return ctypes.get_errno() if result < 0 else 0
libc.ptrace.restype = ctypes.c_long
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.process_vm_readv.restype = ctypes.c_ssize_t
libc.process_vm_readv.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_ulong,
                                  ctypes.c_void_p, ctypes.c_ulong, ctypes.c_ulong]
buffer = ctypes.create_string_buffer(1)
here, there = Piece(ctypes.addressof(buffer), 1), Piece(None, 1)
for pid in map(int, sys.argv[1:]):
    read = failed(libc.process_vm_readv(pid, ctypes.byref(here), 1, ctypes.byref(there), 1, 0))
    print(pid, failed(libc.ptrace(0x4206, pid, None, None)), read, flush=True)
"""
"""PTRACE_SEIZE is 0x4206."""


async def take_standing(
    request_id: str,
    pid: int,
    *,
    targets: Iterable[int],
    actions_allowed: bool,
    probes: Mapping[str, str],
    spy: str | None = None,
) -> Standing:
    """Return what the agent of this process, `pid`, may do to itself and to `targets`.

    Where actions are switched off, the kernel is asked nothing. Takes some 60 ms, of which the worker notices
    nothing.
    """
    binary = spy or find_py_spy() or ""
    trials: dict[int, Trial] = {}
    version, untried = "", "actions are switched off"
    if actions_allowed:
        version = await _version_of(binary) if binary else ""
        wanted = list(dict.fromkeys([pid, *targets]))[:MOST_TARGETS]
        trials, untried = await try_to_trace(wanted)
    return Standing(
        id=request_id,
        pid=pid,
        rights=read_rights(pid) or Rights(uid=os.getuid()),
        machine=read_machine(),
        spy=binary,
        spy_version=version,
        trials=trials,
        untried=untried,
        actions=actions_allowed,
        probes=dict(probes),
    )


async def try_to_trace(pids: Iterable[int]) -> tuple[dict[int, Trial], str]:
    """Return what the kernel says to a child that would trace each of `pids`, or why it was not asked."""
    if not sys.platform.startswith("linux"):
        return {}, "this is not Linux"
    if "python" not in os.path.basename(sys.executable or ""):
        return {}, "there is no Python to ask with"
    said, problem = await _said([sys.executable, "-I", "-S", "-c", _ASK, *map(str, pids)])
    return trials_in(said), problem


def trials_in(said: str) -> dict[int, Trial]:
    """Return the trials in what the child has said: a line each of pid and the errors of both."""
    trials = {}
    for line in said.splitlines():
        fields = line.split()
        if len(fields) == 3 and all(map(str.isdecimal, fields)):
            pid, trace, read = map(int, fields)
            # Nothing is at address 0: that it can't be read tells that it might be.
            trials[pid] = Trial(trace=_name(trace), read="" if read == errno.EFAULT else _name(read))
    return trials


def _name(number: int) -> str:
    return errno.errorcode.get(number, str(number)) if number else ""


async def _version_of(binary: str) -> str:
    said, _ = await _said([binary, "--version"])
    return printable(said.strip().removeprefix("py-spy").strip(), 40)


async def _said(command: list[str]) -> tuple[str, str]:
    """Return what a command prints, and what it complains of."""
    try:
        process = _started(command)
    except OSError as error:
        return "", str(error)
    try:
        finished = await outcome(process, LIMIT_S)
    finally:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
        if process.poll() is None:
            process.kill()
            process.wait()
    complaint = finished.stderr.strip().rpartition("\n")[2]
    return finished.stdout.decode("ascii", "replace"), printable(complaint, 200)


def _started(command: list[str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        close_fds=True,
        start_new_session=True,
        cwd=os.sep,
        env=environment(),
    )
