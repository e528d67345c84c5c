"""What is promised, as it is written: `p95<200ms`, `GET /pay: p99<=300ms for 30s`, `findings=none`.

Takes the text, gives an `Objective`, or `ObjectiveError` with one line that says what is wrong in it and what
may stand there. Durations become milliseconds, sizes bytes, shares ratios.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

from perftui.findings.find import RULES
from perftui.findings.rule import RANK
from perftui.model.slo import ALL
from perftui.record import Record
from perftui_agent.wire.parts import RouteLabel

Quantity: TypeAlias = Literal["latency", "queue", "ttfb", "background", "bytes", "count", "share", "rate"]
"""What a metric measures: quantiles of one of the sketches, a count per request, a share, a rate …"""

Scope: TypeAlias = RouteLabel
"""A route, or `all` of them together."""

_TIMES = MappingProxyType({"us": 0.001, "µs": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0})
_SIZES = MappingProxyType(
    {"B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20, "GiB": 2.0**30}
)
_PERCENT = MappingProxyType({"%": 0.01})
_NUMBER = MappingProxyType({"": 1.0})
_RATE = MappingProxyType({"": 1.0, "/s": 1.0})

_UNITS: Mapping[Quantity, Mapping[str, float]] = MappingProxyType(
    {"bytes": _SIZES, "share": _PERCENT, "rate": _RATE, "count": _NUMBER}
)
_EXAMPLE = MappingProxyType({"bytes": "<200kB", "share": "<1%", "rate": ">=50", "count": "<=12"})

QUANTILES: Mapping[str, Quantity] = MappingProxyType(
    {"": "latency", "queue": "queue", "ttfb": "ttfb", "background": "background", "bytes": "bytes"}
)
"""What may stand before `_p95`: nothing, for the latency."""

COUNTS = ("sql_per_request", "http_per_request", "requests")

ALLOWED = (
    "p50 to p99.9 and max (the same of queue_, ttfb_, background_ and bytes_), errors, rps, requests, "
    "sql_per_request, http_per_request, findings, a severity or a kind of finding"
)
"""What may be promised, in one line."""

EXAMPLES = "'p95<200ms', 'GET /pay: p99<=300ms for 30s', 'errors<1%', 'rps>=50', 'findings=none'"

LONGEST_S = 14 * 60.0
"""What is kept is fifteen minutes."""

_SCOPED = re.compile(r"(?P<scope>all|\(other\)|[A-Z_]+ +[/(*].*) ?: ?(?P<rest>[^:]*)", re.DOTALL)
_EXPRESSION = re.compile(
    r"(?P<metric>[A-Za-z][A-Za-z0-9_.-]*?) ?(?P<sign><=|>=|==|≤|≥|<|>|=) ?(?P<bound>[^ ]+)"
    r"(?: for (?P<time>[^ ]+))?"
)
_QUANTILE = re.compile(r"(?:(?P<of>[a-z]+)_)?(?:p(?P<per>\d{1,2}(?:\.\d{1,2})?)|(?P<max>max))")
_BOUND = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(.*)")
_TIME = re.compile(r"(\d{1,6}(?:\.\d{1,6})?)(ms|s|m)")
_SIGNS = MappingProxyType({"≤": "<=", "≥": ">=", "==": "="})


class ObjectiveError(ValueError):
    """What is wrong with an expression, and what may stand there: one line."""


class Objective(Record, frozen=True):
    """One promise."""

    metric: str
    """As it is written: `p95`, `bytes_p95`, `errors`, `findings`, `n-plus-one`."""
    sign: Literal["<", "<=", ">", ">=", "="]
    bound: float
    """Milliseconds, bytes, a ratio, requests per second, a number."""
    written: str
    """The bound as it was written: `200ms`."""
    quantity: Quantity
    quantile: float | None = None
    """From 0 to 1; 1 is the largest."""
    scope: Scope = ALL
    for_s: float | None = None
    """The length of every stretch of time that is to keep it; None: the whole time it is watched."""
    source: str = "the command line"
    said: str = ""
    """What is promised in words, where it is no expression."""

    @property
    def slo(self) -> str:
        """What is promised, without of whom: `p95<200ms for 30s`."""
        if self.said:
            return self.said
        lasting = "" if self.for_s is None else f" for {self.for_s:g}s"
        return f"{self.metric}{self.sign}{self.written}{lasting}"

    @property
    def is_upper(self) -> bool:
        """Whether the value is to stay below its bound, not above."""
        return self.sign in {"<", "<=", "="}

    @property
    def is_of_findings(self) -> bool:
        """Whether findings are counted."""
        return self.metric == "findings" or self.metric in RANK or self.metric in RULES

    def kept_by(self, value: float) -> bool:
        """Tell whether a value keeps it."""
        if value == self.bound:
            return self.sign in {"<=", ">=", "="}
        return (value < self.bound) is self.is_upper and self.sign != "="

    def __str__(self) -> str:
        return self.slo if self.scope == ALL else f"{self.scope}: {self.slo}"


def parse_objective(text: str, source: str = "the command line") -> Objective:
    """Return what `text` promises; `ObjectiveError` for what says nothing."""
    said = " ".join(text.split())
    scope, rest = ALL, said
    if match := _SCOPED.fullmatch(said):
        scope, rest = match["scope"].strip(), match["rest"]
    match = _EXPRESSION.fullmatch(rest)
    if match is None:
        raise ObjectiveError(f"{said!r} says nothing that can be judged: write {EXAMPLES}")
    metric, sign = match["metric"], _SIGNS.get(match["sign"], match["sign"])
    quantity, quantile = _measured(metric, said)
    bound, written = _bound(metric, quantity, match["bound"], said)
    if sign == "=" and bound:
        raise ObjectiveError(f"{said!r}: = is for none alone; write < <= > or >=")
    found = Objective(
        metric=metric,
        sign=sign,  # type: ignore[arg-type]  # one of those that the expression lets through
        bound=bound,
        written=written,
        quantity=quantity,
        quantile=quantile,
        scope=scope,
        for_s=_lasting(match["time"], said),
        source=source,
    )
    if found.is_of_findings and sign not in {"=", "<", "<="}:
        raise ObjectiveError(f"{said!r}: findings are to be none or few; write {metric}=none")
    if found.is_of_findings and found.for_s is not None:
        raise ObjectiveError(
            f"{said!r}: findings are those of the whole time; leave out 'for {match['time']}'"
        )
    return found


def none_of(name: str) -> Objective:
    """Return the promise that there is no such finding: a kind, a severity and worse, or `any`."""
    word = name.strip().lower()
    metric = "findings" if word in {"any", "all", "findings"} else word
    if metric != "findings" and metric not in RANK and metric not in RULES:
        near = difflib.get_close_matches(word, (*RULES, *RANK), 1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join((*RANK, *RULES))}"
        raise ObjectiveError(f"{name!r} is no kind of finding; {meant}")
    return parse_objective(f"{metric}=none")


def _measured(metric: str, said: str) -> tuple[Quantity, float | None]:
    if metric == "errors":
        return "share", None
    if metric == "rps":
        return "rate", None
    if metric in COUNTS or metric == "findings" or metric in RANK or metric in RULES:
        return "count", None
    match = _QUANTILE.fullmatch(metric)
    if match and (match["of"] or "") in QUANTILES:
        quantile = 1.0 if match["max"] else round(float(match["per"]) / 100, 6)
        if quantile:
            return QUANTILES[match["of"] or ""], quantile
    raise ObjectiveError(f"{said!r}: {metric} is nothing that can be judged; there are {ALLOWED}")


def _bound(metric: str, quantity: Quantity, text: str, said: str) -> tuple[float, str]:
    if text.lower() == "none" or text == "0":
        return 0.0, "none" if text.lower() == "none" else "0"
    units = _UNITS.get(quantity, _TIMES)
    match = _BOUND.fullmatch(text)
    if match is None or match[2] not in units:
        allowed = ", ".join(unit for unit in units if unit) or "a number alone"
        example = metric + _EXAMPLE.get(quantity, "<200ms")
        raise ObjectiveError(f"{said!r}: {text!r} is no bound of {metric}; write {example} ({allowed})")
    bound = float(match[1]) * units[match[2]]
    if quantity == "share" and bound > 1.0:
        raise ObjectiveError(f"{said!r}: a share is 100% at most")
    return bound, text


def _lasting(text: str | None, said: str) -> float | None:
    if text is None:
        return None
    match = _TIME.fullmatch(text)
    seconds = float(match[1]) * _TIMES[match[2]] / 1000 if match else 0.0
    if not 1.0 <= seconds <= LONGEST_S or seconds != int(seconds):
        raise ObjectiveError(f"{said!r}: write whole seconds or minutes, 1s to 14m, as in 'for 30s'")
    return seconds
