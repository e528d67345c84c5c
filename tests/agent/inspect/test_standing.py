"""What an agent may do here, asked of the real kernel."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from perftui_agent.inspect.inspector import Inspector
from perftui_agent.inspect.process_state import read_state
from perftui_agent.inspect.standing import _ASK, take_standing, trials_in
from perftui_agent.wire.standing import Standing, StandingRequest, Trial, read_rights, rights_of
from tests.agent.inspect.processes import eventually, on_agent_thread, started

NOBODY = 65534


def test_the_kernel_is_asked_and_nobody_is_stopped() -> None:
    """A process that is asked about runs on, and nothing traces it afterwards."""
    with started(["sleep", "600"], ready=False) as process:
        standing = on_agent_thread(
            lambda: take_standing(
                "s", os.getpid(), targets=[process.pid], actions_allowed=True, probes={"queue": "on"}
            )
        )
        state, rights = read_state(process.pid), read_rights(process.pid)

    assert set(standing.trials) == {os.getpid(), process.pid}
    assert standing.trials[process.pid].allowed
    assert standing.spy_version
    assert standing.probes == {"queue": "on"}
    assert state is not None
    assert state.letter in "SR"
    assert rights is not None
    assert rights.tracer == 0


def test_one_that_has_ended_and_one_that_is_stopped() -> None:
    """A stopped process stays stopped, and may be traced; one that is gone is said to be."""
    with started(["sleep", "600"], ready=False) as process:
        process.send_signal(signal.SIGSTOP)
        standing = on_agent_thread(
            lambda: take_standing("s", os.getpid(), targets=[process.pid], actions_allowed=True, probes={})
        )
        # Let go by its tracer, it goes on stopping: for a moment the system calls that running.
        stopped = eventually(lambda: (state := read_state(process.pid)) is not None and state.is_stopped)
        process.send_signal(signal.SIGCONT)
    gone = on_agent_thread(
        lambda: take_standing("s", os.getpid(), targets=[process.pid], actions_allowed=True, probes={})
    )

    assert standing.trials[process.pid].allowed
    assert stopped
    assert gone.trials[process.pid].trace == "ESRCH"


def test_another_user_is_refused() -> None:
    """A real other uid without capabilities: the kernel says EPERM, in both ways."""
    # Python may lie where nobody else can read: what is needed is imported before.
    leave = (
        f"import os, ctypes\nif not os.getuid(): os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
    )
    target = os.getpid() if os.getuid() == 0 else 1
    said = subprocess.run(
        [sys.executable, "-c", leave + _ASK, str(target)], capture_output=True, text=True, check=True
    )

    assert trials_in(said.stdout) == {target: Trial(trace="EPERM", read="EPERM")}


def test_one_that_changed_its_user_is_seen_not_to_be_dumpable() -> None:
    """The system gives its inner files to root then, as those of gunicorn's workers under `--user`."""
    code = f"import os\nif not os.getuid(): os.setuid({NOBODY})\nprint('ready', flush=True); input()"
    with started([sys.executable, "-c", code]) as process:
        rights = read_rights(process.pid)

    assert rights is not None
    assert (rights.uid, rights.hides_from) == ((NOBODY, 0) if os.getuid() == 0 else (os.getuid(), None))


def test_nothing_is_tried_where_actions_are_switched_off() -> None:
    """The facts are told all the same: what is in the way has a mend."""
    door = Inspector(
        os.getpid(), actions_allowed=False, registrations=list, probes=lambda: {"queue": "off: no TCP"}
    )

    answer = on_agent_thread(lambda: door.act(StandingRequest(id="s"), peer="uid 0"))

    assert isinstance(answer, Standing)
    assert (answer.actions, answer.trials, answer.untried) == (False, {}, "actions are switched off")
    assert answer.probes == {"queue": "off: no TCP"}


def test_what_the_system_says_of_a_process_is_read() -> None:
    """The lines of `status` that count, and whether the files within are somebody else's."""
    status = "Name:\tx\nUid:\t7\t7\t7\t7\nTracerPid:\t5\nCapEff:\t0000000000080000\nSeccomp:\t2\n"

    rights = rights_of(status, owner=7, inner_owner=0)

    assert (rights.uid, rights.tracer, rights.seccomp, rights.hides_from) == (7, 5, 2, 0)
    assert rights.may_trace_anyone
    assert rights_of(status, owner=7, inner_owner=7).hides_from is None


def test_a_child_that_says_something_else_is_not_believed() -> None:
    """Only lines of three numbers are trials; address 0 can't be read by anyone."""
    assert trials_in("oops\n7 0 14\n8 1 1\n9 x 0\n") == {7: Trial(), 8: Trial(trace="EPERM", read="EPERM")}
