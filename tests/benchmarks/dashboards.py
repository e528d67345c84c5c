"""What `terminal` holds the dashboard against: `python -m tests.benchmarks.dashboards table|empty`.

`table` shows the same rows of the same service in the plainest way, a DataTable whose cells are updated
once a second. `empty` is a Textual app that shows one word: what comes before any work of one's own.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable

from textual.app import App, ComposeResult
from textual.widgets import DataTable, Static

from perftui.feed import LiveFeed
from perftui.sources.live import LiveSource
from perftui.sources.target import parse_live
from perftui_agent.wire.parts import WorkerId

COLUMNS = ("route", "rps", "err", "p50", "p95", "p99")


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


class Empty(App[None]):
    """One word, and how many keys were pressed."""

    ENABLE_COMMAND_PALETTE = False

    def __init__(self) -> None:
        super().__init__()
        self._pressed = 0

    def compose(self) -> ComposeResult:
        """Show it."""
        yield Static("ready")

    def on_key(self) -> None:
        """Count."""
        self._pressed += 1
        self.query_one(Static).update(f"ready {self._pressed}")


async def _table() -> None:
    async with LiveSource(parse_live(["8000"])) as source:
        await Plain(LiveFeed(source)).run_async(mouse=False)


def main() -> None:
    """Run one of them until it is killed."""
    if sys.argv[1] == "table":
        asyncio.run(_table())
    else:
        Empty().run(mouse=False)


if __name__ == "__main__":
    main()
