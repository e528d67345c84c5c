"""What verbs that have something done in a worker share: whom they ask, how far it is, and ctrl+c."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Iterator, Mapping, Sequence

import click

from perftui.model.text import clean_text
from perftui.sources.live import LiveSource
from perftui.sources.target import TargetError
from perftui_agent.wire.actions import Progress
from perftui_agent.wire.dumps import Refusal
from perftui_agent.wire.identity import WorkerIdentity

CONNECT_S = 1.0
"""How long all workers may take to say hello before the first is asked; a silent one never does."""

_BAR = 24


async def wanted_workers(source: LiveSource, pid: int | None) -> list[WorkerIdentity]:
    """Return the workers of a source that are meant, as soon as they can be asked; `TargetError` for none."""
    wanted = [each.worker for each in source.workers() if pid in {None, each.worker.pid}]
    if not wanted:
        there = ", ".join(str(each.worker.pid) for each in source.workers())
        raise TargetError(f"{source.name} has no worker {pid}", f"it has: {there}")
    await source.settled(CONNECT_S)
    return wanted


def tell_refusals(answers: Mapping[int, object]) -> int:
    """Say on stderr why workers, by pid, have given nothing; return how many those are."""
    refusals = {pid: answer for pid, answer in answers.items() if isinstance(answer, Refusal)}
    for pid, refusal in refusals.items():
        click.echo(clean_text(f"worker {pid}: {refusal.reason}"), err=True)
        if refusal.advice:
            click.echo(clean_text(f"  {refusal.advice}"), err=True)
    return len(refusals)


class ProgressBar:
    """How far several workers are, on a terminal."""

    def __init__(self, workers: Sequence[WorkerIdentity], for_s: float | None, begun: str = "") -> None:
        self._of = len(workers)
        self._for_s = for_s
        self._begun = begun
        """What is said as soon as somebody has begun: of what is refused nothing is."""
        self._done: dict[int, Progress] = {}

    def told(self, pid: int, progress: Progress) -> None:
        """Draw it anew."""
        self._done[pid] = progress
        if self._begun:
            click.echo(clean_text(self._begun), err=True)
            self._begun = ""
        if not sys.stderr.isatty():
            return
        share = min(each.done for each in self._done.values()) if len(self._done) == self._of else 0.0
        bar = "█" * round(share * _BAR) + "░" * (_BAR - round(share * _BAR))
        texts = ", ".join(f"{pid}: {each.text}" for pid, each in sorted(self._done.items()))
        # Where it is not time that it waits for, nobody knows how much of that is left.
        left = "" if self._for_s is None else f" {max(self._for_s * (1 - share), 0.0):3.0f} s left"
        told = f"{bar}{left}  {clean_text(texts)[:50]}  ctrl+c keeps this"
        click.echo(f"\r\x1b[K{told}", err=True, nl=False)

    def last(self, pid: int) -> Progress | None:
        """Return what was last told of a worker."""
        return self._done.get(pid)

    def end(self) -> None:
        """Take it away."""
        if sys.stderr.isatty():
            click.echo("\r\x1b[K", err=True, nl=False)


@contextlib.contextmanager
def ended_by_ctrl_c(finish: asyncio.Event) -> Iterator[None]:
    """Let the first ctrl+c set `finish`; the second interrupts as always."""
    loop = asyncio.get_running_loop()

    def pressed() -> None:
        finish.set()
        loop.remove_signal_handler(signal.SIGINT)

    loop.add_signal_handler(signal.SIGINT, pressed)
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)
