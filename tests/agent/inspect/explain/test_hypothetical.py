"""Whether the planner takes what is advised, by an extension that the servers of these tests don't have."""

from __future__ import annotations

import json
from typing import Any

import pytest

from perftui_agent.inspect.database.read_only import Ask, AskError, Row
from perftui_agent.inspect.explain.facts import Explained
from perftui_agent.inspect.explain.postgresql import explain_postgresql
from tests.agent.inspect.explain.conftest import asking

SQL = "SELECT * FROM orders WHERE reference = 'ref-9'"

NAME = "<13545>btree_orders_reference"
"""As HypoPG 1.3 calls it; a plan by it has it as the name of its index."""


class WithHypoPG(Ask):
    """A server with the extension, which answers as a real one was seen to, in the place of one without."""

    kind = "postgresql"

    def __init__(self, ask: Ask, *, takes: bool, fails: bool = False) -> None:
        self._real = ask
        self._takes = takes
        self._fails = fails
        self.hypothetical: list[str] = []
        self.rested_with: list[int] = []

    def rest(self) -> None:
        self.rested_with.append(len(self.hypothetical))
        self._real.rest()

    def __call__(self, text: str, parameters: Any = None) -> list[Row]:
        if "extname = 'hypopg'" in text:
            return [('"ext"',)]
        if "hypopg_create_index" in text:
            if self._fails:
                raise AskError("permission denied for schema ext", "42501")
            self.hypothetical.append(text)
            return [(13545, NAME)]
        if "hypopg_reset" in text:
            self.hypothetical.clear()
            return [("",)]
        if text.startswith("EXPLAIN") and self.hypothetical and self._takes:
            node = {
                "Node Type": "Index Scan",
                "Index Name": NAME,
                "Relation Name": "orders",
                "Alias": "orders",
            }
            return [(json.dumps([{"Plan": node}]),)]
        return self._real(text, parameters)


def told(host: str, database: str, **how: bool) -> tuple[Explained, WithHypoPG]:
    with asking(host, database) as ask:
        server = WithHypoPG(ask, **how)
        return explain_postgresql(server, SQL, None), server


def test_what_the_planner_takes(postgres_host: str) -> None:
    """It is advised, and said by what it is known; nothing hypothetical is left."""
    explained, server = told(postgres_host, "analysed", takes=True)
    assert [(each.columns, each.checked) for each in explained.wanted] == [
        (("reference",), "HypoPG: the planner takes it")
    ]
    assert server.hypothetical == []
    assert set(server.rested_with) == {0}, "behind a pooler another session has none of it"


def test_what_the_planner_would_not_take(postgres_host: str) -> None:
    """It is not advised, and that is said."""
    explained, _ = told(postgres_host, "analysed", takes=False)
    assert explained.wanted == []
    (verdict,) = explained.verdicts
    assert verdict.kind == "fine"
    assert verdict.sentence.endswith("HypoPG: the planner would not take it")


def test_a_planner_that_guesses(postgres_host: str) -> None:
    """Of a table that was never analysed its no is a guess as well: the sample is believed."""
    explained, _ = told(postgres_host, "postgres", takes=False)
    assert [(each.columns, each.checked) for each in explained.wanted] == [(("reference",), "")]
    scan = next(each for each in explained.verdicts if each.kind == "scan")
    assert scan.sentence.endswith("HypoPG: the planner would not take it before an ANALYZE")


@pytest.mark.parametrize("database", ["postgres", "analysed"])
def test_an_extension_that_may_not_be_used(database: str, postgres_host: str) -> None:
    """Then it is as if it was not there."""
    explained, _ = told(postgres_host, database, takes=True, fails=True)
    assert [(each.columns, each.checked) for each in explained.wanted] == [(("reference",), "")]
