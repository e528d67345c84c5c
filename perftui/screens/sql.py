"""SQL and pools: what is asked of the databases, and who waits for a connection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from perftui.keytable.key import Place
from perftui.model.figures import Row
from perftui.present.tables.grid import Grid, RowKey, Sort
from perftui.present.tables.sql import POOL_SORTS, STATEMENT_SORTS, pools_grid, statements_grid
from perftui.present.text.evidence import Subject
from perftui.screens.database import DatabaseScreen
from perftui.screens.explain import explain_statement
from perftui.screens.tables import TablesView, table_height
from perftui.widgets.bindings import bindings
from perftui.widgets.lines import Lines
from perftui.widgets.table import Table


class SqlView(TablesView, inherit_bindings=True):
    """View 4."""

    BINDINGS = bindings("sql")
    PLACES: tuple[Place, ...] = ("sql", "view", "table", "everywhere")
    TITLE_HERE = "SQL"

    def panes(self) -> Sequence[Lines]:
        """Return the statements, and the pools below them."""
        return (
            Table(self._statements, STATEMENT_SORTS, "statements"),
            Table(self._pools, POOL_SORTS, "pools"),
        )

    def heights(self, room: int) -> Sequence[int]:
        """Give the pools the lines they need, up to a third."""
        return (room - table_height(len(self.picture.summary.pools), room // 3),)

    def _statements(self, width: int, sort: Sort, before: Sequence[RowKey]) -> Grid:
        return statements_grid(self.picture, width, sort, before)

    def _pools(self, width: int, sort: Sort, before: Sequence[RowKey]) -> Grid:
        return pools_grid(self.picture, width, sort, before)

    def filtered_rows(self) -> Iterable[Sequence[Row]]:
        """Return the statements and the pools."""
        return (self.picture.summary.asked, self.picture.summary.pools)

    def action_database(self) -> None:
        """Ask the databases for their own view."""
        if why := self.host.refused():
            self.host.remark(why)
            return
        self.app.push_screen(DatabaseScreen(self.host))

    def leads_to(self, table: str, key: str) -> Subject | None:
        """Return the statement or the pool."""
        return Subject("pool" if table == "pools" else "statement", key)

    def action_explain(self) -> None:
        """Ask the database for the plan of the statement under the cursor."""
        statements = self._panes[0]
        explain_statement(self, statements.pointed if isinstance(statements, Table) else None)
