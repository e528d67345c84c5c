"""What a page tells, as data: a summary over the whole span, what stood meanwhile, and what was taken."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from perftui.findings.over_time import Stood
from perftui.findings.worker_gone import LOST
from perftui.model.after import BackgroundSummary, ChannelSummary
from perftui.model.harm import Harm, harm, harm_of
from perftui.model.ramp import RampCourse
from perftui.model.route_summary import RouteSummary
from perftui.model.summary import Summary
from perftui.present.documents.page.charts import Chart, chart, charts
from perftui.present.documents.page.knee import Knee
from perftui.present.documents.page.taken import Taken
from perftui.present.documents.page.waterfall import Bar, Waterfall, slowest_of, spent, waterfall
from perftui.present.text.cells import clean, shortened
from perftui.present.text.doubts import doubts_of, probes_off
from perftui.present.text.statements import brief
from perftui.present.text.units import age, count, ms, percent, short_count

MOST_CAUSES = 5

SYMPTOMS = frozenset({"slo-breach", "error-burst", "queueing"})
"""What is told because of something else, as long as something else is told."""

LONGEST_SUBJECT = 80

MOST_ROUTES = 40
MOST_STORIES = 8
MOST_STATEMENTS = 25
MOST_EVENTS = 120


class Incident:
    """Everything that a template asks for; texts are plain, the template escapes them."""

    def __init__(
        self,
        summary: Summary,
        findings: Sequence[Stood],
        taken: Sequence[Taken] = (),
        ramps: Sequence[RampCourse] = (),
        *,
        routes: int = MOST_ROUTES,
    ) -> None:
        self.summary = summary
        self.findings = findings
        self.taken = taken
        self.knees = [Knee(course) for course in ramps if course.is_over]
        self.most_routes = routes

    @property
    def title(self) -> str:
        """Whose page it is."""
        return clean(self.summary.service or self.summary.target)

    @cached_property
    def headline(self) -> str:
        """What was wrong, in one sentence."""
        if self.knees:
            # Whoever ramps a service has brought about by himself what the findings tell of.
            return self.knees[-1].verdict
        if not self.findings:
            return "Nothing stood out: no finding in this time."
        worst = self.causes[0].finding
        return f"{shortened(clean(worst.subject), LONGEST_SUBJECT)}: {brief(worst.sentence)}"

    @cached_property
    def causes(self) -> Sequence[Stood]:
        """The worst of what is wrong: what a reader in a hurry must know."""
        high = [each for each in self.findings if each.finding.severity == "high"]
        causes = [each for each in high if each.finding.kind not in SYMPTOMS]
        if self.is_down:
            causes.sort(key=lambda each: each.finding.kind != LOST)
        return (causes or high or self.findings)[:MOST_CAUSES]

    @property
    def is_down(self) -> bool:
        """Whether no worker is left: whatever else was wrong, nobody is served."""
        return bool(self.summary.workers) and all(row.state == "gone" for row in self.summary.workers)

    @property
    def workers(self) -> str:
        """How many workers were seen of how many there are."""
        if self.is_down:
            return f"0 of {len(self.summary.workers)}"
        return f"{self.summary.coverage.workers_seen} of {self.summary.coverage.workers_known}"

    @cached_property
    def further(self) -> list[Stood]:
        """The rest of it."""
        return [each for each in self.findings if each not in self.causes]

    @cached_property
    def since(self) -> str:
        """Since when, and for how long."""
        if not self.findings:
            return ""
        first = self.causes[0]
        lasted = age(max(first.last - first.since, 0.0))
        return f"for {lasted}, over by the end" if first.is_over else f"for {lasted}, and still so at the end"

    @cached_property
    def harm(self) -> Harm:
        """Whom it hurt."""
        return harm(self.summary)

    @cached_property
    def whom(self) -> list[str]:
        """Whom it hurt, in sentences."""
        hurt = self.harm
        said = []
        if hurt.over is not None:
            said.append(
                f"{count(hurt.over)} of {count(hurt.timed)} requests ({percent(hurt.share_over)}) "
                "took longer than was promised."
            )
        failed = percent(hurt.failed / hurt.requests) if hurt.requests else "–"
        said.append(f"{count(hurt.failed)} of {count(hurt.requests)} requests ({failed}) failed with a 5xx.")
        worst = max(self.routes, key=lambda row: harm_of(row, self.summary).over or 0, default=None)
        if worst is not None and (over := harm_of(worst, self.summary).over):
            said.append(f"Most of the slow ones, {count(over)}, were {clean(worst.route)}.")
        return said

    @cached_property
    def charts(self) -> list[Chart]:
        """Those of the service, then each worker's CPU and lag."""
        return [*charts(self.summary), *self._of_workers()]

    def _of_workers(self) -> list[Chart]:
        first = self.summary.at - self.summary.window_s
        times = [point.at - first for point in self.summary.points]
        alive = [row for row in self.summary.workers if row.last_seen is not None][:3]
        if not alive:
            return []
        lag = [(f"worker {row.pid}", list(row.trends.lag_ms)) for row in alive]
        cpu = [(f"worker {row.pid}", list(row.trends.cpu_percent)) for row in alive]
        more = len(self.summary.workers) - len(alive)
        left = f", {more} more not drawn" if more > 0 else ""
        return [
            chart(f"Event loop lag, p99{left}", "ms", ms, lag, times),
            chart(f"CPU of workers, % of a core{left}", "count", short_count, cpu, times),
        ]

    @property
    def routes(self) -> Sequence[RouteSummary]:
        """The routes, what cost most first."""
        return self.summary.routes[: self.most_routes]

    @property
    def routes_left_out(self) -> int:
        """How many routes there are besides."""
        return len(self.summary.routes) - len(self.routes)

    def over(self, route: RouteSummary) -> str:
        """Return which part of a route's requests took longer than promised."""
        return percent(harm_of(route, self.summary).share_over)

    def spent(self, route: RouteSummary) -> tuple[Bar, ...]:
        """Return where the route's time goes."""
        return spent(route)

    def trend(self, route: RouteSummary) -> str:
        """Return the p95 of a route over time as SVG path data, 100 wide and 20 high."""
        known = [value for value in route.trend if value is not None]
        if len(known) < 2:
            return ""
        top = max(known) or 1.0
        step = 100.0 / max(len(route.trend) - 1, 1)
        parts: list[str] = []
        for place, value in enumerate(route.trend):
            if value is not None:
                parts.append(f"{'L' if parts else 'M'}{place * step:.1f} {19 - 18 * value / top:.1f}")
        return "".join(parts)

    @cached_property
    def background(self) -> list[BackgroundSummary]:
        """What was done after responses, what cost most first."""
        return sorted(self.summary.background, key=lambda row: -(row.total_ms + (row.oldest_ms or 0.0)))

    @cached_property
    def channels(self) -> list[ChannelSummary]:
        """Connections by route, those with the most messages first."""
        return sorted(self.summary.channels, key=lambda row: -(row.received + row.sent))

    @cached_property
    def stories(self) -> list[Waterfall]:
        """The slowest requests."""
        return [waterfall(row) for row in slowest_of(self.summary.slowest, MOST_STORIES)]

    @cached_property
    def doubts(self) -> list[str]:
        """What the page's reader must bear in mind."""
        coverage = self.summary.coverage
        said = []
        if coverage.workers_seen < coverage.workers_known:
            said.append(f"{coverage.workers_seen} of {coverage.workers_known} workers were seen.")
        if coverage.frames_dropped:
            said.append(f"{count(coverage.frames_dropped)} seconds of workers were lost on the way.")
        for worker in self.summary.workers:
            said += [f"worker {worker.pid}: {clean(doubt.sentence)}" for doubt in doubts_of(worker)]
            said += [f"worker {worker.pid}: {clean(probe)}" for probe in probes_off(worker)]
        return list(dict.fromkeys(said))
