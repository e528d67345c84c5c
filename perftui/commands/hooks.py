"""Who is told of what `perftui watch` sees: a command, a webhook. One that fails ends nothing."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any, TypeAlias

import click
import httpx
import msgspec

from perftui.model.text import clean_text

LONGEST_S = 30.0
"""What a command may take, and a webhook."""

MOST_WAITING = 100
"""Turns that wait for hooks; beyond them the oldest is given up."""

Hook: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[None]]
"""Tells somebody of a turn, as its document has it; raises `HookError`."""


class HookError(Exception):
    """Why somebody could not be told, in one line."""


def command_hook(command: str) -> Hook:
    """Return a hook that runs a command of the shell: the document on its stdin, its parts in PERFTUI_*."""

    async def run(document: Mapping[str, Any]) -> None:
        process = await asyncio.create_subprocess_exec(
            "/bin/sh", "-c", command,
            env={**os.environ, **_variables(document)},
            stdin=asyncio.subprocess.PIPE, stdout=2, start_new_session=True,
        )  # fmt: skip
        try:
            async with asyncio.timeout(LONGEST_S):
                await process.communicate(msgspec.json.encode(document) + b"\n")
        except TimeoutError:
            raise HookError(f"{command}: took longer than {LONGEST_S:g} s, and was ended") from None
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        if process.returncode:
            raise HookError(f"{command}: ended with {process.returncode}")

    return run


def webhook(url: str) -> Hook:
    """Return a hook that posts the document as JSON, once more if that fails."""

    async def post(document: Mapping[str, Any]) -> None:
        body = msgspec.json.encode(document)
        async with httpx.AsyncClient(timeout=LONGEST_S / 3) as client:
            for last in (False, True):
                try:
                    answer = await client.post(
                        url, content=body, headers={"Content-Type": "application/json"}
                    )
                    answer.raise_for_status()
                except httpx.HTTPStatusError as error:
                    problem = f"answered {error.response.status_code}"
                except (httpx.HTTPError, httpx.InvalidURL) as error:
                    problem = str(error) or type(error).__name__
                else:
                    return
                if last:
                    # A webhook's address is a secret in itself; its host tells enough.
                    raise HookError(f"the webhook at {httpx.URL(url).host}: {problem}")
                await asyncio.sleep(1.0)

    return post


class Hooks:
    """Tells all hooks of one turn after the other, beside what goes on."""

    def __init__(self, hooks: list[Hook]) -> None:
        self._hooks = hooks
        self._waiting: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()

    def tell(self, document: Mapping[str, Any]) -> None:
        """Have the hooks told, soon."""
        if not self._hooks:
            return
        if self._waiting.qsize() >= MOST_WAITING:
            self._waiting.get_nowait()
            self._waiting.task_done()
            click.echo("perftui: the hooks are slow: a finding was not told of", err=True)
        self._waiting.put_nowait(document)

    async def run(self) -> None:
        """Tell them until cancelled."""
        while True:
            document = await self._waiting.get()
            for hook in self._hooks:
                try:
                    await hook(document)
                except (HookError, OSError) as error:
                    click.echo(f"perftui: {clean_text(str(error))}", err=True)
            self._waiting.task_done()

    async def settled(self) -> None:
        """Return when all have been told."""
        await self._waiting.join()


def _variables(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the parts of a document as variables: what comes from outside is no part of a command."""
    finding = document["finding"]
    parts = {
        "EVENT": document["event"],
        "TARGET": document["target"],
        "SERVICE": document["service"] or "",
        **{name.upper(): finding[name] for name in ("kind", "severity", "subject", "sentence", "advice")},
    }
    return {f"PERFTUI_{name}": str(value).replace("\0", "") for name, value in parts.items()}
