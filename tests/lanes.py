"""Several tests at once: `pytest -p tests.lanes --lanes 6 --filling 2`.

Takes the tests as they were collected, once, and forks lanes that run them: nothing is imported or collected
again, which takes 9 to 12 s of CPU, and memory is shared. A lane asks for the next tests when it is free.
Those that share a fixture of their module are given to one lane, one after the other; only a session's
fixtures outlive them. What only computes has lanes of its own, of lower priority: it takes what the others
leave of the processors. What a lane reports is reported as if it had been run here; a lane that dies is the
failure of the test it was at, and another takes its place. Refused where processes can't be forked. Warnings
that are no errors are not told of. (pytest-xdist starts each lane as a Python of its own.)
"""

from __future__ import annotations

import atexit
import os
import pickle
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeAlias, cast

import pytest
from _pytest.capture import FDCaptureBase

Unit: TypeAlias = Sequence[pytest.Item]
"""Tests that one lane runs in this order."""

FILLS_IN = pytest.StashKey[bool]()
"""Set on a test that only computes, and that may take as long as it likes."""

_BASE = "lane-"

_NICE = 5
"""How much less urgent it is: it has a quarter of a processor beside another, and all of an idle one."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the number of lanes."""
    parser.addoption("--lanes", type=int, default=0, help="how many tests are run at once, in forks of this")
    parser.addoption("--filling", type=int, default=0, help="how many more, of those that only compute")


def pytest_configure(config: pytest.Config) -> None:
    """Refuse lanes where there can be none."""
    if config.option.lanes and not hasattr(os, "fork"):
        raise pytest.UsageError("--lanes: this system does not fork; run them without")


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Run the tests in lanes, if there are to be any."""
    option = session.config.option
    if not option.lanes or option.collectonly or session.testsfailed:
        return None
    run = _Run(session, units(session.items), option.filling)
    try:
        run.until_all_are_done(option.lanes, option.filling)
    except KeyboardInterrupt:
        run.wait()  # the terminal has told the lanes as well: twice, and their servers would be left
        raise
    except BaseException:
        run.interrupt()
        run.wait()
        raise
    return True


def common_base(factory: pytest.TempPathFactory) -> Path:
    """Return a directory that all lanes of a run have in common, and no other run."""
    base = factory.getbasetemp()
    return base.parent if base.name.startswith(_BASE) else base


def units(items: Sequence[pytest.Item]) -> list[Unit]:
    """Return tests in their order; those that share something all where the first of them is."""
    found: dict[object, list[pytest.Item]] = {}
    for item in items:
        found.setdefault((item.path, *shared) if (shared := shared_by(item)) else item, []).append(item)
    return list(found.values())


def shared_by(item: pytest.Item) -> list[str]:
    """Return the fixtures that a test shares with others of its module, each with its parameter."""
    if not isinstance(item, pytest.Function):
        return []
    params = item.callspec.params if hasattr(item, "callspec") else {}
    found = item._fixtureinfo.name2fixturedefs
    shared = [name for name, versions in found.items() if versions[-1].scope == "module"]
    return [f"{name}={params.get(name)}" for name in sorted(shared)]


@dataclass(slots=True)
class _Lane:
    """A lane as the run knows it."""

    pid: int
    connection: Connection[Any, Any]
    fills_in: bool
    unit: deque[pytest.Item] = field(default_factory=deque)
    """What it has still to run of what it was given, that which it is at included."""


class _Run:
    """All tests of a session, on their way through the lanes."""

    def __init__(self, session: pytest.Session, waiting: Sequence[Unit], filling: int) -> None:
        self._session = session
        self._waiting: dict[bool, deque[Unit]] = {False: deque(), True: deque()}
        """By whether it fills in."""
        for unit in waiting:
            self._waiting[filling > 0 and unit[0].stash.get(FILLS_IN, False)].append(unit)
        self._places = {item: place for place, item in enumerate(session.items)}
        self._lanes: list[_Lane] = []
        self._started = 0
        # Made here, so that it is one for all; each lane has a place of its own in it.
        self._base = session.config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]

    def until_all_are_done(self, lanes: int, filling: int) -> None:
        """Give out tests until none are left, and report them."""
        for _ in range(min(filling, len(self._waiting[True]))):
            self._start(fills_in=True)
        # Those that don't fill in themselves go on with what does.
        for _ in range(min(lanes, sum(map(len, self._waiting.values())))):
            self._start(fills_in=False)
        while self._lanes:
            ready = wait([lane.connection for lane in self._lanes])
            for lane in [each for each in self._lanes if each.connection in ready]:
                self._hear(lane)
                if self._session.shouldfail:
                    raise self._session.Failed(self._session.shouldfail)
                if self._session.shouldstop:
                    raise self._session.Interrupted(self._session.shouldstop)

    def interrupt(self) -> None:
        """Have the lanes that are left give up what they are at."""
        for lane in self._lanes:
            os.kill(lane.pid, signal.SIGINT)

    def wait(self) -> None:
        """Wait until the lanes that are left have ended, and all that they have started."""
        for lane in self._lanes:
            lane.connection.close()
            os.waitpid(lane.pid, 0)

    def _next(self, lane: _Lane) -> Unit:
        """Return what a lane is to run now: of its own kind, and in the end of any that is less urgent."""
        for fills_in in dict.fromkeys((lane.fills_in, True)):
            if self._waiting[fills_in]:
                return self._waiting[fills_in].popleft()
        return ()

    def _start(self, *, fills_in: bool) -> None:
        ours, theirs = Pipe()
        self._started += 1
        base = self._base / f"{_BASE}{self._started}"
        base.mkdir(mode=0o700)
        pid = os.fork()
        if pid == 0:
            for lane in self._lanes:
                lane.connection.close()
            ours.close()
            if fills_in:
                os.nice(_NICE)
            _run_a_lane(self._session, theirs, base)
        theirs.close()
        self._lanes.append(_Lane(pid, ours, fills_in))

    def _hear(self, lane: _Lane) -> None:
        """Take what a lane says: that it is free, or the reports of a test that has been run."""
        try:
            told = pickle.loads(lane.connection.recv_bytes())
        except EOFError:
            self._is_gone(lane)
            return
        if told is None:
            unit = self._next(lane)
            lane.unit.extend(unit)
            lane.connection.send_bytes(pickle.dumps([self._places[item] for item in unit]))
            return
        hook = self._session.config.hook
        item = lane.unit.popleft() if lane.unit else None
        reports = [
            hook.pytest_report_from_serializable(config=self._session.config, data=data) for data in told
        ]
        self._report(item, reports)

    def _is_gone(self, lane: _Lane) -> None:
        """Tell of a lane that has ended: as it should, or in the midst of a test."""
        self._lanes.remove(lane)
        lane.connection.close()
        _, status = os.waitpid(lane.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        if lane.unit:
            item = lane.unit.popleft()
            self._report(item, [_failed(item.nodeid, item.location, "call", f"its lane ended with {code}")])
            if lane.unit:
                self._waiting[lane.fills_in].appendleft(tuple(lane.unit))
        elif self._waiting[lane.fills_in]:
            raise self._session.Failed(f"a lane ended with {code} before it had any tests")
        if self._waiting[lane.fills_in]:
            self._start(fills_in=lane.fills_in)

    def _report(self, item: pytest.Item | None, reports: Sequence[pytest.TestReport]) -> None:
        hook = self._session.config.hook
        if item is not None:
            hook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for report in reports:
            hook.pytest_runtest_logreport(report=report)
        if item is not None:
            hook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)


def _failed(
    nodeid: str, location: tuple[str, int | None, str], when: Literal["call", "teardown"], how: str
) -> pytest.TestReport:
    return pytest.TestReport(nodeid, location, {}, "failed", how, when)


class _Reports:
    """What the tests of a lane have reported and nobody has been told of."""

    def __init__(self) -> None:
        self.kept: list[pytest.TestReport] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a report."""
        self.kept.append(report)


class _SessionAlone:
    """Stands for a next test that shares nothing but the session's fixtures."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session

    def listchain(self) -> list[pytest.Session]:
        """Return what is not torn down."""
        return [self._session]


def _run_a_lane(session: pytest.Session, connection: Connection[Any, Any], base: Path) -> NoReturn:
    """Run what is given out until there is nothing more; this process ends with it."""
    code = 1
    try:
        atexit._clear()
        plugins = session.config.pluginmanager
        _catch_apart(plugins.getplugin("capturemanager"))
        plugins.unregister(name="terminalreporter")
        session.config._tmp_path_factory._basetemp = base  # type: ignore[attr-defined]
        reports = _Reports()
        plugins.register(reports)
        for item, following in _given(session, connection):
            session.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            to_data = session.config.hook.pytest_report_to_serializable
            told = [to_data(config=session.config, report=report) for report in reports.kept]
            reports.kept.clear()
            connection.send_bytes(pickle.dumps(told))
        code = 0
    except KeyboardInterrupt:
        code = 130
    except EOFError:
        pass  # whoever gives out tests has ended, or given up
    except BaseException as error:  # noqa: BLE001 - else nobody would hear of it
        print(f"a lane has failed: {error!r}", file=sys.__stderr__)
    finally:
        os._exit(_ended(session, connection, code))


def _catch_apart(capture: Any) -> None:
    """Have output be caught in files of this lane's own: those opened before are those of all lanes.

    Under their numbers: whoever has kept `sys.stderr` as it was imported, as a default argument, writes there
    as well. Were they closed instead, it would be left with a file that is not open.
    """
    capture.read_global_capture()
    capture.suspend_global_capture()
    caught = capture._global_capturing
    for each in (caught.out, caught.err):
        if isinstance(each, FDCaptureBase):
            with tempfile.TemporaryFile(buffering=0) as own:
                os.dup2(own.fileno(), each.tmpfile.fileno())


def _given(
    session: pytest.Session, connection: Connection[Any, Any]
) -> Iterator[tuple[pytest.Item, pytest.Item]]:
    """Ask for tests until there are none; yield each with that which comes next."""
    alone = cast(pytest.Item, _SessionAlone(session))
    while True:
        connection.send_bytes(pickle.dumps(None))
        unit = [session.items[place] for place in pickle.loads(connection.recv_bytes())]
        if not unit:
            return
        yield from zip(unit, [*unit[1:], alone], strict=True)


def _ended(session: pytest.Session, connection: Connection[Any, Any], code: int) -> int:
    """Tear down what the session has; return the code to end with."""
    try:
        session._setupstate.teardown_exact(None)
        atexit._run_exitfuncs()
    except BaseException as error:  # noqa: BLE001 - it is told of, and nobody else could
        if code != 130:
            how = f"a lane could not end: {type(error).__name__}: {error}"
            report = _failed("lane", ("lane", 0, "lane"), "teardown", how)
            to_data = session.config.hook.pytest_report_to_serializable
            connection.send_bytes(pickle.dumps([to_data(config=session.config, report=report)]))
            return 1
    return code
