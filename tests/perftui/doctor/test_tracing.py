"""What stops tracing, each with the mend that is right there: no such kernel is needed."""

from __future__ import annotations

from typing import Any

import pytest

from perftui.doctor.examine import examine, in_the_way
from perftui_agent.wire.standing import CAP_SYS_PTRACE, Rights, Trial
from tests.perftui.doctor.places import DENIED, machine, only, place, said_of, standing, worker

ALONE = {41: DENIED}

MIGHTY = Rights(uid=1000, capabilities=1 << CAP_SYS_PTRACE)


def test_nothing_is_in_the_way_of_a_healthy_service() -> None:
    """Where the kernel allows it, py-spy takes dumps and profiles, and a sibling's those of the silent."""
    assert in_the_way(examine(place())) == []
    assert only(place(), "dump", 41).sentence == "py-spy 0.4.3, which its own agent starts"
    assert only(place(), "dump if silent", 41).sentence == "py-spy, which its sibling 42 starts"
    assert "py-spy 0.4.3" in only(place(), "profile", 42).sentence


@pytest.mark.parametrize(
    ("said", "reason", "mend"),
    [
        pytest.param(
            {"machine": machine(yama=2)},
            "kernel.yama.ptrace_scope is 2",
            "sudo sysctl kernel.yama.ptrace_scope=1",
            id="yama",
        ),
        pytest.param(
            {"machine": machine(yama=3)},
            "until the next boot",
            "/etc/sysctl.d/10-ptrace.conf",
            id="yama-for-good",
        ),
        pytest.param(
            {"machine": machine(yama=2, container="kubernetes")},
            "kernel.yama.ptrace_scope is 2",
            'securityContext: {capabilities: {add: ["SYS_PTRACE"]}}',
            id="yama-in-a-pod",
        ),
        pytest.param(
            {"machine": machine(yama=1, container="kubernetes")},
            "container (kubernetes)",
            'securityContext: {capabilities: {add: ["SYS_PTRACE"]}}',
            id="a-pod",
        ),
        pytest.param(
            {"machine": machine(container="docker")}, "(docker)", "--cap-add=SYS_PTRACE", id="docker"
        ),
        pytest.param({"machine": machine(yama=1)}, "let nobody in", "restart the service", id="yama-1"),
        pytest.param({}, "a security module may", "setsebool deny_ptrace off", id="selinux"),
        pytest.param(
            {"machine": machine(kernel="4.4.0-210", container="docker"), "rights": Rights(uid=1, seccomp=2)},
            "a seccomp filter",
            "--security-opt seccomp=unconfined",
            id="seccomp-of-old-kernels",
        ),
        pytest.param(
            {"trials": {41: Trial(read="ENOSYS")}, "machine": machine(container="kubernetes")},
            "a seccomp filter",
            "seccompProfile: {type: Unconfined}",
            id="seccomp-stops-reading",
        ),
        pytest.param(
            {"rights": Rights(uid=1000, hides_from=0)}, "not dumpable", "dumpable=True", id="not-dumpable"
        ),
        pytest.param(
            {"rights": Rights(uid=1000, tracer=77)}, "pid 77 traces it already", "detach", id="a-debugger"
        ),
        pytest.param(
            {"spy": ""}, "it has no py-spy", "python -m pip install 'py-spy>=0.4.3'", id="no-py-spy"
        ),
        pytest.param(
            {"spy": "", "machine": machine(libc="musl")}, "it has no py-spy", "no wheel for musl", id="musl"
        ),
        pytest.param({"spy_version": "0.3.14"}, "0.3.14 is too old", "'py-spy>=0.4.3'", id="old-py-spy"),
        pytest.param({"spy_version": ""}, "does not start", "/venv/bin/py-spy --version", id="broken-py-spy"),
        pytest.param(
            {"machine": machine(python="3.16.0")}, "does not know Python 3.16.0", "-U py-spy", id="new-python"
        ),
    ],
)  # fmt: skip
def test_what_stops_a_dump_is_named_with_its_mend(said: dict[str, Any], reason: str, mend: str) -> None:
    """The nearest cause counts; a dump can then be had from inside alone."""
    alone = worker(41, standing=standing(41, **({"trials": ALONE} | said)))

    check = only(place(workers=(alone,)), "dump", 41)

    assert check.verdict == "wrong"
    assert "seen from inside" in check.sentence
    assert reason in check.sentence
    assert mend in check.mend


def test_a_capability_outweighs_yama() -> None:
    """Who may trace anyone may do so under any scope but 3; what was allowed is not explained away."""
    able = worker(41, standing=standing(41, rights=MIGHTY, machine=machine(yama=2)))
    here = place(machine=machine(yama=2), rights=MIGHTY, workers=(able,))

    assert only(here, "dump", 41).verdict == "ok"
    assert only(here, "tracing").verdict == "ok"


def test_the_host_without_a_service_is_judged_by_its_kernel() -> None:
    """Yama's scope 1 is made for: agents let their siblings in; 2 is in everybody's way."""
    assert only(place(machine=machine(yama=1)), "tracing").verdict == "ok"
    assert only(place(machine=machine(yama=2)), "tracing").verdict == "wrong"
    assert only(place(machine=machine(system="darwin")), "tracing").verdict == "note"


def test_actions_that_are_switched_off_are_said_before_anything_else() -> None:
    """No rung is told where none may be used."""
    off = worker(41, standing=standing(41, actions=False, trials={}, untried="actions are switched off"))
    here = place(workers=(off,))

    check = only(here, "actions", 41)
    assert (check.verdict, "instrument(app, actions=True)" in check.mend) == ("wrong", True)
    assert said_of(here, "dump", 41) == []


def test_a_silent_worker_is_told_by_what_its_sibling_may() -> None:
    """Its own agent says nothing; the sibling's trial of it does."""
    silent = worker(41, standing=None, state="silent", rights=Rights(uid=1000))
    writing = worker(41, standing=None, state="silent", rights=Rights(uid=1000), writes_on=39)
    able, unable = worker(42), worker(42, standing=standing(42, trials={41: DENIED, 42: Trial()}))

    assert only(place(workers=(silent, able)), "dump if silent", 41).verdict == "ok"
    assert only(place(workers=(silent, unable)), "dump if silent", 41).verdict == "wrong"
    lower = only(place(workers=(writing, unable)), "dump if silent", 41)
    assert (lower.verdict, "on signal 39 of a sibling" in lower.sentence) == ("note", True)
    assert only(place(workers=(silent, able)), "agent", 41).mend == "see in what: perftui dump pid:41"


def test_who_does_not_take_it_for_a_sibling_is_none() -> None:
    """Another service, another supervisor: nobody is there to look, which is no fault of anything."""
    stranger = worker(42, standing=standing(42, trials={42: Trial()}))

    check = only(place(workers=(worker(41), stranger)), "dump if silent", 41)
    assert (check.verdict, "no sibling is there" in check.sentence) == ("note", True)
    assert "sudo py-spy dump --pid 41" in check.mend
    writing = only(place(workers=(worker(41, writes_on=39), stranger)), "dump if silent", 41)
    assert (writing.verdict, "on signal 39 of perftui's" in writing.sentence) == ("note", True)


def test_a_worker_of_another_user_is_told_as_such() -> None:
    """A sibling of another user can't look, and capabilities are not the matter."""
    other = worker(41, standing=standing(41, rights=Rights(uid=1001)))
    looker = worker(42, standing=standing(42, trials={41: DENIED, 42: Trial()}))

    assert (
        "runs as uid 1001, its sibling as 1000"
        in only(place(workers=(other, looker)), "dump if silent", 41).sentence
    )
