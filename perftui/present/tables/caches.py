"""The caches as a table."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from perftui.present.picture import Picture
from perftui.present.tables.grid import Column, Grid, RowKey, Sort, SortValue, chosen_columns, ordered
from perftui.present.tables.sql import worst_of
from perftui.present.text.cells import Cell, Style
from perftui.present.text.evidence import absence
from perftui.present.text.quantile import marked_cell
from perftui.present.text.signs import sign
from perftui.present.text.units import NO_DATA, percent, short_count
from perftui_agent.wire.outside import CacheFrame

CACHE_COLUMNS = (
    Column("cache", "", 0, "left"),
    Column("ratio", "hit ratio", 11),
    Column("hits", "hits", 8),
    Column("misses", "misses", 8),
    Column("evictions", "evict", 7),
    Column("expirations", "expire", 8, at_least=90),
    Column("stampedes", "stampedes", 11, at_least=100),
    Column("size", "size", 12),
    Column("latency", "p95", 8),
    Column("kind", "kind", 28, "left", at_least=120),
)
CACHE_SORTS = ("lookups", "ratio", "misses", "evictions", "stampedes", "cache")

PROBES = ("caches", "redis")


def hit_ratio(cache: CacheFrame) -> float | None:
    """Return the share of lookups that found something; None without a lookup."""
    lookups = cache.hits + cache.misses
    return cache.hits / lookups if lookups else None


def p95_cell(cache: CacheFrame, style: Style) -> Cell:
    """Return p95 of the commands to a cache in another process; no data for all others."""
    value = cache.latency.quantile(0.95) if cache.latency is not None else None
    commands = cache.latency.count if cache.latency is not None else 0
    return marked_cell(None if value is None else value / 1e6, commands, "p95", style)


def room(cache: CacheFrame) -> str:
    """Return how full it is: `128/128`, `13`, `–`."""
    if cache.size is None:
        return NO_DATA
    most = f"/{short_count(cache.maxsize)}" if cache.maxsize is not None else ""
    return f"{short_count(cache.size)}{most}"


_VALUES: dict[str, Callable[[CacheFrame], SortValue]] = {
    "lookups": lambda cache: float(cache.hits + cache.misses),
    "ratio": hit_ratio,
    "misses": lambda cache: float(cache.misses),
    "evictions": lambda cache: None if cache.evictions is None else float(cache.evictions),
    "stampedes": lambda cache: float(cache.stampedes),
    "cache": lambda cache: cache.name,
}


def caches_grid(picture: Picture, width: int, sort: Sort, before: Sequence[RowKey] = ()) -> Grid:
    """Return the caches that are wanted, those most asked first."""
    columns = chosen_columns(CACHE_COLUMNS, width)
    rows = {cache.name: cache for cache in picture.wanted.of(picture.summary.caches)}
    severity = worst_of(picture.findings, lambda finding: finding.cache)
    return Grid(
        title="CACHES",
        columns=columns,
        keys=ordered({key: _VALUES[sort.by](row) for key, row in rows.items()}, sort, before),
        cells=lambda key: tuple(_cell(column, rows[key]) for column in columns),
        sign=lambda key: sign(severity.get(key, "low")),
        sort=sort,
        out_of=picture.out_of(picture.summary.caches),
        empty=absence(picture.summary, "no cache seen; watch_cache(…) shows one", *PROBES),
    )


def _cell(column: Column, cache: CacheFrame) -> Cell:
    match column.key:
        case "cache":
            return Cell(cache.name, "name")
        case "ratio":
            return Cell(percent(hit_ratio(cache)), "bright")
        case "hits":
            return Cell(short_count(cache.hits))
        case "misses":
            return Cell(short_count(cache.misses))
        case "evictions":
            return Cell(short_count(cache.evictions), "text" if cache.evictions else "faint")
        case "expirations":
            return Cell(short_count(cache.expirations), "dim")
        case "stampedes":
            return Cell(short_count(cache.stampedes), "medium" if cache.stampedes else "faint")
        case "size":
            return Cell(room(cache), "text")
        case "latency":
            return p95_cell(cache, "dim")
        case _:
            return Cell(cache.kind, "dim")
