"""`perftui mcp`: what perftui sees, for an assistant, over the Model Context Protocol's stdio."""

from __future__ import annotations

import asyncio
import importlib.util

import click

from perftui.commands.arguments import targets_argument
from perftui.sources.live import LiveSource
from perftui.sources.target import LiveTarget, TargetError, parse_live


@click.command()
@targets_argument
def mcp(targets: tuple[str, ...]) -> None:
    """Serve what TARGET does to an assistant, read-only: state, findings, routes, statements, compare.

    It speaks the Model Context Protocol on stdin and stdout, and follows the service until stdin ends. It is
    started by the assistant, as {"command": "perftui", "args": ["mcp", "8000"]}.
    """
    wanted = parse_live(targets)
    if importlib.util.find_spec("mcp") is None:
        raise TargetError("perftui mcp needs the protocol's SDK", "install it: pip install 'perftui[mcp]'")
    asyncio.run(_serve(wanted))


async def _serve(wanted: tuple[LiveTarget, ...]) -> None:
    # The SDK takes half a second to import, which no other verb should pay.
    from perftui.assistant import serve  # noqa: PLC0415

    async with LiveSource(wanted) as source:
        await serve(source)
