"""What stands in the rows: units by name, for the schema, and how each is written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, TypeAlias, overload

import msgspec

Ms: TypeAlias = Annotated[float, msgspec.Meta(description="milliseconds", ge=0)]
"""A duration."""

Seconds: TypeAlias = Annotated[float, msgspec.Meta(description="seconds", ge=0)]
"""A duration of those that are long."""

Bytes: TypeAlias = Annotated[int, msgspec.Meta(description="bytes", ge=0)]
"""A size."""

Ratio: TypeAlias = Annotated[float, msgspec.Meta(description="0 to 1", ge=0, le=1)]
"""A share of a whole."""

Percent: TypeAlias = Annotated[float, msgspec.Meta(description="per cent of one core", ge=0)]
"""CPU."""

PerSecond: TypeAlias = Annotated[float, msgspec.Meta(description="per second", ge=0)]
"""A rate."""

Number: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
"""How many there were in the window, or are."""

Moment: TypeAlias = Annotated[str, msgspec.Meta(description="ISO 8601, UTC, to the millisecond")]
"""A moment."""

Place: TypeAlias = Annotated[str, msgspec.Meta(description="a place in code: app/reports.py:42 build")]
"""A place in code."""

Label: TypeAlias = Annotated[str, msgspec.Meta(description="METHOD template: GET /items/{item_id}")]
"""A route."""

Percentage: TypeAlias = Annotated[float, msgspec.Meta(description="per cent of the time", ge=0, le=100)]
"""A share of the time."""


def moment(at: float) -> str:
    """Return a moment as ISO 8601 in UTC, to the millisecond."""
    stamp = datetime.fromtimestamp(at, UTC)
    return stamp.strftime("%Y-%m-%dT%H:%M:%S.") + f"{stamp.microsecond // 1000:03d}Z"


@overload
def rounded(value: float, digits: int = 3) -> float: ...


@overload
def rounded(value: float | None, digits: int = 3) -> float | None: ...


def rounded(value: float | None, digits: int = 3) -> float | None:
    """Return a value as it is written, null as it is."""
    return None if value is None else round(float(value), digits)


def percent(share: float) -> float:
    """Return a share of 0…1 as it is written."""
    return round(100.0 * min(max(share, 0.0), 1.0), 2)
