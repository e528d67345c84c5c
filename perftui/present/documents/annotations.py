"""What `perftui check` says as annotations of a GitHub workflow, one for each target that is not met."""

from __future__ import annotations

from collections.abc import Sequence

from perftui.check.judge import Judged
from perftui.present.documents.junit import message
from perftui.present.text.cells import clean


def workflow_commands(judged: Sequence[Judged], undecided: str | None) -> list[str]:
    """Return the workflow commands: missed ones are errors, undecided ones only if they fail the check."""
    level = "warning" if undecided == "pass" else "error"
    return [
        _command("error" if each.verdict == "missed" else level, each)
        for each in judged
        if each.verdict != "met"
    ]


def _command(level: str, judged: Judged) -> str:
    said = ". ".join(filter(None, (message(judged), judged.note or judged.cause, judged.next)))
    title = _escaped(clean(f"perftui check: {judged.objective}")).replace(":", "%3A").replace(",", "%2C")
    return f"::{level} title={title}::{_escaped(clean(said))}"


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
