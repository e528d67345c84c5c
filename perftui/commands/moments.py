"""Moments of a recording, as people type them, and as other verbs print them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import click

from perftui.commands.arguments import seconds
from perftui.recording.gaps import clock_time
from perftui.recording.reader import Recording

FORMS = "14:02, 14:02:31, 2026-11-27T14:02:31, +5m (from its beginning), -30s (before its end)"

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(\.\d{1,9})?)?(Z?)", re.ASCII)
"""A snapshot prints the moments of what happened as 07:56:47.639Z."""


def stretch_in(recording: Recording, begin: str | None, end: str | None) -> tuple[float, float]:
    """Return what `--from` and `--to` mean, as far as it was recorded; `click.BadParameter` for no time.

    Beside a `--from` by the clock, a `--to` of +5m is five minutes after that.
    """
    since = recording.began_at if begin is None else moment_in(recording, begin, "--from")
    from_s = since if begin is not None and begin.strip()[:1] not in {"+", "-"} else None
    until = recording.ended_at if end is None else moment_in(recording, end, "--to", plus_from=from_s)
    if since >= recording.ended_at:
        raise click.BadParameter(f"{begin} is its end: it goes {_spanned(recording)}", param_hint="--from")
    if until <= recording.first_at:
        raise click.BadParameter(f"{end} is its beginning: it goes {_spanned(recording)}", param_hint="--to")
    if since >= until:
        told = f"--to {end} ({clock_time(until)})" if end is not None else "its end"
        raise click.BadParameter(
            f"{told} is not after --from {begin or 'its beginning'} ({clock_time(since)})", param_hint="--to"
        )
    return max(since, recording.first_at), min(until, recording.ended_at)


def moment_in(recording: Recording, text: str, option: str, *, plus_from: float | None = None) -> float:
    """Return the moment that `text` means in a recording; `click.BadParameter` for none.

    What begins with + counts from `plus_from`, else from the beginning.
    """
    word = text.strip()
    if word[:1] in {"+", "-"} and len(word) > 1:
        length_s = seconds(word[1:])
        first = recording.began_at if plus_from is None else plus_from
        return first + length_s if word[0] == "+" else recording.ended_at - length_s
    if (match := _CLOCK.fullmatch(word)) is not None:
        found = _by_the_clock(recording, match)
        if found is not None:
            return found
    else:
        try:
            return datetime.fromisoformat(word).astimezone().timestamp()
        except (ValueError, OverflowError):
            pass
    raise click.BadParameter(
        f"{text} is no moment of it ({_spanned(recording)}): write {FORMS}", param_hint=option
    )


def _spanned(recording: Recording) -> str:
    return f"{clock_time(recording.began_at)} to {clock_time(recording.ended_at)}"


def _by_the_clock(recording: Recording, match: re.Match[str]) -> float | None:
    """Return when the clock showed that within the recording, or nearest to it; None for no such time.

    A minute without its seconds is one of it if any second of that minute is.
    """
    hour, minute, second = int(match[1]), int(match[2]), int(match[3] or 0)
    if hour > 23 or minute > 59 or second > 59:
        return None
    first = datetime.fromtimestamp(recording.began_at, UTC)
    if not match[5]:
        first = first.astimezone()
    shown = {"hour": hour, "minute": minute, "second": second, "microsecond": 0}
    days = [first + timedelta(days=each) for each in range(-1, 9)]
    moments = [day.replace(**shown).timestamp() + float(match[4] or 0) for day in days]  # type: ignore[arg-type]
    before_s = 1.0 if match[3] else 60.0
    within = [each for each in moments if recording.first_at - before_s <= each <= recording.ended_at + 60]
    return within[0] if within else None
