"""Whatever agents tell of, somebody sees: no field of the wire goes unread."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

import msgspec
import pytest

import perftui
from perftui_agent.wire import dumps, frames, identity, incidents, outside, process, requests

MODULES = (frames, identity, requests, outside, process, incidents, dumps)

UNREAD: Mapping[str, str] = MappingProxyType(
    {
        "ProcessStats.cpu_user_s": "cpu_percent tells of both together, since the last frame",
        "ProcessStats.cpu_system_s": "as cpu_user_s",
        "GcStats.collections": "what they cost is in the pauses",
        "DumpRequest.nonblocking": "for other clients: stacks that may be torn are none to ask for",
        "RouteFrame.transaction_count": "what they took is told, as a part of SQL",
    }
)
"""Fields that no client looks at, and why that is no loss."""


def fields() -> list[str]:
    """Return the fields of all messages and of their parts: `Frame.seq`."""
    kinds = [
        kind
        for module in MODULES
        for _, kind in inspect.getmembers(module, inspect.isclass)
        if kind.__module__ == module.__name__
    ]
    return [
        f"{kind.__name__}.{name}"
        for kind in kinds
        if issubclass(kind, msgspec.Struct)
        for name in kind.__struct_fields__
    ]


@cache
def read() -> frozenset[str]:
    """Return the names of all attributes that perftui looks at anywhere, and of sums taken by name."""
    files = Path(perftui.__file__).parent.rglob("*.py")
    trees = [ast.parse(file.read_text(encoding="utf-8")) for file in files]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    keys = {
        node.slice.value
        for node in nodes
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant)
    }
    return frozenset(attributes | {key for key in keys if isinstance(key, str)})


@pytest.mark.parametrize("field", fields())
def test_every_field_of_the_wire_has_a_reader(field: str) -> None:
    """Or a reason why it has none, and then really none: a doubt that agents tell of is told to people."""
    assert (field.partition(".")[2] in read()) != (field in UNREAD)


def test_no_reason_outlives_its_field() -> None:
    """The list names nothing that is not on the wire."""
    assert set(UNREAD) <= set(fields())
