"""Run other projects' own tests with and without the agent: `python -m tests.upstream [name …]`.

The source distributions on PyPI contain the tests. Each is unpacked into an environment of its own, with
what its tests need, and run twice. Those of Starlette and FastAPI: as they are, and as `python -m
perftui_agent run` would run them, so that the agent is in every app that is built. Those of the libraries
that call other services: as they are, and with the probes of such calls attached. What fails with the agent
alone is a defect of ours, and so is a fault that our guard has kept from them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parents[2]
UV = os.environ.get("UV", str(ROOT / ".tools/bin/uv"))


@dataclass(frozen=True, slots=True)
class Suite:
    """One project's tests."""

    extra: str
    group: str
    """Dependency groups of its pyproject.toml that its tests need."""
    options: tuple[str, ...]
    wanted: tuple[str, ...] = ()
    """What its tests need and no group of its says."""
    folder: str = "tests"
    calls: bool = False
    """Whether it is watched as what calls other services, not as an app."""


SUITES = {
    "starlette": Suite("full", "dev", ("-p", "no:codspeed")),
    "fastapi": Suite("all", "tests", ("-p", "no:codspeed", "-p", "no:sugar", "-n", "2", "--timeout=120")),
    "httpx": Suite(
        "brotli,cli,http2,socks,zstd",
        "",
        (),
        ("chardet<6", "cryptography", "pytest<9", "trio", "trustme", "uvicorn"),
        calls=True,
    ),
    "requests": Suite(
        "socks",
        "",
        ("--timeout=60",),
        ("httpbin~=0.10.0", "pytest<10", "pytest-httpbin==2.1.0", "pytest-mock", "pytest-timeout", "trustme"),
        calls=True,
    ),
    "urllib3": Suite(
        "h2,socks",
        "test",
        ("--timeout=60", "-m", "not requires_network"),
        ("cryptography", "idna", "pyopenssl", "trustme"),
        folder="test",
        calls=True,
    ),
    "aiohttp": Suite(
        "speedups",
        "",
        # As its own configuration, but for coverage; and its pages of documentation are no tests of a client.
        ("--timeout=60", "-p", "no:codspeed", "-o", "addopts=", "-m", "not dev_mode"),
        (
            "blockbuster",
            "freezegun",
            "pkgconfig",
            "proxy.py>=2.4.4rc5",
            "pytest-cov",
            "pytest-mock",
            "pytest-timeout",
            "pytest-xdist",
            "re-assert",
            "trustme",
            "uvloop",
        ),
        folder="tests/test_client_functional.py",
        calls=True,
    ),
}

FAULTS = "PERFTUI_FAULTS_FILE"
"""Where `watched_calls` leaves what the guard has counted."""

Outcomes = dict[str, set[str]]
"""Ids of tests by outcome: `passed`, `failed`, `skipped`; and as `fault` what our guard has counted."""


def main(names: list[str]) -> int:
    """Run the suites named, or all; return 1 if any test fails with the agent alone."""
    broken = 0
    with tempfile.TemporaryDirectory(prefix="perftui-upstream-") as directory:
        for name in names or SUITES:
            source = unpacked(name, Path(directory))
            python = environment(name, source)
            plain = run(name, source, python, with_agent=False)
            watched = run(name, source, python, with_agent=True)
            ours = watched["failed"] - plain["failed"]
            for outcome in ("passed", "failed", "skipped"):
                print(f"{name}: {outcome:8} {len(plain[outcome]):5} without, {len(watched[outcome]):5} with")
            for test in sorted(ours):
                print(f"{name}: fails with the agent alone: {test}")
            faults = watched["fault"]
            print(f"{name}: {len(faults)} faults of the agent's own")
            for fault in sorted(faults):
                print(f"{name}: {fault}")
            broken += len(ours) + len(faults)
    return 1 if broken else 0


def unpacked(name: str, directory: Path) -> Path:
    """Return the unpacked source distribution of the version that is installed here."""
    wanted = f"{name}=={version(name)}"
    pip = [UV, "tool", "run", "pip", "download", "--quiet", "--no-deps", "--no-binary", name, wanted]
    subprocess.run([*pip, "--dest", str(directory)], check=True)
    (archive,) = directory.glob(f"{name}-*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(directory, filter="data")
    return directory / archive.name.removesuffix(".tar.gz")


def environment(name: str, source: Path) -> Path:
    """Return the Python of an environment with the project, what its tests need, and the agent."""
    suite = SUITES[name]
    subprocess.run([UV, "venv", "--quiet", "--python", sys.executable, str(source / ".venv")], check=True)
    python = source / ".venv/bin/python"
    install = [UV, "pip", "install", "--quiet", "--python", str(python)]
    group = ["--group", f"{source}/pyproject.toml:{suite.group}"] if suite.group else []
    wanted = [*group, f"{source}[{suite.extra}]", *suite.wanted, str(ROOT / "agent")]
    subprocess.run([*install, *wanted], check=True, cwd=source)
    return python


def run(name: str, source: Path, python: Path, *, with_agent: bool) -> Outcomes:
    """Run the tests; return what became of each."""
    report = source / f"report-{with_agent}.xml"
    pytest = [str(python), "-m", "pytest", "-q", "--tb=no", f"--junitxml={report}"]
    suite = SUITES[name]
    command = [*pytest, *suite.options, suite.folder]
    path = ""
    if with_agent and suite.calls:
        command += ["-p", "watched_calls"]
        path = str(Path(__file__).parent)
    elif with_agent:
        command = [str(python), "-m", "perftui_agent", "run", "--", *command]
    with tempfile.TemporaryDirectory(prefix="ptui-", dir="/tmp") as runtime_dir:
        faults = Path(runtime_dir) / "faults"
        variables = os.environ | {"PERFTUI_RUNTIME_DIR": runtime_dir, "PYTHONPATH": path, FAULTS: str(faults)}
        subprocess.run(command, cwd=source, env=variables, check=False, stdout=subprocess.DEVNULL)
        told = faults.read_text(encoding="utf-8").splitlines() if faults.exists() else []
    return outcomes(report) | {"fault": set(told)}


def outcomes(report: Path) -> Outcomes:
    """Return what a JUnit report says became of each test."""
    found: Outcomes = {"passed": set(), "failed": set(), "skipped": set()}
    for case in ElementTree.parse(report).iter("testcase"):
        test = f"{case.get('classname')}::{case.get('name')}"
        kinds = {part.tag for part in case}
        if kinds & {"failure", "error"}:
            found["failed"].add(test)
        else:
            found["skipped" if "skipped" in kinds else "passed"].add(test)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
