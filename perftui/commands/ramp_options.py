"""What `perftui ramp` is told: shares, rates, targets, the plan, and where its findings go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from perftui.check.grammar import Objective, ObjectiveError, parse_objective
from perftui.commands.record import check_output
from perftui.ramp.plan import PlanError, Request, parse_requests, read_mix
from perftui.recorder import SUFFIX


def weights_of(text: str) -> tuple[float, ...]:
    """Return a weight for each request."""
    try:
        return tuple(float(part) for part in text.split(",")) if text else ()
    except ValueError:
        raise click.BadParameter(f"{text}: write a number for each request, 10,1") from None


def objectives_of(text: str) -> tuple[Objective, ...]:
    """Return what must hold."""
    try:
        return tuple(parse_objective(part) for part in text.split(",") if part.strip())
    except ObjectiveError as error:
        raise click.BadParameter(str(error)) from None


def share_of(text: str) -> float:
    """Return a part of all, 0…1, written `10%` or `0.1`."""
    try:
        value = float(text.removesuffix("%")) / 100 if text.endswith("%") else float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise click.BadParameter(f"{text} is no share: write 10% or 0.1")
    return value


class Rate(click.FloatRange):
    """Requests a second: a number within bounds, which `nan` is not, whatever it is compared with."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        rate = float(super().convert(value, param, ctx))
        if math.isnan(rate):
            self.fail(f"{value} is no number of requests a second", param, ctx)
        return rate


def check_ramp_output(output: str | None) -> None:
    """Refuse now what could not be written when it is over."""
    if output is None:
        return
    if output.endswith(SUFFIX):
        check_output(output)
    elif not output.endswith(".json"):
        raise click.BadParameter(
            f"{output}: its end says what is written, {SUFFIX} a recording, .json what was found",
            param_hint="-o",
        )
    elif not Path(output).absolute().parent.is_dir():
        raise click.BadParameter(f"{output}: there is no such directory", param_hint="-o")


def plan_of(requests: Sequence[str], weights: Sequence[float], mix: str | None) -> tuple[Request, ...] | None:
    """Return what is to be sent; None if it is to be learned from the service."""
    try:
        if mix is not None and (requests or weights):
            given = "requests" if requests else "--weights"
            raise PlanError(f"either {given} or --mix {mix}: a mix has requests and weights of its own")
        if mix == "live":
            return None
        if mix is not None:
            return read_mix(Path(mix))
        return parse_requests(requests, weights)
    except PlanError as error:
        raise click.UsageError(str(error)) from None
