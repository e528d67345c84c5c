"""`perftui mcp`: what perftui sees, for an assistant, over the Model Context Protocol's stdio."""

from __future__ import annotations

import asyncio
import importlib.util

import click

from perftui.commands.arguments import targets_argument
from perftui.commands.dead import opened_instead
from perftui.commands.recordings import recording_in
from perftui.recording.reader import Recording
from perftui.sources.live import LiveSource
from perftui.sources.target import LiveTarget, TargetError, parse_live


@click.command()
@targets_argument
def mcp(targets: tuple[str, ...]) -> None:
    """Serve what TARGET does to an assistant, read-only: state, findings, routes, statements, compare.

    It speaks the Model Context Protocol on stdin and stdout, and follows the service until stdin ends. Of a
    recording, and of workers that are no more, it tells what they were. It is started by the assistant, as
    {"command": "perftui", "args": ["mcp", "8000"]}.
    """
    recording = recording_in(targets)
    wanted = parse_live(targets) if recording is None else ()
    if importlib.util.find_spec("mcp") is None:
        raise TargetError("perftui mcp needs the protocol's SDK", "install it: pip install 'perftui[mcp]'")
    if recording is None:
        try:
            asyncio.run(_serve(wanted))
            return
        except TargetError:
            recording = opened_instead(wanted)
            if recording is None:
                raise
    with recording:
        asyncio.run(_serve_recording(recording))


async def _serve(wanted: tuple[LiveTarget, ...]) -> None:
    # The SDK takes half a second to import, which no other verb should pay.
    from perftui.assistant import serve  # noqa: PLC0415

    async with LiveSource(wanted) as source:
        await serve(source)


async def _serve_recording(recording: Recording) -> None:
    from perftui.assistant import serve_recording  # noqa: PLC0415 - as above

    await serve_recording(recording)
