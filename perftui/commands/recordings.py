"""A recording where a verb takes a target: found among the targets, and opened."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from perftui.model.text import clean_text
from perftui.recording.looking import LONGEST_S
from perftui.recording.reader import Recording, RecordingError
from perftui.sources.target import RecordingTarget, TargetError, parse


def recording_in(targets: Sequence[str]) -> Recording | None:
    """Open the recording that is the target; None if all targets are live, `TargetError` if both are
    meant."""
    paths = recordings_among(targets)
    if not paths:
        return None
    if len(targets) > 1:
        raise TargetError(f"{paths[0]}: a recording is looked at by itself", "name one target")
    return open_recording(paths[0])


def recordings_among(targets: Iterable[str]) -> list[str]:
    """Return the paths of the recordings that are meant; `TargetError` for what is no target."""
    parsed = [parse(each) for each in targets]
    return [each.path for each in parsed if isinstance(each, RecordingTarget)]


def open_recording(path: str) -> Recording:
    """Open a file; `TargetError` if it can't be."""
    try:
        return Recording.open(path)
    except RecordingError as error:
        raise TargetError(error.problem, error.advice) from None


def tell_damage(recording: Recording) -> None:
    """Say on stderr what of a recording is missing, as far as it has been read."""
    for sentence in recording.damage:
        click.echo(clean_text(f"{recording.name}: {sentence}"), err=True)


def stretch(
    recording: Recording, for_s: float | None, at: float | None = None, *, longest_s: float = LONGEST_S
) -> tuple[float, float]:
    """Return from when to when a verb looks: to `at`, else the end; for so long, else from the beginning."""
    until = recording.ended_at if at is None else min(max(at, recording.began_at), recording.ended_at)
    since = recording.began_at if for_s is None else until - for_s
    if until - since > longest_s:
        since = until - longest_s
        if for_s is None:
            click.echo(f"the last {longest_s / 60:g} minutes of it", err=True)
    return since, until
