"""Which processes an agent may inspect."""

from __future__ import annotations

import os
import time

import psutil

from perftui_agent.inspect.targets import allowed_targets, started_at
from perftui_agent.wire.identity import WorkerIdentity
from perftui_agent.wire.registration import Registration

STARTS = {10: 100.0, 11: 101.0, 12: 102.0}


def registration(
    pid: int = 10,
    *,
    start: float | None = None,
    host: str = "h",
    service: str = "shop",
    supervisor: int = 5,
    tcp: tuple[str, ...] = (),
    unix: tuple[str, ...] = (),
) -> Registration:
    started = STARTS.get(pid, 0.0) if start is None else start
    worker = WorkerIdentity(
        host=host, pid=pid, started_at=started, service=service, supervisor_pid=supervisor
    )
    return Registration(wire=1, worker=worker, socket="/run/s", tcp=list(tcp), unix=list(unix))


def allowed(own: Registration, *others: Registration, starts: dict[int, float] = STARTS) -> set[int]:
    return allowed_targets(own, others, start_of=starts.get)


def test_siblings() -> None:
    """The workers of one supervisor may inspect each other and themselves."""
    assert allowed(registration(), registration(11), registration(12)) == {10, 11, 12}


def test_alone() -> None:
    """A worker without siblings may inspect itself."""
    assert allowed(registration(supervisor=1)) == {10}


def test_same_address() -> None:
    """Workers that listen on the same address are siblings, whoever started them."""
    own = registration(supervisor=1, tcp=("0.0.0.0:80",), unix=("/run/app",))
    by_port = registration(11, supervisor=7, tcp=("0.0.0.0:80",))
    by_path = registration(12, supervisor=8, unix=("/run/app",))

    assert allowed(own, by_port, by_path) == {10, 11, 12}


def test_strangers() -> None:
    """Another service, another host, another supervisor without a common address: strangers all."""
    own = registration(tcp=("0.0.0.0:80",))

    assert allowed(own, registration(11, service="bank")) == {10}
    assert allowed(own, registration(11, host="other")) == {10}
    assert allowed(own, registration(11, supervisor=6, tcp=("0.0.0.0:81",))) == {10}


def test_init_is_no_supervisor() -> None:
    """What an init system started has nothing in common but that."""
    for supervisor in (0, 1):
        own, other = registration(supervisor=supervisor), registration(11, supervisor=supervisor)
        assert allowed(own, other) == {10}


def test_recycled_pid() -> None:
    """A registration whose pid belongs to another process by now names nobody."""
    assert allowed(registration(), registration(11, start=50.0), registration(13)) == {10}


def test_impossible_pids() -> None:
    """Registered pids that stand for groups or for everyone are nobody's."""
    starts = {**STARTS, 0: 1.0, -1: 1.0, 1: 1.0}
    others = [registration(pid, start=1.0) for pid in (0, -1, 1)]

    assert allowed(registration(), *others, starts=starts) == {10}


def test_clock_step() -> None:
    """A step of the clock moves all starts alike: siblings from before and after it are known."""
    stepped = {pid: start + 3600 for pid, start in STARTS.items()}
    before, after = registration(11), registration(12, start=102.0 + 3600)

    assert allowed(registration(), before, after, starts=stepped) == {10, 11, 12}
    own_after = registration(start=100.0 + 3600)
    assert allowed(own_after, after, starts=stepped) == {10, 12}


def test_real_start() -> None:
    """The start of a process is the system's; there is none of a pid without a process."""
    own = started_at(os.getpid())

    assert own == psutil.Process().create_time()
    assert own is not None
    assert own < time.time() + 1
    assert [started_at(pid) for pid in (-1, 2**31 - 1, 2**70)] == [None, None, None]
