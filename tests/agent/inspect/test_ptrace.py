"""Who may trace a worker."""

from __future__ import annotations

import ctypes
import errno
import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from perftui_agent.inspect import ptrace, refusals
from perftui_agent.inspect.ptrace import chosen_tracer, permit_tracing
from perftui_agent.inspect.refusals import how_to_permit

linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl is Linux's")

Kernel = Callable[..., list[tuple[int, int]]]


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    """Put a kernel with these rules in place of the real one; give the calls it gets."""

    def make(
        *, scope: int, refuses: tuple[int, ...] = (), dumpable: int = 1, capable: bool = False
    ) -> list[tuple[int, int]]:
        calls: list[tuple[int, int]] = []

        def prctl(option: int, argument: int = 0) -> int:
            if option == ptrace.PR_GET_DUMPABLE:
                return dumpable
            calls.append((option, argument))
            if argument in refuses or scope == 0:
                ctypes.set_errno(errno.EINVAL)
                return -1
            return 0

        monkeypatch.setattr(ptrace, "_prctl", prctl)
        monkeypatch.setattr(ptrace, "yama_scope", lambda: scope)
        monkeypatch.setattr(ptrace, "may_trace_anyone", lambda: capable)
        monkeypatch.setattr(sys, "platform", "linux")
        return calls

    return make


@pytest.mark.parametrize(("parent", "expected"), [(500, 500), (2, 2), (1, 10), (0, 10)])
def test_chosen_tracer(parent: int, expected: int) -> None:
    """The supervisor is named, but neither init, which is everyone, nor 0, which is no one."""
    assert chosen_tracer(parent, own=10) == expected


def test_yama(kernel: Kernel) -> None:
    """Under Yama the supervisor is named, so that its workers may trace each other."""
    calls = kernel(scope=1)

    assert permit_tracing() == "on"
    assert calls == [(ptrace.PR_SET_PTRACER, chosen_tracer(os.getppid(), os.getpid()))]


def test_no_yama(kernel: Kernel) -> None:
    """Without Yama nothing has to be permitted, and the kernel's EINVAL is no fault."""
    kernel(scope=0)

    assert permit_tracing() == "on"


def test_supervisor_died(kernel: Kernel) -> None:
    """A supervisor that died meanwhile can't be named: the worker's own children still may trace it."""
    calls = kernel(scope=1, refuses=(os.getppid(),))

    assert permit_tracing() == "on"
    assert calls[-1] == (ptrace.PR_SET_PTRACER, os.getpid())


def test_refused(kernel: Kernel) -> None:
    """A kernel that permits nothing is told with its reason."""
    kernel(scope=1, refuses=(os.getppid(), os.getpid()))

    assert permit_tracing() == "off: Invalid argument"


def test_strict_yama(kernel: Kernel) -> None:
    """Where only the administrator may trace, it is off, unless this process is as good as one."""
    kernel(scope=2)
    assert permit_tracing() == "off: kernel.yama.ptrace_scope is 2"
    kernel(scope=2, capable=True)
    assert permit_tracing() == "on"


def test_not_dumpable(kernel: Kernel) -> None:
    """A process that changed its user can't be traced by its own, and that is told."""
    kernel(scope=0, dumpable=0)

    assert permit_tracing() == "off: not dumpable, as after a change of user"


def test_made_dumpable(kernel: Kernel) -> None:
    """Only where it is asked for, and only a process that is not."""
    calls = kernel(scope=1, dumpable=0)
    assert permit_tracing(dumpable=True) == "on"
    assert calls[0] == (ptrace.PR_SET_DUMPABLE, 1)

    calls = kernel(scope=1, dumpable=1)
    assert permit_tracing(dumpable=True) == "on"
    assert (ptrace.PR_SET_DUMPABLE, 1) not in calls


CHANGES_USER = """
import os, sys
from perftui_agent.inspect.ptrace import permit_tracing
from perftui_agent.inspect.standing import _ASK
if not os.getuid():
    os.setgroups([]); os.setuid(65534)

def trial() -> None:
    sys.stdout.flush()
    pid = os.getpid()
    child = os.fork()
    if not child:
        sys.argv = ["", str(pid)]
        exec(_ASK, {})
        os._exit(0)
    os.waitpid(child, 0)

trial()
print(permit_tracing(dumpable=True), flush=True)
trial()
"""


@linux
def test_one_that_changed_its_user_can_be_traced_when_that_is_asked_for() -> None:
    """A real other uid without capabilities: its own child is refused before, and may look after."""
    said = subprocess.run([sys.executable, "-c", CHANGES_USER], capture_output=True, text=True, check=True)

    before, status, after = said.stdout.splitlines()
    if os.getuid() == 0:
        assert before.split()[1:] == [str(errno.EPERM)] * 2
    assert status == "on"
    assert after.split()[1:] == ["0", str(errno.EFAULT)]


def test_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """On other systems there is nothing to permit."""
    monkeypatch.setattr(sys, "platform", "darwin")

    assert permit_tracing() == "off: not Linux"
    assert how_to_permit(7) == "on this system tracing needs root: sudo py-spy dump --pid 7"


@pytest.mark.parametrize(
    ("owners", "scope", "variable", "expected"),
    [
        ((1, 1), 0, "", "it runs as another user: sudo py-spy dump --pid 7"),
        ((0, 1), 0, "", "it changed its user: instrument(app, dumpable=True), or sudo py-spy dump --pid 7"),
        ((0, 0), 2, "", "kernel.yama.ptrace_scope is 2: sudo sysctl kernel.yama.ptrace_scope=1"),
        ((0, 0), 1, "set", "add SYS_PTRACE to the container's securityContext.capabilities.add"),
    ],
    ids=["another-user", "not-dumpable", "strict-yama", "kubernetes"],
)
def test_advice(
    monkeypatch: pytest.MonkeyPatch, owners: tuple[int, int], scope: int, variable: str, expected: str
) -> None:
    """Who may not trace is told what stands in the way, and what to type."""
    own = os.geteuid()
    found = {"/proc/7": own + owners[0], "/proc/7/environ": own + owners[1]}
    monkeypatch.setattr(refusals, "_owner", found.get)
    monkeypatch.setattr(refusals, "yama_scope", lambda: scope)
    monkeypatch.setattr(refusals, "may_trace_anyone", lambda: False)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    if variable:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", variable)

    assert how_to_permit(7) == expected


@linux
def test_real_kernel() -> None:
    """On this kernel the worker learns whether it may be traced, in a word or two."""
    assert permit_tracing() == "on" or permit_tracing().startswith("off: ")
