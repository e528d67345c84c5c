"""Several tests at once: what they share is started once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import without_group


@pytest.fixture(scope="module")
def server() -> str:
    """Stand for a server that the tests of a module share."""
    return "started"


def test_what_shares_a_server_has_a_lane_for_it(request: pytest.FixtureRequest, server: str) -> None:
    """Else each lane would start it, and say nothing: as when pytest had changed what xdist goes by."""
    in_lanes = getattr(request.config.option, "loadgroup", False)
    assert request.node.nodeid.endswith("@test_lanes server=None") == bool(in_lanes)


@pytest.mark.parametrize("name", ["a.py::test_b", "a.py::test_b[c@d]", "a.py::B::test_c"])
def test_a_test_that_fails_in_a_group_is_found_again_by_its_name(name: str) -> None:
    """To be tried once more by itself: who is not found fails for nobody."""
    assert [without_group(told) for told in (name, f"{name}@a server=None")] == [name, name]


def test_lanes_that_do_not_find_the_same_tests_are_no_run(tmp_path: Path) -> None:
    """Such a run ends before it begins: what is tried again, which is nothing, does not make it pass."""
    conftest = Path(__file__).with_name("conftest.py").read_text(encoding="utf-8")
    (tmp_path / "conftest.py").write_text(conftest, encoding="utf-8")
    (tmp_path / "test_differs.py").write_text(
        "import os, pytest\n"
        "@pytest.mark.parametrize('number', [os.getpid()])\n"
        "def test_differs(number): pass\n",
        encoding="utf-8",
    )
    lanes = [sys.executable, "-m", "pytest", "-q", "-n2", "--rootdir", str(tmp_path), str(tmp_path)]
    assert subprocess.run(lanes, cwd=tmp_path, capture_output=True, check=False).returncode == 2
