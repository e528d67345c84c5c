"""The functions that a route's requests call: as text, as a document for scripts, and for `pstats`."""

from __future__ import annotations

import marshal
from typing import Any, TypeAlias

from perftui.model.text import clean_text
from perftui.present.text.cells import fit_middle
from perftui.present.text.units import count, ms
from perftui_agent.wire.actions import CalledFunction, Functions

MOST_LINES = 30

Key: TypeAlias = tuple[str, int, str]
Row: TypeAlias = tuple[int, int, float, float]


def functions_document(functions: Functions) -> dict[str, Any]:
    """Return the document; CONTRACT names its keys."""
    return {
        "route": functions.route,
        "requests": functions.requests,
        "pid": functions.pid,
        "asked": functions.asked,
        "elapsed_ms": round(functions.elapsed_ns / 1e6, 3),
        "loop_ms": round(functions.loop_ns / 1e6, 3),
        "threads_ms": round(functions.threads_ns / 1e6, 3),
        "functions": [
            {
                "where": each.where,
                "calls": each.calls,
                "own_ms": round(each.own_ns / 1e6, 3),
                "total_ms": round(each.total_ns / 1e6, 3),
            }
            for each in functions.functions
        ],
        "functions_cut": functions.functions_cut,
        "note": functions.note or None,
    }


def functions_text(functions: Functions, width: int) -> list[str]:
    """Return the lines: what was measured, then the functions with most time of their own."""
    lines = [clean_text(f"{functions.route} · worker {functions.pid} · {summary_of(functions)}")]
    if functions.note:
        lines.append(clean_text(functions.note))
    lines += ["", f"{'OWN':>9} {'':>4} {'TOTAL':>9} {'CALLS':>8}  FUNCTION"]
    whole = max(functions.loop_ns + functions.threads_ns, 1)
    for each in functions.functions[:MOST_LINES]:
        share = f"{each.own_ns / whole:.0%}"
        head = f"{ms(each.own_ns / 1e6):>9} {share:>4} {ms(each.total_ns / 1e6):>9} {count(each.calls):>8}"
        lines.append(f"{head}  {fit_middle(clean_text(each.where), max(width - 35, 20))}".rstrip())
    more = len(functions.functions) - MOST_LINES + functions.functions_cut
    if more > 0:
        lines.append(f"{'':35}{more} more: --json has them, -o x.pstats those and who calls whom")
    return lines


def summary_of(functions: Functions) -> str:
    """Return what the requests took in all, and where: `20 requests, 60ms each: 21ms on the loop, …`."""
    number = functions.requests
    if not number:
        return "no request"
    waited_ns = max(functions.elapsed_ns - functions.loop_ns - functions.threads_ns, 0)
    parts = [
        f"{ms(ns / number / 1e6)} {where}"
        for ns, where in (
            (functions.loop_ns, "on the loop"),
            (functions.threads_ns, "in threads"),
            (waited_ns, "waiting"),
        )
        if ns
    ]
    word = "request" if number == 1 else "requests"
    return f"{number} {word}, {ms(functions.elapsed_ns / number / 1e6)} each: {', '.join(parts)}"


def functions_pstats(functions: Functions) -> bytes:
    """Return the file that `python -m pstats`, snakeviz and tuna open; times are seconds."""
    keys = [_key(each) for each in functions.functions]
    callers: list[dict[Key, Row]] = [{} for _ in keys]
    for call in functions.calls:
        row = call.calls, call.primitive, call.own_ns / 1e9, call.total_ns / 1e9
        callers[call.callee][keys[call.caller]] = row
    stats = {
        key: (each.primitive, each.calls, each.own_ns / 1e9, each.total_ns / 1e9, called_by)
        for key, each, called_by in zip(keys, functions.functions, callers, strict=True)
    }
    return marshal.dumps(stats)


def _key(each: CalledFunction) -> Key:
    return each.file, each.line, each.function
