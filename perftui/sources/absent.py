"""Why there is nothing to look at: one clear sentence, and the next command to type."""

from __future__ import annotations

import contextlib
import os
import shlex
import socket
import stat
import struct
from collections.abc import Iterable, Sequence
from contextlib import closing

import psutil

from perftui.record import Record
from perftui.sources.discovery import Discovery, Service, directories, services
from perftui.sources.match import addresses_of, is_local, serves
from perftui.sources.target import LocalTarget, PidTarget, PortTarget, ServiceTarget, TargetError, UnixTarget
from perftui_agent.wire.lives import has_agent

_INSTRUMENT = (
    "add `instrument(app)` to it, or start it with: python -m perftui_agent run -- <its command>; "
    "if it has one: a first request may have to wake it, and both need the same PERFTUI_RUNTIME_DIR"
)
_MAKE_ONE = "to make one: add `instrument(app)` to an app"
_LS = "to see what is there: perftui ls"


def explain(target: LocalTarget, discovery: Discovery) -> TargetError:
    """Return why none of the workers found is meant by `target`."""
    if isinstance(target, PortTarget):
        return _no_port(target, discovery)
    if isinstance(target, UnixTarget):
        return _no_socket(target, discovery)
    if discovery.unreadable:
        return _unreadable(discovery)
    if isinstance(target, PidTarget):
        return _no_pid(target)
    return _no_service(target, services(discovery.registrations))


def listens(target: PortTarget) -> bool:
    """Tell whether somebody on this host listens on a port."""
    return _listener(target) is not None


def only_service(discovery: Discovery) -> Service:
    """Return the one service there is; `TargetError` with the choice if there are more, or none."""
    found = services(discovery.registrations)
    if len(found) == 1:
        return found[0]
    if found:
        choice = ", ".join(f"{each.target} ({each.name}, {_workers(each)})" for each in found)
        raise TargetError(f"there are {len(found)} instrumented services here: name one of them", choice)
    if discovery.unreadable:
        raise _unreadable(discovery)
    if os.getuid() == 0:
        raise TargetError(
            "no instrumented service runs on this host", f"to see one: perftui demo; {_MAKE_ONE}"
        )
    raise TargetError(
        "no instrumented service of this user runs on this host",
        f"for those of others: sudo perftui ls; {_MAKE_ONE}",
    )


def _no_port(target: PortTarget, discovery: Discovery) -> TargetError:
    if target.host is not None:
        if not addresses_of(target.host):
            return TargetError(f"{target.host} is no host that can be found", _LS)
        if not is_local(target.host):
            return TargetError(
                f"{target.host} is another host, and connecting to those isn't supported yet",
                f"log in there and look from inside: ssh -t {target.host} perftui connect {target.port}",
            )
    listener = _listener(target)
    if listener is None:
        return TargetError(f"nothing listens on {target}", _LS)
    if listener.foreign:
        return TargetError(
            f"{target} is served by another user's process, whose registrations can't be read",
            f"look as that user, or as root: sudo perftui connect {target}",
        )
    if discovery.unreadable:
        return _unreadable(discovery)
    if agents := _with_agent(listener.pids):
        return _not_registered(f"{target} is served by {listener.name}", agents)
    return TargetError(
        f"{target} is served by {listener.name}, which has no perftui agent", _to_have_one(listener.pids)
    )


def _no_socket(target: UnixTarget, discovery: Discovery) -> TargetError:
    try:
        info = os.stat(target.path)
    except PermissionError:
        return TargetError(f"{target.path} can't be reached from this user", f"sudo perftui connect {target}")
    except (OSError, ValueError):
        return TargetError(f"nothing listens on {target.path}: there is no such socket", _LS)
    if not stat.S_ISSOCK(info.st_mode):
        return TargetError(f"{target.path} is no socket", _LS)
    if os.getuid() not in {0, info.st_uid}:
        return TargetError(
            f"{target.path} belongs to another user, whose registrations can't be read",
            f"look as that user, or as root: sudo perftui connect {target}",
        )
    if discovery.unreadable:
        return _unreadable(discovery)
    with closing(socket.socket(socket.AF_UNIX)) as probe:
        probe.settimeout(1)
        try:
            probe.connect(target.path)
        except OSError:
            return TargetError(f"nothing listens on {target.path}: its server has ended", _LS)
        pid = _listener_behind(probe)
    if agents := _with_agent([pid] if pid else []):
        return _not_registered(f"{target.path} is served by {_named(pid)}", agents)
    return TargetError(
        f"{target.path} is served by a process that has no perftui agent",
        _to_have_one([pid] if pid else []),
    )


def _listener_behind(connection: socket.socket) -> int:
    """Return the pid of who listens at the other end; 0 where the system doesn't tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return 0
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


def _no_pid(target: PidTarget) -> TargetError:
    try:
        process = psutil.Process(target.pid)
        name, uid = process.name(), process.uids().real
    except (psutil.NoSuchProcess, OverflowError):
        return TargetError(f"there is no process {target.pid}", _LS)
    except psutil.Error:
        name, uid = "it", -1
    if os.getuid() not in {0, uid}:
        return TargetError(
            f"process {target.pid} is another user's, whose registrations can't be read",
            f"look as that user, or as root: sudo perftui connect {target}",
        )
    if agents := _with_agent([target.pid]):
        return _not_registered(f"process {target.pid} is {name}", agents)
    return TargetError(
        f"process {target.pid} ({name}) has no perftui agent, nor a worker with one",
        _to_have_one([target.pid]),
    )


def _with_agent(pids: Iterable[int]) -> list[int]:
    """Return which of these processes and their children have an agent, registered or not."""
    found = []
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            family = [pid, *(child.pid for child in psutil.Process(pid).children())]
            found += [each for each in family if has_agent(each)]
    return found


def _not_registered(who: str, agents: Sequence[int]) -> TargetError:
    """Return what is true of agents that run and can't be found."""
    known = (_variable_of(pid, "PERFTUI_RUNTIME_DIR") for pid in agents)
    theirs = next(filter(None, known), "")
    looked = ", ".join(map(str, directories()))
    if theirs and theirs != os.environ.get("PERFTUI_RUNTIME_DIR", ""):
        advice = f"its PERFTUI_RUNTIME_DIR is another: PERFTUI_RUNTIME_DIR={shlex.quote(theirs)} perftui ls"
    else:
        advice = "removed files are made again within seconds: try once more; what stops it: perftui ls"
    return TargetError(f"{who} with a perftui agent, which is not registered in {looked}", advice)


def _to_have_one(pids: Iterable[int]) -> str:
    """Return what gives these processes an agent."""
    for pid in pids:
        switch = _variable_of(pid, "PERFTUI_ENABLED")
        if switch.strip().lower() in {"0", "false", "no", "off"}:
            return f"it was started with PERFTUI_ENABLED={shlex.quote(switch)}: start it without"
    return _INSTRUMENT


def _variable_of(pid: int, name: str) -> str:
    """Return a variable that a process was started with; empty where it can't be read."""
    try:
        return psutil.Process(pid).environ().get(name, "")
    except (psutil.Error, OSError):
        return ""


def _no_service(target: ServiceTarget, found: Sequence[Service]) -> TargetError:
    versions = {row.worker.version for each in found if each.name == target.name for row in each.workers}
    if target.version and versions:
        known = ", ".join(f"service:{target.name}@{version}" for version in sorted(versions - {""}))
        told = (
            f"there is {known}"
            if known
            else "say which they run: instrument(app, version=…), PERFTUI_VERSION"
        )
        return TargetError(f"no worker of {target.name} runs version {target.version}", told)
    names = ", ".join(dict.fromkeys(f"service:{each.name}" for each in found))
    return TargetError(f"no service here is called {target.name}", f"there is {names}" if names else _LS)


def _unreadable(discovery: Discovery) -> TargetError:
    return TargetError(
        f"the registrations can't be read: {discovery.unreadable[0]}",
        "look as the user the service runs as, or as root: sudo perftui ls",
    )


def _workers(service: Service) -> str:
    return f"{len(service.workers)} worker{'s' if len(service.workers) != 1 else ''}"


class _Listener(Record, frozen=True):
    name: str
    foreign: bool = False
    pids: tuple[int, ...] = ()


def _listener(target: PortTarget) -> _Listener | None:
    """Return who listens on a port of this host, as far as this user may know."""
    try:
        connections = psutil.net_connections(kind="tcp")
    except (psutil.Error, OSError):
        return _answering(target)
    for each in connections:
        if each.status != psutil.CONN_LISTEN or not each.laddr:
            continue
        host = f"[{each.laddr.ip}]" if ":" in each.laddr.ip else each.laddr.ip
        if serves(target, f"{host}:{each.laddr.port}"):
            # The system tells a process's sockets to its owner and to root alone.
            if each.pid is None:
                return _Listener("it", foreign=True)
            return _Listener(_named(each.pid), pids=(each.pid,))
    return None


def _answering(target: PortTarget) -> _Listener | None:
    try:
        socket.create_connection((target.host or "localhost", target.port), timeout=1).close()
    except OSError:
        return None
    return _Listener("a process")


def _named(pid: int) -> str:
    try:
        return f"{psutil.Process(pid).name()} (pid {pid})"
    except psutil.Error:
        return f"process {pid}"
