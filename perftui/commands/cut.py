"""`perftui cut`: a piece of a recording, to share."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from perftui.commands.moments import stretch_in
from perftui.commands.record import check_output
from perftui.commands.recordings import open_recording, tell_damage
from perftui.model.text import clean_text
from perftui.present.text.units import size
from perftui.recording.cutting import piece, write_piece
from perftui.recording.gaps import clock_time
from perftui.recording.redaction import TAKEN_OUT, Redaction, hosts_in
from perftui.recording.writer import RecordingWriter
from perftui.sources.target import TargetError


@click.command()
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False))
@click.option("--from", "begin", metavar="MOMENT", help="14:02:31, +5m, -30s.  [default: the beginning]")
@click.option(
    "--to",
    "end",
    metavar="MOMENT",
    help="The same; +5m beside a --from 14:02:31 is five minutes after that.  [default: the end]",
)
@click.option("--redact", is_flag=True, help=f"Take out {TAKEN_OUT}.")
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(dir_okay=False),
    metavar="SHARE",
    help="A new .perftui file.",
)
def cut(file: str, begin: str | None, end: str | None, redact: bool, output: str) -> None:
    """Write a piece of a recording into a file to share, and say how large it is.

    With --redact each request path, statement text and host name is replaced by a name of its own, the same
    wherever it stands. Routes and places in code stay.
    """
    check_output(output)
    with open_recording(file) as recording:
        since, until = stretch_in(recording, begin, end)
        target = "redacted" if redact else recording.head.target
        try:
            writer = RecordingWriter(Path(output), target, since, cut=TAKEN_OUT if redact else "")
            change = Redaction(hosts_in(piece(recording, since, until))) if redact else lambda each: each
            written = write_piece(writer, recording, since, until, change)
        except OSError as error:
            said = error.strerror or str(error)
            raise TargetError(f"{output} can't be written: {said}", "name another file: -o SHARE") from None
        tell_damage(recording)
    without = f", without {TAKEN_OUT}" if redact else ""
    told = f"wrote {output}: {clock_time(since)} to {clock_time(until)}, {size(written)}{without}"
    click.echo(clean_text(told), err=True)
    click.echo(clean_text(f"  to look at it: perftui replay {shlex.quote(output)}"), err=True)
