"""What PostgreSQL says in an EXPLAIN (FORMAT JSON, VERBOSE), node by node."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from perftui_agent.inspect.explain.terms import Term, terms_of
from perftui_agent.inspect.explain.tokens import shaped, tokens_of

EXPLAIN = "EXPLAIN (FORMAT JSON, VERBOSE) "
"""Never ANALYZE: that would run the statement."""

Node: TypeAlias = Mapping[str, Any]

How: TypeAlias = Literal["scan", "walk", "search"]
"""All of a table; all of it in an index's order; some of it."""

_SCANS: Mapping[str, How] = {
    "Seq Scan": "scan",
    "Index Scan": "search",
    "Index Only Scan": "search",
    "Bitmap Heap Scan": "search",
}

_CONDITIONS = (
    "Index Cond",
    "Recheck Cond",
    "Hash Cond",
    "Merge Cond",
    "Join Filter",
    "Filter",
    "One-Time Filter",
)

_JOINS = ("Hash Cond", "Merge Cond", "Join Filter")

_PASSES_ON = frozenset(
    {"Gather", "Gather Merge", "Result", "LockRows", "Subquery Scan", "Append", "Merge Append"}
)
"""Nodes that give on the rows they get, as they come."""

MOST_DEPTH = 60
MOST_NODES = 1_000

_EXTREME = re.compile(r"(?:min|max)\((?P<column>[^()]+)\)\Z")


class Access(msgspec.Struct, frozen=True):
    """How one table is read."""

    how: How
    schema: str
    table: str
    alias: str
    index: str
    led_by: tuple[Term, ...]
    """The terms by which an index leads to rows."""
    filters: tuple[Term, ...]
    """The terms that rows are held against when they have been read."""
    joins: tuple[Term, ...]
    """Those of the joins above it."""
    inner: bool
    """Whether it is read anew for each row of something else."""
    beside: float
    """About how many rows it is joined to."""
    limit: float | None
    """How many rows are wanted of it, where nothing above it puts rows together."""
    read_share: float
    """How much of it is expected to be read before there are as many."""
    expected: float
    """How many rows are expected to be left of it."""
    order: tuple[str, ...]
    """What its rows are sorted by afterwards: `o.created_on DESC`."""
    extreme: str
    """The column whose least or greatest value is all that is wanted."""


def root_of(rows: Sequence[Sequence[Any]]) -> Node:
    """Return the plan that EXPLAIN gives as a row; ValueError if it is none."""
    told = rows[0][0] if rows and rows[0] else None
    plans = json.loads(told) if isinstance(told, str | bytes) else told
    if not isinstance(plans, list) or not plans or "Plan" not in plans[0]:
        raise ValueError("no plan")
    root: Node = plans[0]["Plan"]
    return root


def children(node: Node) -> Sequence[Node]:
    """Return the nodes below a node."""
    below: Sequence[Node] = node.get("Plans") or ()
    return below


def lines_of(root: Node) -> list[str]:
    """Return a plan as lines, each as far in as it is deep, without any value."""
    lines: list[str] = []
    for depth, node in _walk(root):
        lines.append("  " * depth + _title(node))
        for name in (*_CONDITIONS, "Sort Key", "Group Key"):
            if name in node and name != "Recheck Cond":
                said = node[name]
                text = ", ".join(map(str, said)) if isinstance(said, list) else str(said)
                lines.append("  " * depth + f"    {name}: {shaped(text)}")
    return lines


def signature_of(root: Node) -> str:
    """Return what makes it this plan: its steps, without estimates and values."""
    return " / ".join(
        " ".join(
            str(node.get(name, "")) for name in ("Node Type", "Relation Name", "Alias", "Index Name")
        ).strip()
        for _, node in _walk(root)
    )


def sorted_rows(root: Node) -> float:
    """Return how many rows are expected to be sorted where all of them are wanted."""
    sorting = [node for _, node in _walk(root) if node.get("Node Type") == "Sort"]
    limited = [
        child for _, node in _walk(root) if node.get("Node Type") == "Limit" for child in children(node)
    ]
    return max((float(node.get("Plan Rows", 0)) for node in sorting if node not in limited), default=0.0)


def accesses_of(root: Node) -> list[Access]:
    """Return how each table is read."""
    return list(_accesses(root, ()))


def _walk(node: Node, depth: int = 0) -> Iterator[tuple[int, Node]]:
    yield depth, node
    if depth < MOST_DEPTH:
        for child in children(node):
            yield from _walk(child, depth + 1)


def _title(node: Node) -> str:
    kind = str(node.get("Node Type", ""))
    if kind == "ModifyTable":
        kind = str(node.get("Operation", kind))
    if node.get("Join Type", "Inner") != "Inner" and "Join" in kind:
        kind = f"{node['Join Type']} {kind}"
    using = f" using {node['Index Name']}" if "Index Name" in node else ""
    table = node.get("Relation Name", "")
    alias = node.get("Alias", "")
    on = f" on {table}" + (f" {alias}" if alias and alias != table else "") if table else ""
    parallel = "Parallel " if node.get("Parallel Aware") else ""
    return f"{parallel}{kind}{using}{on} ({node.get('Plan Rows', 0):,.0f} rows expected)"


def _accesses(node: Node, above: tuple[Node, ...]) -> Iterator[Access]:
    if len(above) > MOST_DEPTH:
        return
    kind = str(node.get("Node Type"))
    if kind in _SCANS and "Relation Name" in node:
        yield _access(node, above)
    for child in children(node):
        yield from _accesses(child, (*above, node))


def _access(node: Node, above: tuple[Node, ...]) -> Access:
    how = _SCANS[str(node["Node Type"])]
    led_by = _terms(node.get("Index Cond"))
    index = str(node.get("Index Name", ""))
    for _, below in _walk(node):
        if below.get("Node Type") == "Bitmap Index Scan":
            led_by = (*led_by, *_terms(below.get("Index Cond")))
            index = index or str(below.get("Index Name", ""))
    if how == "search" and all(term.kind == "negated" for term in led_by):
        how = "walk"  # from the least value that is one
    alias = str(node.get("Alias", node["Relation Name"]))
    joins = tuple(term for each in above for name in _JOINS for term in _terms(each.get(name)))
    limit, read_share = _limit(node, above)
    return Access(
        how=how,
        schema=str(node.get("Schema", "")),
        table=str(node["Relation Name"]),
        alias=alias,
        index=index,
        led_by=led_by,
        filters=_terms(node.get("Filter")),
        joins=joins,
        inner=_is_inner(node, above),
        beside=_beside(node, above),
        limit=limit,
        read_share=read_share,
        expected=float(node.get("Plan Rows", 0)) * _processes(above),
        order=_order(above),
        extreme=_extreme(node, above),
    )


def _terms(text: object) -> tuple[Term, ...]:
    return tuple(terms_of(text)) if isinstance(text, str) else ()


def _is_inner(node: Node, above: tuple[Node, ...]) -> bool:
    """Tell whether a node is done again and again."""
    child = node
    for parent in reversed(above):
        relation = child.get("Parent Relationship")
        if relation == "SubPlan":
            return f"hashed {child.get('Subplan Name')}" not in " ".join(
                str(parent.get(c, "")) for c in _CONDITIONS
            )
        if relation == "InitPlan" or child.get("Node Type") in {"Materialize", "Hash", "Sort", "CTE Scan"}:
            return False
        if parent.get("Node Type") == "Nested Loop" and relation == "Inner":
            return any(each.get("Plan Rows", 0) > 1 for each in children(parent)[:1])
        child = parent
    return False


def _processes(above: tuple[Node, ...]) -> float:
    """Return by how much the rows of one process are to be multiplied, below a Gather."""
    workers = max((int(each.get("Workers Planned", 0)) for each in above), default=0)
    # As the planner reckons: the leader has less time to help, the more there are.
    return workers + max(0.0, 1.0 - 0.3 * workers) if workers else 1.0


def _beside(node: Node, above: tuple[Node, ...]) -> float:
    """Return how many rows are expected on the other side of the nearest join."""
    child = node
    for parent in reversed(above):
        if any(name in parent for name in _JOINS) or parent.get("Node Type") == "Nested Loop":
            others = [float(each.get("Plan Rows", 1)) for each in children(parent) if each is not child]
            return others[0] if others else 1.0
        child = parent
    return 1.0


def _limit(node: Node, above: tuple[Node, ...]) -> tuple[float | None, float]:
    """Return how many rows are wanted of a node, and how much of it is read for them."""
    child, sorted_between = node, False
    for parent in reversed(above):
        kind = str(parent.get("Node Type"))
        if kind == "Limit":
            whole = float(child.get("Total Cost", 0)) - float(child.get("Startup Cost", 0))
            some = float(parent.get("Total Cost", 0)) - float(parent.get("Startup Cost", 0))
            share = 1.0 if sorted_between or whole <= 0 else min(1.0, some / whole)
            return float(parent.get("Plan Rows", 0)), share
        if kind in {"Sort", "Incremental Sort"}:
            sorted_between = True
        elif kind not in _PASSES_ON:
            return None, 1.0
        child = parent
    return None, 1.0


def _order(above: tuple[Node, ...]) -> tuple[str, ...]:
    for parent in reversed(above):
        kind = str(parent.get("Node Type"))
        if kind == "Sort":
            return tuple(str(key) for key in parent.get("Sort Key", ()))
        if kind not in _PASSES_ON:
            return ()
    return ()


def _extreme(node: Node, above: Sequence[Node]) -> str:
    if (
        "Filter" in node
        or not above
        or not all(each.get("Node Type") in {"Aggregate", "Gather", "Finalize Aggregate"} for each in above)
    ):
        return ""
    top = above[0]
    output: Sequence[Any] = top.get("Output") or ()
    match = _EXTREME.match(str(output[0])) if len(output) == 1 else None
    if match is None or "Group Key" in top:
        return ""
    names = [token.name for token in tokens_of(match["column"]) if token.text != "."]
    return names[-1] if names and all(names) else ""
