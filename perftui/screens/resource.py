"""What requests lean on, one screen each: a statement, a connection pool, a cache, an upstream, a place."""

from __future__ import annotations

from perftui.keytable.key import Place
from perftui.present.details.background import background_rows
from perftui.present.details.block import block_rows
from perftui.present.details.cache import cache_rows
from perftui.present.details.channel import channel_rows
from perftui.present.details.pool import pool_rows
from perftui.present.details.statement import statement_rows
from perftui.present.details.upstream import upstream_rows
from perftui.present.text.cells import clean
from perftui.present.text.evidence import Row, short_place
from perftui.present.text.statements import brief
from perftui.screens.evidence import EvidenceView
from perftui.screens.explain import explain_statement
from perftui.screens.view import Host
from perftui.widgets.bindings import bindings


class StatementView(EvidenceView, inherit_bindings=True):
    """One statement shape: the whole text, who runs it, from where."""

    BINDINGS = bindings("statement")
    PLACES: tuple[Place, ...] = ("statement", "evidence", "rows", "everywhere")

    def __init__(self, host: Host, fingerprint: str, trail: tuple[str, ...] = ()) -> None:
        super().__init__(host, trail)
        self._fingerprint = fingerprint

    def name_here(self) -> str:
        """Return the statement, shortened."""
        queries = self.picture.summary.asked
        return next(
            (brief(each.statement) for each in queries if each.fingerprint == self._fingerprint), "SQL"
        )

    def rows(self, width: int, height: int) -> list[Row]:
        """Return all that is known of the statement."""
        return statement_rows(self.picture, self._fingerprint, width, height)

    def action_explain(self) -> None:
        """Ask the database for its plan."""
        explain_statement(self, self._fingerprint)


class PoolView(EvidenceView, inherit_bindings=True):
    """One connection pool, and who waits for it."""

    def __init__(self, host: Host, name: str, trail: tuple[str, ...] = ()) -> None:
        super().__init__(host, trail)
        self._called = name

    def name_here(self) -> str:
        """Return the pool."""
        return f"pool {self._called}"

    def rows(self, width: int, height: int) -> list[Row]:
        """Return all that is known of the pool."""
        return pool_rows(self.picture, self._called, width, height)


class CacheView(EvidenceView, inherit_bindings=True):
    """One cache."""

    def __init__(self, host: Host, name: str, trail: tuple[str, ...] = ()) -> None:
        super().__init__(host, trail)
        self._called = name

    def name_here(self) -> str:
        """Return the cache."""
        return f"cache {self._called}"

    def rows(self, width: int, height: int) -> list[Row]:
        """Return all that is known of the cache."""
        return cache_rows(self.picture, self._called, width, height)


class UpstreamView(EvidenceView, inherit_bindings=True):
    """One upstream, and who calls it."""

    def __init__(self, host: Host, key: str, trail: tuple[str, ...] = ()) -> None:
        super().__init__(host, trail)
        self._key = key

    def name_here(self) -> str:
        """Return the method and the host."""
        return clean(self._key.rpartition(" ")[0] or self._key)

    def rows(self, width: int, height: int) -> list[Row]:
        """Return all that is known of the upstream."""
        return upstream_rows(self.picture, self._key, width, height)


class BackgroundView(EvidenceView, inherit_bindings=True):
    """What one function does after the response."""

    def __init__(self, host: Host, key: str, trail: tuple[str, ...] = ()) -> None:
        super().__init__(host, trail)
        self._key = key

    def name_here(self) -> str:
        """Return the function."""
        found = (row.name for row in self.picture.summary.background if row.key == self._key)
        return clean(short_place(next(found, "after the response")))

    def rows(self, width: int, height: int) -> list[Row]:
        """Return all that is known of it."""
        return background_rows(self.picture, self._key, width, height)


class ChannelView(EvidenceView, inherit_bindings=True):
    """The connections of one route."""

    def __init__(self, host: Host, key: str, trail: tuple[str, ...] = ()) -> None:
        super().__init__(host, trail)
        self._key = key

    def name_here(self) -> str:
        """Return the route."""
        return clean(self._key.partition(" ")[2])

    def rows(self, width: int, height: int) -> list[Row]:
        """Return all that is known of what goes over them."""
        return channel_rows(self.picture, self._key, width, height)


class PlaceView(EvidenceView, inherit_bindings=True):
    """A function that held the loop."""

    def __init__(self, host: Host, function: str, trail: tuple[str, ...] = ()) -> None:
        super().__init__(host, trail)
        self._function = function

    def name_here(self) -> str:
        """Return the function."""
        return short_place(self._function)

    def rows(self, width: int, height: int) -> list[Row]:
        """Return when it held which loop, and how it was called."""
        return block_rows(self.picture, self._function, width, height)
