"""The command line: one verb per file in `commands/`, each imported only when it is asked for.

stdout carries the result alone; progress and errors go to stderr. An error is one or two lines: what is
wrong, and the next command to type. Exit codes: 0 done, 1 a judgement failed, 2 it could not be done,
130 interrupted.
"""

from __future__ import annotations

import errno
import gc
import importlib
import os
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import click

DONE, FAILED, IMPOSSIBLE, INTERRUPTED = 0, 1, 2, 130

VERBS: Mapping[str, str] = MappingProxyType(
    {
        "check": "Hold a service against what it promises, for a script.",
        "compare": "Tell route by route how two services or versions differ.",
        "connect": "Open the dashboard on running services.",
        "database": "Tell what the databases say of sessions, waits and locks.",
        "cut": "Cut a piece out of a recording, to share.",
        "demo": "Start a demo shop with known faults, and the dashboard on it.",
        "doctor": "Tell what stands in the way here, each with its mend.",
        "dump": "Print the stacks of every thread of the workers.",
        "evidence": "List or open what triggers and silent workers have left.",
        "explain": "Tell how the database goes about a statement.",
        "findings": "Tell what each kind of finding goes by.",
        "functions": "Tell which functions the requests of a route call.",
        "ls": "List the instrumented services on this host.",
        "memory": "Tell what grows in a worker's memory, by line and by type.",
        "mcp": "Serve what is seen to an assistant, by the MCP protocol.",
        "profile": "Sample where the workers spend their time, down to the line.",
        "ramp": "Raise the load until something gives, and name what gave.",
        "record": "Write what is seen of a service into a file, to look at later.",
        "replay": "Open the dashboard on a recording.",
        "report": "Write one page about what happened, for who was not there.",
        "snapshot": "Watch for some seconds, then print the state.",
        "watch": "Say when a finding begins and ends; no screen.",
    }
)
"""Each verb and what `--help` says of it; `commands/<verb>.py` holds the rest."""

_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
"""What a full or broken disk says."""

_UNUSABLE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
    *(errno.ENAMETOOLONG, errno.ELOOP),
}
"""What is said of a file that somebody has named, and that can't be."""

EPILOG = """\b
TARGET is what a service is found by:
  localhost:8000 or 8000    the port it serves
  unix:/path/to.sock        the Unix socket it serves
  pid:1234                  a worker or its supervisor
  https://shop.example      on another host, by its remote door: needs PERFTUI_TOKEN or --token
  service:shop              its name; service:shop@1.4.2: the workers that run this version
  incident.perftui          a recording, where a verb can look at one
  (none)                    the only instrumented service on this host

\b
Completion of verbs, options and targets:
  bash  eval "$(_PERFTUI_COMPLETE=bash_source perftui)"   in ~/.bashrc
  zsh   eval "$(_PERFTUI_COMPLETE=zsh_source perftui)"    in ~/.zshrc
  fish  _PERFTUI_COMPLETE=fish_source perftui | source    in ~/.config/fish/config.fish
"""


class Verbs(click.Group):
    """A group whose commands are imported when they are run; help needs none of them."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """Return the names of the verbs."""
        return list(VERBS)

    def get_command(self, _ctx: click.Context, name: str) -> click.Command | None:
        """Import a verb."""
        if name not in VERBS:
            return None
        gc.disable()  # what is imported stays
        try:
            module = importlib.import_module(f"perftui.commands.{name}")
        finally:
            gc.enable()
        command: click.Command = getattr(module, name)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs from the table."""
        with formatter.section("Commands"):
            formatter.write_dl(list(VERBS.items()))


def _print_version(ctx: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
    if wanted and not ctx.resilient_parsing:
        from importlib.metadata import version  # noqa: PLC0415 - 20 ms that no other verb needs

        click.echo(f"perftui {version('perftui')}")
        ctx.exit()


@click.group(
    cls=Verbs,
    name="perftui",
    invoke_without_command=True,
    epilog=EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_print_version,
    help="Show the version and exit.",
)
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Live performance triage of FastAPI services, in the terminal."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    if sys.stdout is None:
        # Closed by the caller: a socket of ours would become file 1.
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - open until the end
    try:
        result = cli.main(
            args=None if arguments is None else list(arguments), prog_name="perftui", standalone_mode=False
        )
        sys.stdout.flush()
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        # Who reads us has seen enough, as `| head` does. Python would complain once more at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except click.UsageError as error:
        verb = error.ctx.command_path if error.ctx else "perftui"
        return _told(error.format_message(), f"how it is used: {verb} --help")
    except click.ClickException as error:
        _told(error.format_message())
        return error.exit_code if error.exit_code != FAILED else IMPOSSIBLE
    except Exception as error:  # noqa: BLE001 - the last door: nobody wants a traceback here
        return _told_of(error)
    return result if isinstance(result, int) else DONE


def _told_of(error: Exception) -> int:
    from perftui.sources.target import TargetError  # noqa: PLC0415 - `--help` needs no sources

    if isinstance(error, TargetError):
        return _told(error.problem, error.advice)
    if isinstance(error, OSError) and error.errno in _UNWRITABLE:
        return _told(f"the result can't be written: {error.strerror}")
    if isinstance(error, OSError) and error.errno in _UNUSABLE and error.filename is not None:
        name = os.fsdecode(error.filename)
        return _told(f"{name} can't be used: {error.strerror}", "name another one that you may use")
    if os.environ.get("PERFTUI_DEBUG"):
        raise error
    return _told(
        f"this is a fault in perftui itself: {type(error).__name__}: {error}",
        "please report it with what PERFTUI_DEBUG=1 shows",
    )


def _told(problem: str, advice: str = "") -> int:
    """Say what is wrong and what to do next on stderr."""
    from perftui.model.text import clean_text  # noqa: PLC0415 - only errors need it

    click.echo(f"perftui: {clean_text(problem)}", err=True)
    if advice:
        click.echo(f"  {clean_text(advice)}", err=True)
    return IMPOSSIBLE
