"""How what an index is on stands in the statement that makes it."""

from __future__ import annotations

import pytest

from perftui_agent.inspect.explain import sqlite_reads
from perftui_agent.inspect.explain.postgresql_reads import bare, named_here, named_table


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("reference", "reference"),
        ("created_on DESC", "created_on DESC"),
        ("name text_pattern_ops", "name text_pattern_ops"),
        ("Name", '"Name"'),
        ("user", '"user"'),
        ("the day DESC", '"the day" DESC'),
        ("größe", '"größe"'),
    ],
)
def test_in_postgresql(name: str, shown: str) -> None:
    """In quotes where it would be read as something else, whatever follows it."""
    assert named_here(name) == shown
    assert bare(shown) == bare(name)


def test_of_a_table() -> None:
    """Of its name nothing is anything but its name."""
    assert [named_table(name) for name in ("orders", "Orders", "the orders", "best DESC")] == [
        "orders",
        '"Orders"',
        '"the orders"',
        '"best DESC"',
    ]


def test_in_sqlite() -> None:
    """There case does not matter, and other words are taken."""
    assert [sqlite_reads.named_here(name) for name in ("Name", "index", "the day")] == [
        "Name",
        '"index"',
        '"the day"',
    ]
