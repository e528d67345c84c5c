"""Verdicts: met, missed, or undecided where what was seen can't tell.

An objective is *missed* only where the true value is beyond its bound with a certainty of 99.5 % (for all
objectives of one check together: each of several has a stricter share of that), *met* where it is within
with 95 %, and undecided between the two. Counts have no noise and are what they are, as is a rate that was
delivered. Errors are counted as well: they are within where one more of them would still keep the bound.

`for 30s`: every stretch of 30 s within the time that is watched, second by second, is judged by the figure
over all its requests. One that misses it is a miss; a single bad second is none as long as the 30 s around
it keep the bound. Stretches without a request hurt nobody and are left out, unless it is a rate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal, TypeAlias

from perftui.check.grammar import Objective
from perftui.check.measure import Believed, Measured, measure
from perftui.findings.figures import ms as told_ms
from perftui.findings.figures import percent, size
from perftui.findings.rule import MIN_REQUESTS
from perftui.model.happenings import Finding
from perftui.model.intervals import Interval, deviate
from perftui.model.summary import Summary
from perftui.record import Record

Verdict: TypeAlias = Literal["met", "missed", "undecided"]

MISSED_BY_CHANCE = 0.005
"""How likely a check at most says of any objective that it is missed where it is just kept."""

MET_BY_CHANCE = 0.05
"""How likely it says of one that it is met where it is just missed."""

ENDLESS = 1_000_000
"""Where more requests would be needed, the value is as good as on its bound."""

Stretches: TypeAlias = Mapping[float, Sequence[Summary]]
"""By their length in seconds: pictures of every stretch that long, in order of time."""


class Judged(Record, frozen=True):
    """One objective and what became of it."""

    objective: Objective
    verdict: Verdict
    value: float | None = None
    """Of several stretches, that of the worst."""
    n: int = 0
    interval: Interval = (None, None)
    """Where the true value lies, by what the verdict went by: 99.5 % on the side of a miss, else 95 %."""
    note: str = ""
    """What should be said beside the figures: why it can't be told, and how many requests would do."""
    needs: int | None = None
    """Requests that would tell, if the value stays what it is."""
    holds: tuple[Finding, ...] = ()
    cause: str = ""
    next: str = ""


def judge_all(
    objectives: Sequence[Objective],
    summary: Summary,
    findings: Sequence[Finding],
    stretches: Stretches,
) -> tuple[Judged, ...]:
    """Return a verdict for each objective."""
    tests = sum(_tests(each, summary) for each in objectives if not _is_exact(each))
    z = deviate(MISSED_BY_CHANCE / max(1.0, tests))
    return tuple(
        _lasting(each, summary, objectives, stretches.get(each.for_s, ()), z)
        if each.for_s is not None
        else _judged(each, measure(each, summary, objectives, findings), summary, z)
        for each in objectives
    )


def overall(judged: Sequence[Judged]) -> Verdict:
    """Return the verdict on all: missed if any is, else undecided if any is."""
    verdicts = {each.verdict for each in judged}
    return "missed" if "missed" in verdicts else "undecided" if "undecided" in verdicts else "met"


def _is_exact(objective: Objective) -> bool:
    return objective.quantity in {"count", "bytes"} or objective.quantile == 1.0


def _tests(objective: Objective, summary: Summary) -> float:
    """Return how many chances of a false miss there are: of stretches, one for each beside and between."""
    if objective.for_s is None:
        return 1.0
    return max(1.0, 2.0 * summary.window_s / objective.for_s - 1.0)


def _lasting(
    objective: Objective, summary: Summary, others: Sequence[Objective], pictures: Sequence[Summary], z: float
) -> Judged:
    lasting = objective.for_s or 0.0
    # A stretch is what is promised, and not a sample of others: how it went within does not excuse it.
    measured = [(each, replace(measure(objective, each, others, ()), effect=1.0)) for each in pictures]
    judged = [_judged(objective, found, each, z) for each, found in measured]
    if objective.quantity != "rate":
        judged = [each for each in judged if each.n]
    if not judged:
        whole = _judged(objective, measure(objective, summary, others, ()), summary, z)
        short = f"{summary.window_s:.0f} s were watched: no stretch of {lasting:g} s to judge"
        return Judged(objective, "undecided", whole.value, whole.n, whole.interval, whole.note or short)
    rank = {"missed": 0, "undecided": 1, "met": 2}
    return min(judged, key=lambda each: (rank[each.verdict], _slack(each)))


def _slack(judged: Judged) -> float:
    """Return how far within its bound a value is; the worst has the least."""
    value, bound = judged.value or 0.0, judged.objective.bound
    return bound - value if judged.objective.is_upper else value - bound


def _judged(objective: Objective, measured: Measured, summary: Summary, z: float) -> Judged:
    value, n = measured.value, measured.n
    if value is None:
        return Judged(objective, "undecided", note=_nothing(objective, summary))
    if measured.bounds is None:
        verdict: Verdict = "met" if objective.kept_by(value) else "missed"
        return Judged(objective, verdict, value, n, (value, value), holds=measured.holds)
    interval = _interval(objective, measured, measured.bounds, z)
    verdict = _verdict(objective, value, n, interval)
    if verdict != "undecided":
        return Judged(objective, verdict, value, n, interval)
    needs = _needs(objective, measured, z)
    return Judged(objective, verdict, value, n, interval, _too_few(objective, n, interval, needs), needs)


def _interval(
    objective: Objective, measured: Measured, believed: Believed, z: float, times: float = 1.0
) -> Interval:
    """Return where the true value lies, of `times` as many requests like these."""
    # Of those that depend on each other several are one draw, and a miss is said of them the later. That it
    # is met is said of this time alone, whatever the next may be.
    strict, easy = believed(z, measured.effect / times), believed(deviate(MET_BY_CHANCE), 1 / times)
    if objective.quantity == "share" and measured.value is not None:
        easy = (easy[0], min(1.0, measured.value + 1 / (measured.n * times)))
    return (strict[0], easy[1]) if objective.is_upper else (easy[0], strict[1])


def _verdict(objective: Objective, value: float, n: int, interval: Interval) -> Verdict:
    low, high = interval
    best, worst = (low, high) if objective.is_upper else (high, low)
    if objective.quantity == "rate":
        # So many a second were served: nothing that could have been otherwise makes it less.
        worst = value
    if worst is not None and objective.kept_by(worst):
        return "met"
    missed = best is not None and not objective.kept_by(best)
    return "missed" if missed and (n >= MIN_REQUESTS or objective.quantity == "rate") else "undecided"


def _needs(objective: Objective, measured: Measured, z: float) -> int | None:
    """Return how many requests would tell, if they were like these; None: none that one could wait for."""
    value, n, believed = measured.value, measured.n, measured.bounds
    if value is None or believed is None:
        return None

    def tells(number: int) -> bool:
        interval = _interval(objective, measured, believed, z, number / n)
        return _verdict(objective, value, number, interval) != "undecided"

    few, many = n, 2 * n
    while not tells(many):
        few, many = many, 2 * many
        if many > ENDLESS:
            return None
    while many - few > max(1, few // 1000):
        middle = (few + many) // 2
        few, many = (few, middle) if tells(middle) else (middle, many)
    return many


def _nothing(objective: Objective, summary: Summary) -> str:
    if not summary.totals.requests:
        return "no request came"
    if summary.route(objective.scope) is None and objective.scope != "all":
        return f"no request of {objective.scope} came"
    what = {
        "sql_per_request": "no worker counts statements",
        "http_per_request": "no worker counts outgoing calls",
        "queue": "when requests arrived could not be asked of the kernel",
        "background": "there was no background task",
    }
    return what.get(objective.metric) or what.get(objective.quantity) or "there was nothing to measure"


def _too_few(objective: Objective, n: int, interval: Interval, needs: int | None) -> str:
    low, high = (unit_text(objective, each) for each in interval)
    would = f"{needs:,} like these would tell" if needs else "no number of them would tell it from its bound"
    return f"{n:,} requests are too few: the true value lies from {low} to {high}; {would}"


def unit_text(objective: Objective, value: float | None) -> str:
    """Return a value of an objective as people read it; `?` for what can't be told."""
    if value is None:
        return "?"
    if objective.quantity == "bytes":
        return size(value)
    if objective.quantity == "share":
        return percent(value)
    if objective.quantity in {"count", "rate"}:
        return f"{value:,.0f}" if value == int(value) or value >= 100 else f"{value:.2f}".rstrip("0")
    return told_ms(value)
