"""Moments of a recording, as people type them."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

import click

from perftui.commands.arguments import seconds
from perftui.recording.gaps import clock_time
from perftui.recording.reader import Recording

FORMS = "14:02, 14:02:31, 2026-11-27T14:02:31, +5m (from its beginning), -30s (before its end)"

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", re.ASCII)


def moment_in(recording: Recording, text: str, option: str) -> float:
    """Return the moment that `text` means in a recording; `click.BadParameter` for none."""
    word = text.strip()
    if word[:1] in {"+", "-"} and len(word) > 1:
        length_s = seconds(word[1:])
        return recording.began_at + length_s if word[0] == "+" else recording.ended_at - length_s
    if (match := _CLOCK.fullmatch(word)) is not None:
        found = _by_the_clock(recording, int(match[1]), int(match[2]), int(match[3] or 0))
        if found is not None:
            return found
    else:
        try:
            return datetime.fromisoformat(word).astimezone().timestamp()
        except (ValueError, OverflowError):
            pass
    spanned = f"{clock_time(recording.began_at)} to {clock_time(recording.ended_at)}"
    raise click.BadParameter(f"{text} is no moment of it ({spanned}): write {FORMS}", param_hint=option)


def _by_the_clock(recording: Recording, hour: int, minute: int, second: int) -> float | None:
    """Return when the clock showed that within the recording, or nearest to it; None for no such time."""
    if hour > 23 or minute > 59 or second > 59:
        return None
    first = datetime.fromtimestamp(recording.began_at).astimezone()
    days = [first + timedelta(days=each) for each in range(-1, 9)]
    moments = [
        day.replace(hour=hour, minute=minute, second=second, microsecond=0).timestamp() for day in days
    ]
    within = [each for each in moments if recording.first_at - 1 <= each <= recording.ended_at + 60]
    return within[0] if within else None
