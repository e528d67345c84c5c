"""The command line as a script meets it: each test runs the real command in a process of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from perftui.cli import VERBS, main
from perftui_agent.wire import registration
from tests.support import command
from tests.support.servers import free_port, private_dir


@pytest.fixture
def directory() -> Iterator[Path]:
    """A runtime directory in which nobody has registered."""
    path = private_dir()
    yield path
    shutil.rmtree(path)


def perftui(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return command.run(*arguments, env=os.environ | {"PERFTUI_RUNTIME_DIR": str(directory)})


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["ls", "--json"], ["snapshot", "--help"]], ids=str
)
def test_no_verb_but_those_with_a_screen_imports_textual(directory: Path, arguments: list[str]) -> None:
    """What takes 0.3 s to import is imported when the dashboard opens, and not before."""
    code = (
        "import sys\nfrom perftui.cli import main\n"
        f"code = main({arguments!r})\n"
        "sys.exit(code or bool({'textual', 'httpx', 'hypothesis'} & set(sys.modules)))"
    )
    env = os.environ | {"PERFTUI_RUNTIME_DIR": str(directory)}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_imports_no_verb_at_all(directory: Path) -> None:
    """The list of verbs comes from a table."""
    code = (
        "import sys\nfrom perftui.cli import main\nmain(['--help'])\n"
        "early = ('perftui.commands.', 'perftui.sources', 'msgspec')\n"
        "sys.exit(any(name.startswith(early) for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_help_lists_every_verb_and_every_verb_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    """The table in the command line and the verbs themselves say the same."""
    assert main(["--help"]) == 0
    listed = capsys.readouterr().out
    for verb, sentence in VERBS.items():
        assert sentence in listed
        assert main([verb, "--help"]) == 0
        assert f"Usage: perftui {verb}" in capsys.readouterr().out


def test_the_version_is_that_of_the_distribution(directory: Path) -> None:
    """`--version` is one line on stdout."""
    done = perftui(directory, "--version")
    assert re.fullmatch(r"perftui \d+\.\d+\.\d+\S*\n", done.stdout)


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nonsense"], "No such command 'nonsense'."),
        (["snapshot", "--for", "ten", "8000"], "Invalid value for '--for': ten is no length of time"),
        (["snapshot", "--for", "2h", "8000"], "at most 14m"),
        (["snapshot", "not a target"], "not a target is no target"),
        (["dump", "--worker", "x"], "Invalid value for '--worker'"),
        (["dump", "incident.perftui"], "incident.perftui is a recording, and this needs a service that runs"),
        (["snapshot", "incident.perftui"], "there is no file incident.perftui"),
        (["snapshot", "--at", "+5s", "8000"], "only a recording has other moments than this one"),
        (["cut", "incident.perftui", "-o", "a" * 300 + ".perftui"], "can't be used: File name too long"),
        (["check", "8000", "--slo", "p95<1s", "--against", ""], "the target is empty"),
        (["connect", "https://shop.example"], "remote door, which takes a token"),
        (["snapshot"], "no instrumented service"),
        (["connect"], "no instrumented service"),
    ],
    ids=" ".join,
)
def test_errors_are_two_lines_on_stderr_and_exit_2(
    directory: Path, arguments: list[str], problem: str
) -> None:
    """What is wrong, then the next command to type; nothing on stdout, and no traceback."""
    done = perftui(directory, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    first, second = done.stderr.splitlines()
    assert first.startswith("perftui: ")
    assert problem in first
    assert second.startswith("  ")


def test_without_a_verb_it_is_help(directory: Path) -> None:
    """Who types the name alone wants to know what there is."""
    done = perftui(directory)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == perftui(directory, "--help").stdout


def test_a_full_disk_is_told_in_one_line(directory: Path) -> None:
    """It is no fault of perftui, and a script hears of it by exit code 2."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "perftui", "ls", "--json"],
            env=os.environ | {"PERFTUI_RUNTIME_DIR": str(directory)},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "perftui: the result can't be written: No space left on device\n"


def test_the_demo_without_a_terminal_says_what_would_work(directory: Path) -> None:
    """Before the shop is started, which nobody would see."""
    done = perftui(directory, "demo")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "perftui: the dashboard needs a terminal",
        "  without one: perftui demo --headless",
    ]


def test_nothing_listens_there(directory: Path) -> None:
    """The first of the three errors that matter, by every verb that takes a target."""
    port = free_port()
    for verb in ("snapshot", "dump", "connect"):
        done = perftui(directory, verb, f"localhost:{port}")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.splitlines()[0] == f"perftui: nothing listens on localhost:{port}"


def test_the_registrations_cannot_be_read(
    directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A runtime directory that anyone may write to is refused by name."""
    directory.chmod(0o777)
    monkeypatch.setenv("PERFTUI_RUNTIME_DIR", str(directory))
    # Where workers go instead, others on this machine may serve.
    monkeypatch.setattr(registration, "fallback_dir", lambda _: directory / "nobody")
    for arguments in (["ls"], ["snapshot"]):
        assert main(arguments) == 2
        problem, advice = capsys.readouterr().err.splitlines()
        assert "the registrations can't be read" in problem
        assert str(directory) in problem
        assert "sudo perftui ls" in advice


def test_a_host_without_services_is_an_empty_list(directory: Path) -> None:
    """Nothing to list is a result, and scripts get it as JSON."""
    done = perftui(directory, "ls", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == {"schema": 1, "services": [], "gone": []}
    done = perftui(directory, "ls")
    assert (done.returncode, done.stdout) == (0, "")
    assert "instrument(app)" in done.stderr


def test_a_fault_of_our_own_is_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Even a bug in perftui is two lines, unless somebody wants to see it."""

    def broken() -> None:
        raise ZeroDivisionError("oh\x1b[31m no")

    monkeypatch.setattr("perftui.commands.ls.discover", broken)
    monkeypatch.delenv("PERFTUI_DEBUG", raising=False)
    assert main(["ls"]) == 2
    assert capsys.readouterr().err.splitlines()[0].endswith("itself: ZeroDivisionError: oh no")
    monkeypatch.setenv("PERFTUI_DEBUG", "1")
    with pytest.raises(ZeroDivisionError):
        main(["ls"])


def test_completion_offers_the_verbs(directory: Path) -> None:
    """What `--help` tells to put into a shell's start file gives a script, and that script the verbs."""
    env = os.environ | {
        "PERFTUI_RUNTIME_DIR": str(directory),
        "_PERFTUI_COMPLETE": "bash_complete",
        "COMP_WORDS": "perftui s",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(
        [str(Path(sys.executable).with_name("perftui"))], env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["plain,snapshot"]
