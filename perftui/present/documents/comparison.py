"""What `perftui compare` says: the document for scripts, the text for people, Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from perftui.findings.differences import Differences
from perftui.findings.figures import plural
from perftui.model.changes import Change
from perftui.model.comparison import ALL, FIGURES, Comparison, RouteChange
from perftui.model.happenings import Finding
from perftui.model.summary import Summary
from perftui.present.documents.table import Column, table
from perftui.present.text.cells import clean
from perftui.present.text.units import ms, percent, rate, size

LEGEND = "~ noise: it may be chance    few: too few requests to tell    = no change that matters"

MOST_ROUTES = 60
"""Of a text; what is worse or better comes first."""

_KEYS = {
    "p50": "p50_ms",
    "p95": "p95_ms",
    "p99": "p99_ms",
    "queue_p95": "queue_p95_ms",
    "bytes_p95": "bytes_p95",
    "rps": "rps",
    "error_rate": "error_rate",
    "sql_per_request": "sql_per_request",
    "http_per_request": "http_per_request",
}

Write = Callable[[float | None], str]


def _counted(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}".removesuffix(".0")


_SHOWN: tuple[tuple[str, str, Write], ...] = (
    ("p50", "p50", ms),
    ("p95", "p95", ms),
    ("p99", "p99", ms),
    ("queue_p95", "queued", ms),
    ("rps", "rps", rate),
    ("error_rate", "errors", percent),
    ("sql_per_request", "sql", _counted),
    ("http_per_request", "http", _counted),
    ("bytes_p95", "bytes", size),
)
"""Each figure, its heading, and how its values are written."""


def comparison_document(
    comparison: Comparison, before: Summary, after: Summary, findings: Differences
) -> dict[str, Any]:
    """Return the document of CONTRACT.md; of each figure the value before and after."""
    return {
        "schema": 1,
        "a": _side(before),
        "b": _side(after),
        "worse": sum(each.is_worse for each in comparison.routes),
        "better": sum(each.is_better for each in comparison.routes),
        "findings": {
            "came": [_finding(each) for each in findings.came],
            "went": [_finding(each) for each in findings.went],
        },
        "all": _row(comparison.all_routes),
        "routes": [_row(each) for each in comparison.routes],
    }


def _side(summary: Summary) -> dict[str, Any]:
    versions = sorted({row.identity.version for row in summary.workers if row.identity.version})
    return {
        "target": summary.target,
        "service": summary.service,
        "versions": versions,
        "requests": summary.totals.requests,
        "window_s": round(summary.window_s, 3),
    }


def _finding(finding: Finding) -> dict[str, str]:
    return {
        "kind": finding.kind,
        "severity": finding.severity,
        "subject": finding.subject,
        "sentence": finding.sentence,
    }


def _row(row: RouteChange) -> dict[str, Any]:
    figures = {key: getattr(row, name) for name, key in _KEYS.items()}
    return {
        "route": row.route,
        "was": row.was or None,
        "verdict": row.verdict,
        "requests": list(row.requests),
        **{key: [_rounded(each.before), _rounded(each.after)] for key, each in figures.items()},
        "changed": {key: each.verdict for key, each in figures.items() if each.is_real},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def comparison_text(
    comparison: Comparison, before: Summary, after: Summary, findings: Differences
) -> list[str]:
    """Return a table of the changes, what is worse and better in figures, and findings that came and went."""
    shown = comparison.routes[:MOST_ROUTES]
    columns = [Column("verdict"), Column("route", shrinks=True), Column("n", right=True)]
    columns += [Column(f"Δ{heading}", right=True) for _, heading, _ in _SHOWN]
    lines = [_head(before, after), ""]
    lines += table(columns, [_cells(each) for each in (*shown, comparison.all_routes)], 120)
    if len(comparison.routes) > MOST_ROUTES:
        lines.append(f"… and {len(comparison.routes) - MOST_ROUTES:,} routes more")
    told = [each for each in shown if each.is_worse or each.is_better]
    lines += [clean(f"renamed {each.was}: now {each.route}") for each in comparison.routes if each.was]
    if told:
        lines += ["", *(clean(f"{each.verdict:<7}{each.route}: {_in_figures(each)}") for each in told)]
    for sign, word, several in (("+", "came", findings.came), ("-", "went", findings.went)):
        lines += [
            clean(f"{sign} finding {word}: {each.kind} {each.subject}: {each.sentence}") for each in several
        ]
    return [*lines, "", _verdict(comparison), LEGEND]


def comparison_markdown(
    comparison: Comparison, before: Summary, after: Summary, findings: Differences
) -> list[str]:
    """Return the same as Markdown: what has changed in a table, what has not in a sentence."""
    told = [each for each in comparison.routes if each.verdict not in {"same", "noise", "too-few"}]
    lines = [f"### {_code(before.target)} → {_code(after.target)}", "", f"**{_verdict(comparison)}**", ""]
    if told:
        headings = ["", "route", *(heading for _, heading, _ in _SHOWN)]
        lines += ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
        lines += [f"| {each.verdict} | {_code(each.route)} | {' | '.join(_marked(each))} |" for each in told]
        lines.append("")
    for word, several in (("New", findings.came), ("Gone", findings.went)):
        lines += [
            f"- {word} finding `{each.kind}`: {_code(each.subject)}: {_plain(each.sentence)}"
            for each in several
        ]
    requests = f"{before.totals.requests:,} and {after.totals.requests:,} requests"
    return [
        *lines,
        "",
        f"_{requests}; `~` is noise, `few` are too few to tell, `=` is no change that matters._",
    ]


def _head(before: Summary, after: Summary) -> str:
    sides = [
        f"{each.target} ({plural(each.totals.requests, 'request')} in {each.window_s:.0f} s)"
        for each in (before, after)
    ]
    return clean(" → ".join(sides))


def _verdict(comparison: Comparison) -> str:
    number: dict[str, int] = {}
    for row in comparison.routes:
        number[row.verdict] = number.get(row.verdict, 0) + 1
    order = ("worse", "better", "new", "gone", "same", "noise", "too-few")
    counted = [f"{number[each]} {each.replace('-', ' ')}" for each in order if each in number]
    return (
        f"{', '.join(counted)} of {plural(len(comparison.routes), 'route')}"
        if counted
        else "no route had a request"
    )


def _cells(row: RouteChange) -> list[str]:
    name = "all routes" if row.route == ALL else row.route
    n = f"{row.requests[0]:,}→{row.requests[1]:,}"
    return [row.verdict, name, n, *(_cell(getattr(row, figure)) for figure, _, _ in _SHOWN)]


def _cell(change: Change) -> str:
    if change.before is None and change.after is None:
        return "–"
    if change.before is None or change.after is None:
        return ""
    if change.is_real:
        return _by_how_much(change)
    if change.verdict == "unknown":
        return "few"
    return "~" if change.matters else "="


def _by_how_much(change: Change) -> str:
    ratio = change.ratio
    if ratio is None:
        return "+" if (change.delta or 0.0) > 0 else "-"
    return f"{ratio:+.0%}" if ratio < 10 else f"×{min(ratio + 1, 9999):.0f}"


def _in_figures(row: RouteChange) -> str:
    return ", ".join(
        f"{heading} {write(each.before)} → {write(each.after)}"
        for figure, heading, write in _SHOWN
        if (each := getattr(row, figure)).is_real
    )


def _marked(row: RouteChange) -> Sequence[str]:
    cells = []
    for figure, _, write in _SHOWN:
        change: Change = getattr(row, figure)
        if change.is_real:
            cells.append(f"**{write(change.before)} → {write(change.after)}**")
        elif figure in FIGURES and change.before is not None and change.after is not None:
            cells.append(_cell(change))
        else:
            cells.append(write(change.after if change.after is not None else change.before))
    return cells


def _code(text: str) -> str:
    """Return a text from outside as code: nothing in it is Markdown."""
    return "`" + clean(text).replace("`", "'").replace("|", "\\|") + "`"


def _plain(text: str) -> str:
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>|#!@" else char for char in clean(text))
