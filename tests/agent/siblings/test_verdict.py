"""What a silence was, from the stacks and the CPU."""

from __future__ import annotations

import sysconfig

import pytest

from perftui_agent.siblings.verdict import HUNG, NOBODY, STARVED, STOPPED, Blamed, blamed, judge
from perftui_agent.toll import Account, Shares, shares
from perftui_agent.wire.dumps import Dump, StackFrame, ThreadDump

STDLIB = sysconfig.get_paths()["stdlib"]
APP = StackFrame("match", "/srv/shop/app.py", 7, "app.py")
ENDPOINT = StackFrame("rx", "/srv/shop/app.py", 12, "app.py")
RE = StackFrame("match", f"{STDLIB}/re/__init__.py", 166, "re/__init__.py")
HANDLE = StackFrame("Handle._run", f"{STDLIB}/asyncio/events.py", 84, "asyncio/events.py")
SELECT = StackFrame("EpollSelector.select", f"{STDLIB}/selectors.py", 468, "selectors.py")
IMPORT = StackFrame("_find_and_load", "<frozen importlib._bootstrap>", 1178, "<frozen importlib._bootstrap>")
WAIT = StackFrame("wait", f"{STDLIB}/threading.py", 320, "threading.py")


def thread(*frames: StackFrame, name: str = "MainThread", tid: int = 1, gil: bool = False) -> ThreadDump:
    return ThreadDump(
        name=name,
        thread_id=tid,
        os_thread_id=tid,
        is_main=name == "MainThread",
        holds_gil=gil,
        frames=list(frames),
    )


def dump(*threads: ThreadDump) -> Dump:
    return Dump(id="1", pid=1, taken_at=1, took_ns=1, taken_by=2, threads=list(threads))


def test_the_thread_that_holds_the_gil_is_to_blame() -> None:
    """A job in the pool can hold it while the loop has nothing to do."""
    job = thread(RE, APP, name="AnyIO worker thread", tid=5, gil=True)
    who = blamed(dump(thread(SELECT, HANDLE), job))
    assert (who.where, who.thread) == ("app.py:7 match", 5)


def test_where_nobody_tells_who_holds_it_the_one_at_work_is_to_blame() -> None:
    """`faulthandler` does not say it: the main thread, or who is in the app's code while that waits."""
    assert blamed(dump(thread(APP, HANDLE))).where == "app.py:7 match"
    job = thread(APP, WAIT, name="AnyIO worker thread", tid=5)
    idle = thread(WAIT, APP, name="pool", tid=6)
    assert blamed(dump(thread(SELECT, HANDLE), idle, job)).thread == 5


def test_the_agents_own_thread_is_never_to_blame() -> None:
    """It waits for the GIL, which is why the worker is silent."""
    own = thread(APP, name="perftui-agent", tid=9, gil=True)
    assert blamed(dump(own, thread(APP))).thread == 1
    assert blamed(dump(own)) == NOBODY


def test_where_is_the_innermost_line_of_the_apps_own_code() -> None:
    """The regular expression is Python's, the line that runs it the app's."""
    who = Blamed([RE, APP, ENDPOINT, HANDLE])
    assert who.where == "app.py:7 match"
    assert who.stack[0] == "re/__init__.py:166 match"
    assert Blamed([RE, HANDLE]).where == "re/__init__.py:166 match"
    assert NOBODY.where == ""


@pytest.mark.parametrize(
    ("spent", "verdict"),
    [
        (Shares(ran=0.98, waited=0.01), HUNG),  # computes
        (Shares(ran=0.0, waited=0.0), HUNG),  # sleeps with the GIL
        (Shares(ran=0.4, waited=0.6), HUNG),  # computes on a busy machine
        (Shares(ran=0.15, waited=0.84), HUNG),  # computes on a machine that is busier still
        (Shares(ran=0.03, waited=0.95), STARVED),
        (None, HUNG),
    ],
)
def test_who_wanted_to_run_and_hardly_got_to_is_starved(spent: Shares | None, verdict: str) -> None:
    """Told by the scheduler; where it tells nothing, by the stack alone."""
    assert judge(Blamed([RE, APP, HANDLE]), spent, is_stopped=False) == verdict


def test_who_imports_is_starved_whatever_the_cpu() -> None:
    """More patience is what it needs."""
    busy = Shares(ran=1.0, waited=0.0)
    assert judge(Blamed([APP, IMPORT, ENDPOINT, HANDLE]), busy, is_stopped=False) == STARVED


def test_an_import_that_started_the_server_is_no_import() -> None:
    """`python -c 'import serve'` is on the stack for as long as the server runs."""
    assert judge(Blamed([APP, HANDLE, IMPORT]), None, is_stopped=False) == HUNG


def test_who_is_stopped_hangs_in_no_line() -> None:
    """By SIGSTOP or a debugger: no code is to blame, wherever it stood."""
    assert judge(Blamed([RE, APP, HANDLE]), Shares(0.0, 0.0), is_stopped=True) == STOPPED


def test_a_loop_that_waits_for_events_is_not_what_is_silent() -> None:
    """Then it is the agent's own thread, and nothing is said of the app."""
    assert Blamed([SELECT, HANDLE]).waits_for_events
    assert not Blamed([SELECT, HANDLE], holds_gil=True).waits_for_events
    assert not Blamed([APP, HANDLE]).waits_for_events


def test_shares_are_of_the_time_between_two_accounts() -> None:
    """None if either is not known: a thread may have come in between."""
    assert shares(Account(100, 10), Account(150, 35), 100) == Shares(0.5, 0.25)
    assert shares(None, Account(1, 1), 100) is None
    assert shares(Account(0, 0), Account(500, 500), 100) == Shares(1.0, 1.0)
