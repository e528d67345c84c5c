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
    if interpreter := _strange_interpreter(program):
        print(
            f"perftui_agent: not instrumented: {program} runs in {interpreter}, where perftui-agent is "
            "not installed",
            file=sys.stderr,
        )
    become(program, command, environment)


def _is_installed() -> bool:
    directories = [*site.getsitepackages(), *([site.getusersitepackages()] if site.ENABLE_USER_SITE else [])]
    return any(os.path.exists(os.path.join(directory, HOOK)) for directory in directories)


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
    """Return the Python that a script names in its first line; empty if it names none."""
    try:
        with open(script, "rb") as file:
            first = file.readline(512)
    except OSError:
        return ""
    words = first.removeprefix(b"#!").decode(errors="replace").split() if first.startswith(b"#!") else []
    return words[0] if words and Path(words[0]).name.startswith("python") else ""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
