"""Several tests at once: what they share is started once, and nothing that one does is lost."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = """
import os, sys, time
import pytest

AS_IMPORTED = sys.stderr

@pytest.fixture(scope="session")
def everywhere(tmp_path_factory):
    yield tmp_path_factory.getbasetemp()
    open(os.path.join(DIRECTORY, f"ended-{os.getpid()}"), "w").close()

@pytest.fixture(scope="module", params=["one", "other"])
def server(request):
    made = os.open(os.path.join(DIRECTORY, f"made-{request.param}"), os.O_CREAT | os.O_EXCL)
    yield os.getpid()
    os.close(made)
    os.rename(os.path.join(DIRECTORY, f"made-{request.param}"), os.path.join(DIRECTORY, request.param))

@pytest.mark.parametrize("number", range(4))
def test_shares(server, number):
    time.sleep(0.05)
    assert os.getpid() == server

@pytest.mark.parametrize("number", range(8))
def test_alone(everywhere, tmp_path, number):
    print("said by", number)
    print("said aside by", number, file=AS_IMPORTED)
    assert tmp_path.is_relative_to(everywhere)
    time.sleep(0.2)

def test_fails():
    print("said before it failed")
    assert 1 == 2

def test_dies():
    os._exit(7)

def test_is_skipped():
    pytest.skip("not here")
"""

ENDS_BADLY = """
import pytest

@pytest.fixture(scope="session")
def broken():
    yield
    raise ValueError("cannot be undone")

def test_passes(broken): pass
"""

MARKS = """
from tests.lanes import FILLS_IN

def pytest_collection_modifyitems(items):
    for item in items:
        item.stash[FILLS_IN] = "fills" in item.name
"""

FILLS = """
import os, time
import pytest

COLLECTED = os.nice(0)
DONE = [os.path.join(DIRECTORY, f"done-{number}") for number in range(4)]

@pytest.mark.parametrize("number", range(3))
def test_waits(number):
    assert os.nice(0) == COLLECTED
    until = time.monotonic() + 40
    while not all(map(os.path.exists, DONE)):
        assert time.monotonic() < until
        time.sleep(0.02)

@pytest.mark.parametrize("number", range(4))
def test_fills_in(number):
    assert os.nice(0) > COLLECTED
    open(DONE[number], "w").close()
"""


LEAVES = """
import gc, subprocess, sys

def test_leaves():
    left = subprocess.Popen([sys.executable, "-S", "-c", ""], stdout=subprocess.PIPE)
    around = [left]
    around.append(around)
    assert 0

def test_collects():
    gc.collect()
"""

IS_BESIDE = """
import os, pathlib, subprocess

def test_leaves():
    left = pathlib.Path(__file__).with_name("left")
    if left.exists():
        assert not os.path.exists(f"/proc/{left.read_text()}"), "it is beside"
    else:
        told = subprocess.check_output(["sh", "-c", "sleep 600 > /dev/null 2>&1 & echo $!"], text=True)
        left.write_text(told.strip())
        assert 0
"""


def run(directory: Path, source: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run tests of this source in three lanes."""
    (directory / "pytest.ini").write_text("[pytest]\n")
    (directory / "test_these.py").write_text(f"DIRECTORY = {str(directory)!r}\n{source}")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "tests.lanes", "--lanes=3", "-c", "pytest.ini",
         "--rootdir", str(directory), "-rA", *options, "test_these.py"],
        cwd=directory, env={"PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    directory = tmp_path_factory.mktemp("ran")
    done = run(directory, TESTS)
    assert done.returncode == 1, done.stdout + done.stderr
    return directory, done.stdout


def test_every_test_is_reported_once_by_its_name(ran: tuple[Path, str]) -> None:
    """Those that pass, that fail and that are skipped."""
    _, told = ran
    assert "2 failed, 16 passed, 1 skipped" in told
    assert len(set(re.findall(r"^PASSED (test_these\.py::\S+)", told, re.MULTILINE))) == 16
    assert "FAILED test_these.py::test_fails - assert 1 == 2" in told


def test_what_a_test_has_said_is_told_with_it(ran: tuple[Path, str]) -> None:
    """The files that output is caught in are each lane's own, also for who kept them when it was imported."""
    _, told = ran
    parts = re.findall(r"_+ (test_\w+(?:\[\d\])?) _+\n(.*?)(?=\n_{3}|\n={3})", told, re.DOTALL)
    said = {name: re.findall("^said .*", text, re.MULTILINE) for name, text in parts}
    assert said == {
        "test_fails": ["said before it failed"],
        "test_dies": [],
        **{f"test_alone[{n}]": [f"said by {n}", f"said aside by {n}"] for n in range(8)},
    }


def test_what_shares_a_server_has_a_lane_for_it(ran: tuple[Path, str]) -> None:
    """It is made once, and taken down."""
    directory, _ = ran
    assert (directory / "one").exists()
    assert (directory / "other").exists()


def test_what_the_session_has_ends_with_each_lane(ran: tuple[Path, str]) -> None:
    """Whichever lanes have made it."""
    directory, _ = ran
    assert 1 <= len(list(directory.glob("ended-*"))) <= 3


def test_a_lane_that_dies_is_the_failure_of_its_test(ran: tuple[Path, str]) -> None:
    """And another goes on."""
    _, told = ran
    assert "its lane ended with 7" in told


def test_those_that_failed_are_found_again(tmp_path: Path) -> None:
    """By their names, to be tried once more by themselves."""
    run(tmp_path, "def test_a(): pass\ndef test_b(): assert 0\ndef test_c(): pass\n")
    again = run(tmp_path, "def test_a(): pass\ndef test_b(): pass\ndef test_c(): pass\n", "--last-failed")
    assert "1 passed" in again.stdout, again.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="orphans fall to somebody else there")
def test_what_is_tried_once_more_has_nothing_beside_it(tmp_path: Path) -> None:
    """What the first run has left is ended before, and told of."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    path = tmp_path / "test_these.py"
    path.write_text(IS_BESIDE)
    options = ["-c", str(tmp_path / "pytest.ini"), "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "-m", "tests", *options, str(path)],
        cwd=Path(__file__).parents[1], capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "was left running: sleep 600" in done.stdout


def test_the_first_failure_ends_all_of_them_where_that_is_wanted(tmp_path: Path) -> None:
    """What the other lanes are at included."""
    source = "import time\ndef test_a(): assert 0\n" + "".join(
        f"def test_{number}(): time.sleep(20)\n" for number in range(9)
    )
    done = run(tmp_path, source, "-x")
    assert done.returncode == 1
    assert "1 failed in" in done.stdout


def test_what_a_failed_test_has_left_fails_no_other(tmp_path: Path) -> None:
    """Which would find it as garbage, one that was never closed, in the same lane."""
    done = run(tmp_path, LEAVES, "-p", "tests.conftest", "-W", "error", "--lanes=1")
    assert "1 failed, 1 passed" in done.stdout, done.stdout


def test_what_cannot_be_undone_fails(tmp_path: Path) -> None:
    """A session's fixture that fails as its lane ends is an error of the run."""
    done = run(tmp_path, ENDS_BADLY)
    assert done.returncode == 1, done.stdout
    assert "a lane could not end: ValueError: cannot be undone" in done.stdout


def test_what_fills_in_is_run_beside_the_lanes_and_is_less_urgent(tmp_path: Path) -> None:
    """All lanes are taken by tests that wait until it is done."""
    (tmp_path / "conftest.py").write_text(MARKS)
    done = run(tmp_path, FILLS, "--filling=1")
    assert "7 passed" in done.stdout, done.stdout


def test_without_lanes_for_it_what_fills_in_is_run_as_the_others(tmp_path: Path) -> None:
    """And by other lanes, once these have nothing else to do."""
    (tmp_path / "conftest.py").write_text(MARKS)
    source = "import pytest\n" + "".join(f"def test_fills_{number}(): pass\n" for number in range(5))
    assert "5 passed" in run(tmp_path, source).stdout
    assert "5 passed" in run(tmp_path, source, "--filling=9").stdout
