"""`python -m perftui_agent run -- uvicorn app:app --workers 4`: the agent without a line of code.

Starts the command with a start-up hook in its environment; each Python process it becomes instruments
every Starlette and FastAPI app when the app is first called.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

USAGE = "usage: python -m perftui_agent run -- COMMAND [ARG …], as in: run -- uvicorn app:app --workers 4"

HOOK_DIR = Path(__file__).parent / "autoload"
"""Holds a `sitecustomize.py`, which Python imports by itself at start-up."""


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
    paths = [str(HOOK_DIR), environment.get("PYTHONPATH", "")]
    environment["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    become(program, command, environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
