"""A ramp on a page: what was found, in words, and what was felt and how full all was over the rate."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

from perftui.model.ramp import RampCourse, RampStep
from perftui.present.details.ramp_words import RESOURCES, doubt_of, named, verdict_of
from perftui.present.documents.page.charts import Chart, chart
from perftui.present.text.cells import clean
from perftui.present.text.units import ms, percent, rate

MOST_DRAWN = 3
"""Resources in the chart: more lines could not be told apart. All of them are in the table."""

Take = Callable[[RampStep], "float | None"]


class Knee:
    """What a template asks for."""

    def __init__(self, course: RampCourse) -> None:
        self.course = course
        # Steps were sent up and down around the knee: a curve goes by their rates.
        known = [step for step in course.steps if not step.is_spoiled]
        self._by_rate = sorted(known, key=lambda step: step.rate)

    @cached_property
    def verdict(self) -> str:
        """What was found, and what gave."""
        said = clean(verdict_of(self.course))
        return f"{said[:1].upper()}{said[1:]}"

    @property
    def gave(self) -> bool:
        """Whether anything gave that has a name."""
        return self.course.gave is not None

    @cached_property
    def sent(self) -> str:
        """What was sent."""
        more = len(self.course.requests) - 3
        return clean(", ".join(self.course.requests[:3])) + (f" and {more} more" if more > 0 else "")

    @cached_property
    def said(self) -> list[tuple[str, str]]:
        """What else there is to say of it, with what it is."""
        course, gave = self.course, self.course.gave
        told = []
        if gave is not None and gave.advice:
            then = f"; that should give some {rate(gave.then_rps)}/s, an estimate" if gave.then_rps else ""
            told.append(("Mend", f"{gave.advice}{then}"))
        if (after := course.following) is not None:
            told.append(("Next to give", named(after)))
        if doubt := doubt_of(course.steps):
            told.append(("But", doubt))
        if course.law:
            told.append(("By the law of scalability", course.law))
        told.append(
            ("Had to hold", ", ".join(course.targets) or "three times the latency of the first steps")
        )
        if course.ended:
            told.append(("Ended before its time", course.ended))
        return [(label, clean(text)) for label, text in told]

    @cached_property
    def resources(self) -> dict[str, str]:
        """The resources of which anything is known, with their names."""
        return {
            kind: name for kind, name in RESOURCES if any(kind in step.used for step in self.course.steps)
        }

    @cached_property
    def top_rps(self) -> float:
        """Where the axis of rates ends."""
        return max((step.rate for step in self.course.steps), default=0.0) * 1.03 or 1.0

    @cached_property
    def charts(self) -> list[Chart]:
        """Answered, felt and full, each over the rate that was sent."""
        if len(self._by_rate) < 2:
            return []

        def of(take: Take) -> list[float | None]:
            return [take(step) for step in self._by_rate]

        rates = [step.rate for step in self._by_rate]
        felt: list[tuple[str, list[float | None]]] = [
            ("p99", of(lambda step: step.p99_ms)),
            ("p95", of(lambda step: step.p95_ms)),
            ("p50", of(lambda step: step.p50_ms)),
        ]
        answered = [("answered", of(lambda step: step.answered)), ("sent", of(lambda step: step.rate))]
        full = [(self.resources[kind], self._used(kind)) for kind in self._fullest()]
        return [
            chart("Latency as clients feel it", "ms", ms, felt, rates),
            chart("Answered a second", "count", rate, answered, rates),
            *([chart("How full, the fullest first", "ratio", percent, full, rates)] if full else []),
        ]

    def _used(self, kind: str) -> list[float | None]:
        return [step.used.get(kind) for step in self._by_rate]

    def _fullest(self) -> list[str]:
        """Return the resources to draw: what gave first, then by how full they were at most."""
        gave = self.course.gave.kind if self.course.gave is not None else ""
        most = {kind: max(value or 0.0 for value in self._used(kind)) for kind in self.resources}
        return sorted(most, key=lambda kind: (kind != gave, kind == "memory", -most[kind]))[:MOST_DRAWN]
