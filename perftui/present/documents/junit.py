"""What `perftui check` says as JUnit XML, which CI systems show as tests: one case for each target."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from perftui.check.judge import Judged, unit_text
from perftui.model.summary import Summary
from perftui.present.text.cells import clean


def junit(summary: Summary, judged: Sequence[Judged], undecided: str | None) -> str:
    """Return the document. What is undecided is skipped, failed or an error, as `--undecided` has it."""
    kind = {"pass": "skipped", "fail": "failure"}.get(undecided or "", "error")
    undecided_ones = sum(each.verdict == "undecided" for each in judged)
    missed = sum(each.verdict == "missed" for each in judged)
    suite = Xml.Element(
        "testsuite",
        name=clean(f"perftui check {summary.target}"),
        tests=str(len(judged)),
        failures=str(missed + (undecided_ones if kind == "failure" else 0)),
        errors=str(undecided_ones if kind == "error" else 0),
        skipped=str(undecided_ones if kind == "skipped" else 0),
        time=f"{summary.window_s:.3f}",
    )
    for each in judged:
        _case(suite, each, kind)
    root = Xml.Element("testsuites")
    root.append(suite)
    Xml.indent(root)
    return Xml.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _case(suite: Xml.Element, judged: Judged, kind: str) -> None:
    objective = judged.objective
    case = Xml.SubElement(suite, "testcase", classname=clean(objective.scope), name=clean(objective.slo))
    if judged.verdict == "met":
        return
    result = Xml.SubElement(case, "failure" if judged.verdict == "missed" else kind, message=message(judged))
    result.text = "\n".join(map(clean, filter(None, (judged.cause, judged.note, judged.next)))) or None


def message(judged: Judged) -> str:
    """Return in one line what became of a target: `GET /pay: p95<200ms is missed: 312 ms of 2,000`."""
    value = "" if judged.value is None else f": {unit_text(judged.objective, judged.value)} over {judged.n:,}"
    return clean(f"{judged.objective} is {judged.verdict}{value}")
