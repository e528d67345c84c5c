"""What an assistant may ask of a service that is followed, or was recorded: the Model Context Protocol over
stdio.

Takes a source or a recording, gives the snapshot document in pieces that fit a conversation. Everything is
read-only: no dump, no profile, no plan is taken for an assistant; what intrudes is for a person to type.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from inspect import getdoc
from typing import Annotated, Any, Protocol, TypeAlias, TypeVar

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import ToolAnnotations
from pydantic import Field

from perftui.feed import LiveFeed
from perftui.findings.differences import differences
from perftui.model.comparison import compare
from perftui.model.dashboard import Dashboard
from perftui.model.filter import EVERYTHING, Filter, parse_filter
from perftui.model.summarize import summarize
from perftui.model.summary import Summary
from perftui.model.text import clean_text
from perftui.present.documents.comparison import comparison_document
from perftui.present.documents.snapshot import SnapshotDocument, document
from perftui.recording.looking import dashboard_at
from perftui.recording.reader import Recording
from perftui.sources.live import LiveSource

LIVE = "perftui follows a FastAPI service that runs now, every second."

ASK = """\
Ask `findings` first: each names what is wrong, on what subject, with the figures and the next step. `state` \
has totals, targets, workers, pools, caches, upstreams and incidents; `routes` and `statements` the rows \
behind them, dearest first. Each tells of a window that ends now, or `ended_ago_s` before. Times are ms, \
sizes bytes, ratios 0 to 1; null is "no data", never zero. Latency begins when a request's bytes have \
reached the machine. Nothing here changes the service; what looks deeper (`perftui dump`, `profile`, \
`explain`) is for a person to run."""

READ_ONLY = ToolAnnotations(read_only_hint=True, open_world_hint=False)

MOST_ROWS = 200
"""In one answer: a conversation holds no more."""

MOST_MOMENTS = 4

Window: TypeAlias = Annotated[
    float, Field(ge=1, le=900, description="How many seconds to look back; what is kept is fifteen minutes.")
]
"""Over how long."""

Ended: TypeAlias = Annotated[
    float, Field(ge=0, description="How many seconds ago the window ends: before now, or a recording's end.")
]
"""Which moment."""

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


class Pictures(Protocol):
    """Who has the state at any moment that is known: a live feed, a recording."""

    def reach(self) -> tuple[float | None, float]:
        """Return the first moment there is data of, None without any, and the present."""

    def summary(self, window_s: float, cursor: float | None = None) -> Summary:
        """Return the state over the window that ends at `cursor`, else at the present."""


class RecordedPictures:
    """Those of a recording, whose present is its end."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self._dashboards: dict[float, Dashboard] = {}
        """By their moments, the last few: one thing after the other is asked of a moment."""

    def reach(self) -> tuple[float | None, float]:
        """Return the first moment there are frames of, and the last."""
        return self.recording.first_at, self.recording.ended_at

    def summary(self, window_s: float, cursor: float | None = None) -> Summary:
        """Return the state over the window that ends at a moment."""
        at = self.recording.ended_at if cursor is None else cursor
        known = self._dashboards.pop(at, None) or dashboard_at(self.recording, at)
        self._dashboards[at] = known
        if len(self._dashboards) > MOST_MOMENTS:
            del self._dashboards[next(iter(self._dashboards))]
        return summarize(known, at, window_s)


class Assistant:
    """Answers from the pictures of a service."""

    def __init__(self, pictures: Pictures) -> None:
        self._pictures = pictures

    def state(self, window_s: Window = 60, ended_ago_s: Ended = 0) -> Json:
        """Return the service as a whole: totals, targets, coverage, workers, pools, caches, upstreams,
        requests in flight, incidents and the kinds of what is wrong now."""
        whole = self._document(window_s, ended_ago_s)
        apart = {"routes", "queries", "transactions", "slowest", "findings", "evidence"}
        kept: Json = {key: value for key, value in whole.items() if key not in apart}
        kept["routes"] = len(whole["routes"])
        kept["findings"] = [f"{each['kind']} {each['subject']}" for each in whole["findings"]]
        return kept

    def findings(self, window_s: Window = 60, ended_ago_s: Ended = 0) -> Json:
        """Return what is wrong, the worst first: kind, severity, subject, a sentence with the figures, the
        evidence that it can be checked against, and what to do next. An empty list means healthy."""
        whole = self._document(window_s, ended_ago_s)
        return {**_head(whole), "findings": whole["findings"]}

    def routes(
        self, window_s: Window = 60, rows: Words = "", limit: Limit = 20, ended_ago_s: Ended = 0
    ) -> Json:
        """Return the routes, what costs most first: latency as clients feel it, errors, and where the time of
        an average request goes; with them their slowest requests as spans."""
        whole = self._document(window_s, ended_ago_s, rows)
        named = {row["route"] for row in whole["routes"][:limit]}
        slowest = [each for each in whole["slowest"] if each["route"] in named]
        return {**_head(whole), **_cut("routes", whole["routes"], limit), "slowest": slowest[:10]}

    def statements(
        self, window_s: Window = 60, rows: Words = "", limit: Limit = 20, ended_ago_s: Ended = 0
    ) -> Json:
        """Return the SQL statements, what costs most first: their shape (no values), counts, times, the
        routes that run them and the line that does; steps of transactions and connections with them."""
        whole = self._document(window_s, ended_ago_s, rows)
        asked = sorted([*whole["queries"], *whole["transactions"]], key=lambda row: -row["total_ms"])
        return {**_head(whole), **_cut("statements", asked, limit)}

    def compare(self, ago_s: Ago = 300, window_s: Window = 60, ended_ago_s: Ended = 0) -> Json:
        """Return route by route what has changed against so long ago, and what is noise: over two windows of
        the same length, of which the later ends now, or `ended_ago_s` before. Findings that came and went are
        named."""
        if ago_s < window_s:
            raise ToolError(
                f"windows of {window_s:g} s that end {ago_s:g} s apart overlap: ago_s is to be more"
            )
        after = self._summary(window_s, ended_ago_s)
        before = self._summary(window_s, ended_ago_s + ago_s)
        if not before.totals.requests:
            raise ToolError(f"of {ago_s:g} s ago nothing is known: the workers remember less")
        return comparison_document(compare(before, after), before, after, differences(before, after))

    def _document(self, window_s: float, ended_ago_s: float, words: str = "") -> SnapshotDocument:
        return document(self._summary(window_s, ended_ago_s), _filter(words))

    def _summary(self, window_s: float, ended_ago_s: float) -> Summary:
        if not ended_ago_s:
            return self._pictures.summary(window_s)
        first, present = self._pictures.reach()
        if first is None or present - ended_ago_s <= first:
            known = 0.0 if first is None else present - first
            raise ToolError(f"of {ended_ago_s:g} s ago nothing is known: {known:.0f} s are")
        return self._pictures.summary(window_s, present - ended_ago_s)


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
    following = asyncio.create_task(feed.run(lambda _: None))
    try:
        await _answer(feed, LIVE)
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def serve_recording(recording: Recording) -> None:
    """The same of a recording, which is open."""
    began, ended = (_moment(each) for each in (recording.first_at, recording.ended_at))
    damage = "".join(f" Of it {each}." for each in recording.damage)
    about = f"perftui has a recording of a FastAPI service, from {began} to {ended}: its end is now.{damage}"
    await _answer(RecordedPictures(recording), about)


async def _answer(pictures: Pictures, about: str) -> None:
    assistant = Assistant(pictures)
    instructions = clean_text(f"{about} {ASK}")
    server = MCPServer("perftui", version=version("perftui"), instructions=instructions, log_level="WARNING")
    for tool in (
        assistant.state,
        assistant.findings,
        assistant.routes,
        assistant.statements,
        assistant.compare,
    ):
        server.add_tool(tool, description=getdoc(tool), annotations=READ_ONLY, structured_output=True)
    await server.run_stdio_async()


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
