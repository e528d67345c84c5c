"""What the system allows here, as facts: who asks the kernel for what, and what it answers.

The agent tells of its own process in a `Standing`, since nobody knows better what it may do; whoever looks
from outside reads the same facts of a process that does not answer. Judging them is the client's.
"""

from __future__ import annotations

import os
import platform
import sys
import sysconfig

import msgspec

from perftui_agent.wire.parts import Value

YAMA_SCOPE = "/proc/sys/kernel/yama/ptrace_scope"

CAP_SYS_PTRACE = 19


class Rights(Value, frozen=True):
    """What the system says of one process."""

    uid: int = -1
    capabilities: int = 0
    """Those in effect, as the kernel's bits."""
    seccomp: int = 0
    """0 none, 1 strict, 2 a filter, as in a container."""
    tracer: int = 0
    """The pid that holds it already: tracing is exclusive."""
    hides_from: int | None = None
    """Whose the system makes its inner files, if not its own user's: it is not dumpable."""

    @property
    def may_trace_anyone(self) -> bool:
        """Whether it holds CAP_SYS_PTRACE."""
        return bool(self.capabilities >> CAP_SYS_PTRACE & 1)


class Machine(Value, frozen=True):
    """What a process is in."""

    system: str = ""
    """`linux`, `darwin`."""
    kernel: str = ""
    libc: str = ""
    """`glibc` or `musl`; empty where it can't be told."""
    python: str = ""
    yama: int | None = None
    """`kernel.yama.ptrace_scope`; None on a kernel without Yama."""
    container: str = ""
    """`kubernetes`, `docker`, `podman`, `lxc`; empty for none that is known."""


class Trial(Value, frozen=True):
    """What came of asking the kernel to trace a process, and to read its memory: names of errors."""

    trace: str = ""
    read: str = ""

    @property
    def allowed(self) -> bool:
        """Whether py-spy can look at it."""
        return not self.trace and not self.read


class StandingRequest(msgspec.Struct, tag="standing", omit_defaults=True, kw_only=True):
    """Asks an agent what it may do here; of its own worker alone."""

    id: str
    pid: int | None = None


class Standing(msgspec.Struct, tag="standing-result", omit_defaults=True, kw_only=True):
    """What an agent may do here."""

    id: str
    pid: int
    rights: Rights
    machine: Machine
    spy: str = ""
    """The path of the py-spy that it would start; empty for none."""
    spy_version: str = ""
    trials: dict[int, Trial] = msgspec.field(default_factory=dict)
    """By pid: the worker itself, and its siblings. None at all where actions are switched off."""
    untried: str = ""
    """Why nothing was tried."""
    actions: bool = True
    probes: dict[str, str] = msgspec.field(default_factory=dict)


def rights_of(status: str, owner: int, inner_owner: int) -> Rights:
    """Return what `/proc/PID/status` says, with whose the directory is and whose its inner files are."""
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    return Rights(
        uid=int(fields.get("Uid", "-1").split()[0]),
        capabilities=int(fields.get("CapEff", "0"), 16),
        seccomp=int(fields.get("Seccomp", "0")),
        tracer=int(fields.get("TracerPid", "0")),
        hides_from=inner_owner if inner_owner != owner else None,
    )


def read_rights(pid: int) -> Rights | None:
    """Return what the system says of a process; None if there is none, or off Linux."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8", errors="replace") as file:
            status = file.read(65536)
        uid = int(next(line for line in status.splitlines() if line.startswith("Uid:")).split()[2])
        # The system gives the files of a process that is not dumpable to root.
        return rights_of(status, uid, os.stat(f"/proc/{pid}/environ").st_uid)
    except (OSError, ValueError, StopIteration):
        return None


def read_machine() -> Machine:
    """Return what this process is in."""
    return Machine(
        system=sys.platform,
        kernel=platform.release(),
        libc=_libc(),
        python=platform.python_version(),
        yama=read_yama(),
        container=_container(),
    )


def read_yama() -> int | None:
    """Return `kernel.yama.ptrace_scope`; None on a kernel without Yama."""
    try:
        with open(YAMA_SCOPE, "rb") as file:
            return int(file.read(16))
    except (OSError, ValueError):
        return None


def _libc() -> str:
    for name in ("SOABI", "HOST_GNU_TYPE", "MULTIARCH"):
        if "musl" in str(sysconfig.get_config_var(name) or ""):
            return "musl"
    try:
        return "glibc" if os.confstr("CS_GNU_LIBC_VERSION") else ""
    except (AttributeError, OSError, ValueError):
        return ""


def _container() -> str:
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return "kubernetes"
    if os.path.exists("/.dockerenv"):
        return "docker"
    if os.path.exists("/run/.containerenv"):
        return "podman"
    named = os.environ.get("container", "")  # noqa: SIM112 - systemd and lxc write it so
    return named if named in {"lxc", "podman"} else ""
