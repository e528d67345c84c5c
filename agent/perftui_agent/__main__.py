"""`python -m perftui_agent run -- uvicorn app:app --workers 4`: the agent without a line of code.

Tells the start-up hook, by the environment, to do its work; each Python process that the command becomes then
instruments every Starlette and FastAPI app when the app is first called.
"""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
from pathlib import Path
from typing import NoReturn

USAGE = "usage: python -m perftui_agent run -- COMMAND [ARG …], as in: run -- uvicorn app:app --workers 4"

AUTOLOAD = "PERFTUI_AUTOLOAD"
"""The variable that wakes the hook."""

HOOK = "perftui_agent_autoload.pth"
"""The hook, where packages are installed: see `perftui_agent_autoload`."""

SUBSTITUTE_DIR = Path(__file__).parent / "autoload"
"""Holds a `sitecustomize.py`, which does where the package is not installed but on the PYTHONPATH."""

ASK_S = 10

_START_ELSEWHERE = {"doas", "su", "runuser", "docker", "podman", "ssh", "systemd-run"}
"""Commands whose own command gets an environment of its own."""


def become(program: str, command: list[str], environment: dict[str, str]) -> NoReturn:
    """Replace this process by the command: signals, pid and exit code are then its own."""
    sys.stdout.flush()
    sys.stderr.flush()
    # A Python that is called by its bare name looks for itself on the PATH, and finds another one's packages.
    os.execve(program, [program, *command[1:]], environment)  # noqa: S606 - what the user typed, with no shell between


def main(arguments: list[str]) -> int:
    """Become the command; return 2 if it can't be. Does not return otherwise."""
    if not arguments or arguments[0] != "run":
        print(USAGE, file=sys.stderr)
        return 2
    command = arguments[2:] if arguments[1:2] == ["--"] else arguments[1:]
    if not command:
        print(USAGE, file=sys.stderr)
        return 2
    # The command of this very environment before one of the same name elsewhere.
    beside = shutil.which(command[0], path=str(Path(sys.executable).parent))
    program = beside or shutil.which(command[0])
    if program is None:
        print(f"perftui_agent: there is no command {command[0]!r} here; is it installed?", file=sys.stderr)
        return 2
    environment = dict(os.environ)
    environment[AUTOLOAD] = "1"
    if not _is_installed():
        print(
            f"perftui_agent: not installed, {HOOK} is in no folder of packages: what rewrites PYTHONPATH "
            "keeps it from workers",
            file=sys.stderr,
        )
        paths = [str(SUBSTITUTE_DIR), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    if _passes_no_environment_on(command):
        print(
            f"perftui_agent: not instrumented: {command[0]} passes no environment on; put "
            f"{sys.executable} -m perftui_agent run -- behind it",
            file=sys.stderr,
        )
    elif interpreter := _strange_interpreter(program):
        print(
            f"perftui_agent: not instrumented: {program} runs in {interpreter}, where perftui-agent is "
            "not installed",
            file=sys.stderr,
        )
    become(program, command, environment)


def _is_installed() -> bool:
    directories = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return any(os.path.exists(os.path.join(directory, HOOK)) for directory in directories)


def _passes_no_environment_on(command: list[str]) -> bool:
    """Tell a command that keeps the variable that wakes the hook from what it starts."""
    name, options = Path(command[0]).name, []
    for word in command[1:]:
        if not word.startswith("-"):
            break
        options.append(word)
    if name == "env":
        return any(word in {"-", "-i", "--ignore-environment"} for word in options)
    if name == "sudo":
        return not any(word.startswith(("-E", "--preserve-env")) for word in options)
    return name in _START_ELSEWHERE


def _strange_interpreter(program: str) -> str:
    """Return the Python that a program runs in if it is another environment's without an agent of its own."""
    interpreter = program if Path(program).name.startswith("python") else _interpreter_of(program)
    if not interpreter or Path(interpreter).parent == Path(sys.executable).parent:
        return ""
    try:
        asked = subprocess.run(
            [interpreter, "-c", "import perftui_agent"], capture_output=True, timeout=ASK_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return interpreter if asked.returncode else ""


def _interpreter_of(script: str) -> str:
    """Return the Python that a script names in its first lines; empty if it names none.

    By its path, by its name after `env`, or, where the path is too long for a first line, behind an `exec`
    for the shell in the second, as pip writes it.
    """
    try:
        with open(script, "rb") as file:
            first, second = (file.readline(4096).decode(errors="replace") for _ in range(2))
    except OSError:
        return ""
    if not first.startswith("#!"):
        return ""
    words = first.removeprefix("#!").split()
    if second.startswith("'''exec'"):
        words = second.removeprefix("'''exec'").split()
    elif words and Path(words[0]).name == "env":
        words = [shutil.which(word) or "" for word in words[1:] if not word.startswith("-")]
    interpreter = words[0].strip('"') if words else ""
    return interpreter if Path(interpreter).name.startswith("python") else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
