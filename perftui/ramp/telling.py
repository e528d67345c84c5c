"""A ramp as a table for people, and as the document that scripts read; CONTRACT names its keys."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.cells import cell_len

from perftui.present.details.ramp_words import doubt_of
from perftui.present.documents.table import Column, section, table
from perftui.present.text.cells import clean
from perftui.present.text.statements import wrapped
from perftui.present.text.units import ms, percent, rate
from perftui.ramp.limit import Limit
from perftui.ramp.limits import following
from perftui.ramp.resources import Kind
from perftui.ramp.run import Looked, Ramped
from perftui.ramp.steps import step_of

TOLD: tuple[Kind, ...] = (
    "loop", "gil", "cpu", "quota", "threadpool", "pool", "client-pool", "accept-queue", "memory",
)  # fmt: skip
"""The resources that have a column in the table of steps."""

LEAST_WIDTH = 72
"""No narrower is the table made."""


def ramp_document(ramped: Ramped) -> dict[str, Any]:
    """Return the document."""
    search, law = ramped.search, ramped.law
    bracket = search.bracket
    return {
        "knee_rps": _rounded(search.knee_rps),
        "bracket": [round(each, 3) for each in bracket] if bracket else None,
        "confirmed": search.is_confirmed,
        "shape": search.shape,
        "limit": _limit(ramped.limit),
        "next": None if (after := following(ramped.limits)) is None else _limit(after),
        "candidates": [_limit(each) for each in ramped.limits],
        "law": None
        if law is None
        else {
            "single_rps": round(law.single_rps, 3),
            "contention": round(law.contention, 6),
            "coherency": round(law.coherency, 9),
            "r2": round(law.r2, 4),
            "sentence": law.in_words(),
        },
        "targets": [str(each) for each in ramped.objectives],
        "generator_limit_rps": search.generator_at,
        "ended": ramped.ended or None,
        "steps": [_step(each) for each in ramped.looked],
    }


def _limit(limit: Limit) -> dict[str, Any]:
    return {
        "kind": limit.kind,
        "subject": limit.subject,
        "sentence": limit.sentence,
        "advice": limit.advice,
        "then_rps": _rounded(limit.then_rps),
        "grew_ms": round(limit.grew_ms, 3),
    }


def _step(looked: Looked) -> dict[str, Any]:
    seen = looked.step.seen
    return {
        "rate": round(seen.rate, 3),
        "sent": seen.sent,
        "done": seen.done,
        "errors": seen.errors,
        "p50_ms": _rounded(seen.p50_ms),
        "p95_ms": _rounded(seen.p95_ms),
        "p99_ms": _rounded(seen.p99_ms),
        "queue_p95_ms": _rounded(looked.queue_p95_ms),
        "kept_up": None if looked.step.is_spoiled else looked.step.is_good,
        "why": looked.step.why or None,
        "saturation": {kind: round(share, 4) for kind, share in looked.used.items()},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)


def ramp_text(ramped: Ramped, width: int) -> list[str]:
    """Return what people read: the knee, what gave, what to do, and the steps."""
    search = ramped.search
    lines = [*wrapped(knee_sentence(ramped), width), ""]
    if search.high is not None or search.generator_at is not None:
        lines += _of(ramped.limit, "", width)
        if ramped.limit.then_rps is not None:
            lines.append(f"  that should give some {rate(ramped.limit.then_rps)}/s, an estimate")
        if (after := following(ramped.limits)) is not None:
            lines += _of(after, "then  ", width)
        for other in [each for each in ramped.limits[1:3] if each != after]:
            lines += _of(other, "or  ", width)
    if doubt := doubt_of([step_of(each) for each in ramped.looked]):
        lines += [f"  {line}" for line in wrapped(f"△ {doubt}", width - 2)]
    if ramped.law is not None:
        lines += [f"  {line}" for line in wrapped(ramped.law.in_words(), width - 2)]
    return [*lines, *section("steps", _steps(ramped, width - 2))]


def knee_sentence(ramped: Ramped) -> str:
    """Return what was found, in a sentence."""
    search = ramped.search
    end = f" ({ramped.ended})" if ramped.ended else ""
    if search.bracket:
        low, high = search.bracket
        sure = "" if search.is_confirmed else ", not confirmed by a second look"
        shape = "a cliff" if search.shape == "cliff" else "gives little by little"
        return f"knee {rate(search.knee_rps)}/s ({rate(low)} … {rate(high)}), {shape}{sure}{end}"
    if search.high is not None:
        return f"even at {rate(search.high.seen.rate)}/s: {search.high.why}{end}"
    if search.generator_at is not None:
        kept = f"the service kept up with {rate(search.low.seen.rate)}/s, " if search.low else ""
        return f"{kept}the generator is the limit, at {rate(search.generator_at)} rps{end}"
    if search.low is not None:
        return f"no knee up to {rate(search.low.seen.rate)}/s{end}"
    return f"nothing was found{end}"


def _of(limit: Limit, prefix: str, width: int) -> list[str]:
    said = f"{prefix}{limit.kind}  {clean(limit.sentence)}"
    lines = [f"  {line}" for line in wrapped(said, width - 2)]
    return [*lines, *(f"    {line}" for line in wrapped(clean(limit.advice), width - 4) if limit.advice)]


def _steps(ramped: Ramped, width: int) -> list[str]:
    """Return the table of steps; where it is too wide, without the resources that were never full."""
    found = {kind for each in ramped.looked for kind in each.used}
    kinds = [kind for kind in TOLD if kind in found]
    highest = {kind: max(each.used.get(kind, 0.0) for each in ramped.looked) for kind in kinds}
    while kinds and max(map(cell_len, table(*_cells(ramped, kinds)))) > max(width, LEAST_WIDTH):
        kinds.remove(min(kinds, key=lambda kind: highest[kind]))
    return table(*_cells(ramped, kinds), width)


def _cells(ramped: Ramped, kinds: Sequence[Kind]) -> tuple[list[Column], list[list[str]]]:
    named = ("rate", "done", "err", "p50", "p95", "p99", "queued", *kinds)
    columns = [*(Column(name, right=True) for name in named), Column("", shrinks=True)]
    rows = []
    for each in ramped.looked:
        seen = each.step.seen
        failed = percent(seen.errors / seen.sent) if seen.sent else "–"
        rows.append(
            [
                rate(seen.rate), str(seen.done), failed, ms(seen.p50_ms), ms(seen.p95_ms), ms(seen.p99_ms),
                ms(each.queue_p95_ms),
                *(percent(each.used[kind]) if kind in each.used else "–" for kind in kinds),
                f"{step_of(each).sign} {each.step.why}".rstrip(),
            ]
        )  # fmt: skip
    return columns, rows
