"""Whether a process may be traced, and what stops it: the nearest cause first, with its exact mend.

The kernel was asked (`Trial`), so this only explains its answer. Where it could not be asked, the rules that
are known say what it would answer.
"""

from __future__ import annotations

from perftui.doctor.spy import version_of
from perftui.doctor.surroundings import Check, Surroundings
from perftui_agent.wire.standing import Machine, Rights, Trial

NAME = "tracing"

SECCOMP_LETS_TRACE_SINCE = (4, 8)
"""From this kernel on Docker's profile allows ptrace."""

KUBERNETES = 'in the container: securityContext: {capabilities: {add: ["SYS_PTRACE"]}}'
DOCKER = "start the container with --cap-add=SYS_PTRACE (compose: cap_add: [SYS_PTRACE])"
PODMAN = "start the container with --cap-add=SYS_PTRACE"

_UNCONFINED = {
    "kubernetes": "in the pod: securityContext: {seccompProfile: {type: Unconfined}}, and " + KUBERNETES,
}

_FILTER = 2


def check_tracing_here(place: Surroundings) -> list[Check]:
    """Return what this host's kernel allows in general: nothing is tried."""
    machine, rights = place.machine, place.rights
    if machine.system and machine.system != "linux":
        sentence = f"on {machine.system} only root may trace: agents look from inside instead"
        return [Check(NAME, "note", sentence, "for an exact dump: sudo py-spy dump --pid PID")]
    mighty = rights is not None and rights.may_trace_anyone
    if (machine.yama or 0) >= 2 and not mighty:
        return [Check(NAME, "wrong", _yama(machine), yama_mend(machine))]
    where = f" in {machine.container}" if machine.container else ""
    if machine.yama == 1 and not mighty:
        sentence = (
            f"kernel.yama.ptrace_scope is 1{where}: agents let their siblings in, "
            "a py-spy typed here is kept out"
        )
        return [Check(NAME, "ok", sentence, "for that one: sudo py-spy dump --pid PID")]
    filtered = ", through a seccomp filter" if rights is not None and rights.seccomp == _FILTER else ""
    return [Check(NAME, "ok", f"this user's processes may be traced{where}{filtered}")]


def why_not_traced(trial: Trial, target: Rights | None, tracer: Rights, machine: Machine) -> tuple[str, str]:
    """Return why the kernel refused, and the mend; two empty texts if it did not.

    `target` is the process that was to be traced, `tracer` who would: the same but for a sibling.
    """
    if trial.allowed:
        return "", ""
    if "ESRCH" in {trial.trace, trial.read}:
        return "it has ended", "perftui ls shows the workers there are now"
    if target is not None and target.tracer:
        return f"pid {target.tracer} traces it already", "detach that debugger or profiler"
    if target is not None and target.uid != tracer.uid and tracer.uid != 0:
        return f"it runs as uid {target.uid}, its sibling as {tracer.uid}", "start all workers as one user"
    if target is not None and target.hides_from is not None:
        sentence = "it changed its user when it started, and is not dumpable since"
        mend = "instrument(app, dumpable=True), or start it as that user (systemd: User=)"
        return sentence, mend
    if (machine.yama or 0) >= 2 and not tracer.may_trace_anyone:
        return _yama(machine), yama_mend(machine)
    if not trial.trace or "ENOSYS" in {trial.trace, trial.read} or _seccomp_stops(machine, tracer):
        return "a seccomp filter stops the calls that py-spy makes", seccomp_mend(machine)
    if machine.container in {"kubernetes", "docker", "podman"}:
        return f"the container ({machine.container}) has not the right to trace", capability_mend(machine)
    if machine.yama == 1:
        sentence = "kernel.yama.ptrace_scope is 1, and it has let nobody in"
        return sentence, "restart the service: agents let their siblings in; or sudo py-spy"
    sentence = f"the kernel refuses it ({trial.trace or trial.read}): a security module may"
    return sentence, "SELinux: sudo setsebool deny_ptrace off; AppArmor: add ptrace to its profile"


def _seccomp_stops(machine: Machine, tracer: Rights) -> bool:
    old = version_of(machine.kernel)[:2] < SECCOMP_LETS_TRACE_SINCE
    return bool(machine.kernel) and old and tracer.seccomp == _FILTER and not tracer.may_trace_anyone


def _yama(machine: Machine) -> str:
    rest = ": nobody may trace until the next boot" if machine.yama == 3 else ": only root may trace"
    return f"kernel.yama.ptrace_scope is {machine.yama}{rest}"


def yama_mend(machine: Machine) -> str:
    """Return what lets agents trace their siblings again."""
    if machine.yama == 3:
        return "write kernel.yama.ptrace_scope = 1 into /etc/sysctl.d/10-ptrace.conf, and boot"
    mend = "sudo sysctl kernel.yama.ptrace_scope=1"
    return f"{mend}, or {capability_mend(machine)}" if machine.container else mend


def capability_mend(machine: Machine) -> str:
    """Return how a container gets the right to trace."""
    return {"kubernetes": KUBERNETES, "podman": PODMAN}.get(machine.container, DOCKER)


def seccomp_mend(machine: Machine) -> str:
    """Return how a container gets past a filter: the capability opens Docker's, too."""
    return _UNCONFINED.get(machine.container, f"{DOCKER}, or --security-opt seccomp=unconfined")
