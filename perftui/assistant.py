"""What an assistant may ask of a service that is followed: the Model Context Protocol over stdio.

Takes a source, gives the snapshot document in pieces that fit a conversation. Everything is read-only: no
dump, no profile, no plan is taken for an assistant; what intrudes is for a person to type.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from importlib.metadata import version
from inspect import getdoc
from typing import Annotated, Any, TypeAlias, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from perftui.feed import LiveFeed
from perftui.findings.differences import differences
from perftui.model.comparison import compare
from perftui.model.filter import EVERYTHING, Filter, parse_filter
from perftui.present.documents.comparison import comparison_document
from perftui.present.documents.snapshot import SnapshotDocument, document
from perftui.sources.live import LiveSource

INSTRUCTIONS = """\
perftui follows a FastAPI service that runs now, every second. Ask `findings` first: each names what is
wrong, on what subject, with the figures and the next step. `state` has totals, targets, workers, pools,
caches, upstreams and incidents; `routes` and `statements` the rows behind them, dearest first. Times are
ms, sizes bytes, ratios 0 to 1; null is "no data", never zero. Latency begins when a request's bytes have
reached the machine. Nothing here changes the service; what looks deeper (`perftui dump`, `profile`,
`explain`) is for a person to run."""

READ_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)

MOST_ROWS = 200
"""In one answer: a conversation holds no more."""

Window: TypeAlias = Annotated[
    float, Field(ge=1, le=900, description="How many seconds to look back; what is kept is fifteen minutes.")
]
"""Over how long."""

Words: TypeAlias = Annotated[
    str, Field(description="Rows that meet all words alone: 'route:/orders p95>200ms', 'errors>1%'.")
]
"""Which rows."""

Ago: TypeAlias = Annotated[float, Field(ge=1, le=840, description="How many seconds back the earlier ends.")]
"""How long ago."""

Limit: TypeAlias = Annotated[int, Field(ge=1, le=MOST_ROWS, description="At most so many rows.")]
"""How many rows."""

Json: TypeAlias = dict[str, Any]
"""A JSON object."""

R = TypeVar("R")


class Assistant:
    """Answers from what a feed has merged so far."""

    def __init__(self, feed: LiveFeed) -> None:
        self._feed = feed

    def state(self, window_s: Window = 60) -> Json:
        """Return the service as a whole: totals, targets, coverage, workers, pools, caches, upstreams,
        requests in flight, incidents and the kinds of what is wrong now."""
        whole = self._document(window_s)
        apart = {"routes", "queries", "transactions", "slowest", "findings", "evidence"}
        kept: Json = {key: value for key, value in whole.items() if key not in apart}
        kept["routes"] = len(whole["routes"])
        kept["findings"] = [f"{each['kind']} {each['subject']}" for each in whole["findings"]]
        return kept

    def findings(self, window_s: Window = 60) -> Json:
        """Return what is wrong, the worst first: kind, severity, subject, a sentence with the figures, the
        evidence that it can be checked against, and what to do next. An empty list means healthy."""
        whole = self._document(window_s)
        return {**_head(whole), "findings": whole["findings"]}

    def routes(self, window_s: Window = 60, rows: Words = "", limit: Limit = 20) -> Json:
        """Return the routes, what costs most first: latency as clients feel it, errors, and where the time of
        an average request goes; with them their slowest requests as spans."""
        whole = self._document(window_s, rows)
        named = {row["route"] for row in whole["routes"][:limit]}
        slowest = [each for each in whole["slowest"] if each["route"] in named]
        return {**_head(whole), **_cut("routes", whole["routes"], limit), "slowest": slowest[:10]}

    def statements(self, window_s: Window = 60, rows: Words = "", limit: Limit = 20) -> Json:
        """Return the SQL statements, what costs most first: their shape (no values), counts, times, the
        routes that run them and the line that does; steps of transactions and connections with them."""
        whole = self._document(window_s, rows)
        asked = sorted([*whole["queries"], *whole["transactions"]], key=lambda row: -row["total_ms"])
        return {**_head(whole), **_cut("statements", asked, limit)}

    def compare(self, ago_s: Ago = 300, window_s: Window = 60) -> Json:
        """Return route by route what has changed against so long ago, and what is noise: over two windows of
        the same length, of which the later ends now. Findings that came and went are named."""
        after = self._feed.summary(window_s)
        if ago_s < window_s:
            raise ToolError(
                f"windows of {window_s:g} s that end {ago_s:g} s apart overlap: ago_s is to be more"
            )
        before = self._feed.summary(window_s, after.at - ago_s)
        if not before.totals.requests:
            raise ToolError(f"of {ago_s:g} s ago nothing is known: the workers remember less")
        return comparison_document(compare(before, after), before, after, differences(before, after))

    def _document(self, window_s: float, words: str = "") -> SnapshotDocument:
        return document(self._feed.summary(window_s), _filter(words))


def _filter(words: str) -> Filter:
    try:
        return parse_filter(words) if words.strip() else EVERYTHING
    except ValueError as error:
        raise ToolError(str(error)) from None


def _head(whole: SnapshotDocument) -> Json:
    return {key: whole[key] for key in ("target", "service", "at", "window_s", "coverage")}


def _cut(name: str, rows: Sequence[R], limit: int) -> Json:
    """Return the first rows, and how many there are: what is left out is said."""
    return {name: list(rows[:limit]), "of": len(rows)}


async def serve(source: LiveSource) -> None:
    """Answer on stdin and stdout until stdin ends; `source` has been entered."""
    feed = LiveFeed(source)
    feed.look_back()
    assistant = Assistant(feed)
    server = MCPServer("perftui", version=version("perftui"), instructions=INSTRUCTIONS, log_level="WARNING")
    for tool in (
        assistant.state,
        assistant.findings,
        assistant.routes,
        assistant.statements,
        assistant.compare,
    ):
        server.add_tool(tool, description=getdoc(tool), annotations=READ_ONLY, structured_output=True)
    following = asyncio.create_task(feed.run(lambda _: None))
    try:
        await server.run_stdio_async()
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
