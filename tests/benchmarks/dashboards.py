"""What `terminal` measures, each in its own process: `python -m tests.benchmarks.dashboards ours|table W R`.

Both show the same rows from the same generated frames, once a second: ours through the real feed and the
real screens, the other one in the plainest way, a DataTable whose cells are updated.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from typing import cast

from textual.app import App, ComposeResult
from textual.widgets import DataTable

from perftui.feed import LiveFeed
from perftui.model.events import FrameReceived, LinkChanged, SourceEvent, WorkerJoined
from perftui.sources.local import LocalSource
from perftui_agent.wire.codec import decode_from_agent
from perftui_agent.wire.frames import Frame, WorkerId
from tests.benchmarks.model import VARIANTS, encoded_frames
from tests.support.frames import hello, worker

COLUMNS = ("route", "rps", "err", "p50", "p95", "p99")


class Generated:
    """A source of frames that nobody has to serve."""

    name = "localhost:8000"

    def __init__(self, workers: int, routes: int) -> None:
        self._sent = encoded_frames(routes)
        self._identities = [
            worker(pid=1000 + number, started_at=time.time() - 60) for number in range(workers)
        ]

    async def __aiter__(self) -> AsyncIterator[SourceEvent]:
        """Have every worker speak once a second, spread over a tenth of it."""
        now = time.time()
        for identity in self._identities:
            yield WorkerJoined(hello(identity), now)
        yield LinkChanged("live", now)
        for second in range(1, 1_000_000):
            for number, identity in enumerate(self._identities):
                frame = decode_from_agent(self._sent[(second * 7 + number * 3) % VARIANTS])
                assert isinstance(frame, Frame)
                now = time.time()
                frame.seq, frame.ended_at = second, int(now * 1e9)
                yield FrameReceived(identity.id, frame, now)
                await asyncio.sleep(0.1 / len(self._identities))
            await asyncio.sleep(0.9)


class Plain(App[None]):
    """The rows in a DataTable."""

    ENABLE_COMMAND_PALETTE = False

    def __init__(self, feed: LiveFeed) -> None:
        super().__init__()
        self._feed = feed

    def compose(self) -> ComposeResult:
        """Show the table."""
        yield DataTable(cursor_type="row")

    def on_mount(self) -> None:
        """Follow the feed, and show it once a second."""
        table = self.query_one(DataTable)
        for column in COLUMNS:
            table.add_column(column, key=column)
        heard: Callable[[WorkerId | None], None] = lambda _: None  # noqa: E731
        self.run_worker(self._feed.run(heard))
        self.set_timer(0.3, self._show)
        self.set_interval(1.0, self._show)

    def _show(self) -> None:
        table = self.query_one(DataTable)
        for row in self._feed.summary(60.0).routes:
            latency = row.latency
            values = (row.route, row.rps, row.error_rate, latency.p50_ms, latency.p95_ms, latency.p99_ms)
            cells = [value if isinstance(value, str) else f"{value or 0:.1f}" for value in values]
            if row.route in table.rows:
                for column, cell in zip(COLUMNS, cells, strict=True):
                    table.update_cell(row.route, column, cell)
            else:
                table.add_row(*cells, key=row.route)


def main() -> int:
    """Run one of them until it is killed."""
    kind, workers, routes = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    # Whoever asks it for a dump gets none: nobody does here.
    feed = LiveFeed(cast("LocalSource", Generated(workers, routes)))
    if kind == "table":
        Plain(feed).run(mouse=False)
        return 0
    from perftui.app import show

    return show(feed)


if __name__ == "__main__":
    sys.exit(main())
