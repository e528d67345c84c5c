"""What is on the screen as Markdown, for a ticket or a chat: figures as tables, any other view as text."""

from __future__ import annotations

import time
from collections.abc import Sequence

from perftui.model.happenings import Finding
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui.model.worker_summary import WorkerSummary
from perftui.present.picture import Picture
from perftui.present.text.cells import clean
from perftui.present.text.quantile import marked, quantile
from perftui.present.text.units import age, count, ms, percent, rate, size, window

MAX_ROWS = 20


def triage_markdown(picture: Picture, wanted: Sequence[str] | None = None) -> str:
    """Return the service in figures; `wanted` names the routes to tell of, in this order."""
    summary = picture.summary
    workers = picture.wanted.of(summary.workers)
    chosen = summary.routes if wanted is None else [r for name in wanted if (r := summary.route(name))]
    parts = [
        heading(summary),
        _totals(summary),
        _findings(picture.findings),
        f"Of the rows below those that meet {plain_markdown(picture.wanted.text)}." if picture.wanted else "",
        _table(
            "| route | rps | err | p50 | p95 | p99 | n |",
            map(_route, chosen[:MAX_ROWS]),
            len(chosen),
            "routes",
        ),
        _table(
            "| worker | state | cpu | memory | lag | rps | p95 |",
            map(_worker, workers[:MAX_ROWS]),
            len(workers),
            "workers",
        ),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def text_markdown(summary: Summary, lines: Sequence[str]) -> str:
    """Return a screen as it reads."""
    fence = "`" * max(3, 1 + max((len(run) for line in lines for run in _backticks(line)), default=0))
    return "\n".join([heading(summary), "", f"{fence}text", *lines, fence, ""])


def heading(summary: Summary) -> str:
    """Return whose figures these are, of which moment, and over how long."""
    at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(summary.at))
    names = " · ".join(plain_markdown(name) for name in (summary.service, summary.target) if name)
    stale = f", {summary.link} for {age(summary.stale_s)}" if summary.stale_s is not None else ""
    return f"### {names} — {at}, last {window(summary.window_s)}{stale}"


def _totals(summary: Summary) -> str:
    totals, latency = summary.totals, summary.totals.latency
    figures = (
        f"{rate(totals.rps)} requests/s, {percent(totals.error_rate)} errors, "
        f"p50 {ms(latency.p50_ms)}, p95 {quantile(latency, 'p95')}, p99 {quantile(latency, 'p99')} "
        f"(n {count(latency.count)})"
    )
    if totals.queued.p95_ms:
        figures += f", of it queued before the app p95 {ms(totals.queued.p95_ms)}"
    verdicts = [
        f"{plain_markdown(each.slo)} {'missed' if each.met is False else 'met' if each.met else 'no data'}"
        for each in summary.slo
        if each.scope == "all"
    ]
    return f"{figures}. Targets: {', '.join(verdicts)}." if verdicts else f"{figures}."


def _findings(findings: Sequence[Finding]) -> str:
    return "\n".join(
        f"- **{each.kind}** ({each.severity}) {plain_markdown(each.subject)}: {plain_markdown(each.sentence)}"
        for each in findings[:MAX_ROWS]
    )


def _route(row: RouteSummary) -> tuple[str, ...]:
    latency = row.latency
    return (
        row.route,
        rate(row.rps),
        percent(row.error_rate),
        ms(latency.p50_ms),
        quantile(latency, "p95"),
        quantile(latency, "p99"),
        count(row.requests),
    )


def _worker(row: WorkerSummary) -> tuple[str, ...]:
    cpu = percent(row.cpu_percent / 100 if row.cpu_percent is not None else None)
    return (
        str(row.pid),
        f"{row.state} at {row.blocked_at}" if row.blocked_at else row.state,
        cpu,
        size(row.rss_bytes),
        marked(row.loop_lag_p99_ms, row.loop_lags, "p99"),
        rate(row.rps),
        quantile(row.latency, "p95"),
    )


def _table(head: str, rows: map[tuple[str, ...]], number: int, what: str) -> str:
    lines = [head, "|---|" + "---:|" * (head.count("|") - 2)]
    lines += [f"| {' | '.join(plain_markdown(cell) for cell in row)} |" for row in rows]
    if number > MAX_ROWS:
        lines.append(f"\n… and {number - MAX_ROWS} more {what}")
    return "\n".join(lines) if len(lines) > 2 else ""


def plain_markdown(text: str) -> str:
    """Return text that no Markdown reader takes for markup: names come from outside."""
    return "".join(f"\\{char}" if char in "\\`*_|<>[]#~" else char for char in clean(text))


def _backticks(line: str) -> list[str]:
    return "".join(char if char == "`" else " " for char in line).split()
