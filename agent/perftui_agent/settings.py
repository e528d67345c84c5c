"""What the agent was told to do: frozen, from arguments and PERFTUI_* variables.

An argument wins over its variable. A wrong argument is the developer's to see: it raises, and names the
argument. A wrong variable must not keep a service from starting: it is reported once and the default stands.
"""

from __future__ import annotations

import functools
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from perftui_agent.trigger import EXAMPLE, Trigger, parse_trigger, parse_triggers

T = TypeVar("T")

MIN_TOKEN_CHARACTERS = 16

_ROUTE = re.compile(r"[A-Z_]+ [/(]\S*|\(other\)")
"""What requests are counted under: `GET /items/{item_id}`, `GET (unmatched)`."""

_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")

_TOKEN = re.compile(r"[!-~]+")

_log = logging.getLogger("perftui")


@dataclass(frozen=True, slots=True)
class Slo:
    """What a service promises: for all routes together, and for single ones.

    `p95_ms`, `p99_ms` in milliseconds, `error_rate` 0…1 (5xx over all), `rps` at least so many
    requests a second. `routes` maps `"GET /reports"` to an `Slo` of its own; a latency or an
    error rate that it sets exempts the route from the same target for all.
    """

    p95_ms: float | None = None
    p99_ms: float | None = None
    error_rate: float | None = None
    rps: float | None = None
    routes: Mapping[str, Slo] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("p95_ms", "p99_ms", "rps"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and value > 0):
                raise ValueError(f"Slo({name}={value!r}): a target is a number above 0")
        if self.error_rate is not None and not (_is_number(self.error_rate) and 0 <= self.error_rate <= 1):
            raise ValueError(f"Slo(error_rate={self.error_rate!r}): a ratio lies between 0 and 1")
        if not isinstance(self.routes, Mapping):
            raise TypeError(f"Slo(routes={self.routes!r}): write {{'GET /reports': Slo(p95_ms=800)}}")
        for route, slo in self.routes.items():
            _check_target(route, slo)


def _check_target(route: object, slo: object) -> None:
    # Any other name would be a target that nothing is ever held against.
    if not isinstance(route, str) or not _ROUTE.fullmatch(route):
        raise ValueError(f"Slo(routes={{{route!r}: …}}): a route is named as in 'GET /reports'")
    if not isinstance(slo, Slo) or slo.routes:
        raise TypeError(f"Slo(routes={{{route!r}: {slo!r}}}): the targets of a route are one Slo")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be set; CONTRACT names the variables."""

    enabled: bool = True
    service: str | None = None
    version: str | None = None
    token: str | None = None
    actions: bool = True
    slow_query_ms: float = 100.0
    sql_text: str = "shape"
    blackbox_mb: float = 8.0
    block_ms: float = 100.0
    slo: Slo | None = None
    runtime_dir: str | None = None
    queue_header: str | None = None
    long_polls: tuple[str, ...] = ()
    """Routes whose requests wait on purpose."""
    triggers: tuple[Trigger, ...] = ()
    dumpable: bool = False
    """Whether a worker that has changed its user may be traced by its own."""


def read_settings(
    base: Settings | None = None,
    *,
    service: str | None = None,
    version: str | None = None,
    token: str | None = None,
    actions: bool | None = None,
    slow_query_ms: float | None = None,
    sql_text: str | None = None,
    blackbox_mb: float | None = None,
    block_ms: float | None = None,
    enabled: bool | None = None,
    slo: Slo | None = None,
    runtime_dir: str | os.PathLike[str] | None = None,
    queue_header: str | None = None,
    long_polls: Iterable[str] | None = None,
    triggers: Iterable[str] | None = None,
    dumpable: bool | None = None,
) -> Settings:
    """Return the settings for these arguments; ValueError or TypeError for a bad one.

    What no argument says is as in `base`, or, without one, as the environment says.
    """
    environment = os.environ if base is None else {}
    base = base or Settings()
    read = functools.partial(_read, environment)
    return Settings(
        enabled=read(enabled, "PERFTUI_ENABLED", _switch, base.enabled),
        service=read(service, "PERFTUI_SERVICE", _text, base.service),
        version=read(version, "PERFTUI_VERSION", _text, base.version),
        token=_token(token, environment.get("PERFTUI_TOKEN") or base.token),
        actions=read(actions, "PERFTUI_ACTIONS", _switch, base.actions),
        slow_query_ms=read(slow_query_ms, "PERFTUI_SLOW_QUERY_MS", _amount, base.slow_query_ms),
        sql_text=read(sql_text, "PERFTUI_SQL_TEXT", _sql_text, base.sql_text),
        blackbox_mb=read(blackbox_mb, "PERFTUI_BLACKBOX_MB", _amount, base.blackbox_mb),
        block_ms=read(block_ms, "PERFTUI_BLOCK_MS", _amount, base.block_ms),
        slo=_slo(slo) or base.slo,
        # Its variable is read by `wire.registration`, as clients read it.
        long_polls=read(long_polls, "PERFTUI_LONG_POLLS", _routes, base.long_polls),
        triggers=read(triggers, "PERFTUI_TRIGGERS", _triggers, base.triggers),
        dumpable=read(dumpable, "PERFTUI_DUMPABLE", _switch, base.dumpable),
        runtime_dir=_read({}, runtime_dir, "PERFTUI_RUNTIME_DIR", _directory, base.runtime_dir),
        queue_header=read(queue_header, "PERFTUI_QUEUE_HEADER", _header, base.queue_header) or None,
    )


def enabled_by_environment() -> bool:
    """Tell whether PERFTUI_ENABLED leaves the agent on; reads nothing else, so it never raises."""
    return _read(os.environ, None, "PERFTUI_ENABLED", _switch, True)


def _read(
    environment: Mapping[str, str],
    argument: object,
    variable: str,
    parse: Callable[[object], T],
    default: T,
) -> T:
    if argument is not None:
        try:
            return parse(argument)
        except ValueError as error:
            name = variable.removeprefix("PERFTUI_").lower()
            raise ValueError(f"instrument({name}={argument!r}): {error}") from None
    text = environment.get(variable)
    if not text:
        return default
    try:
        return parse(text)
    except ValueError as error:
        _log.warning("%s=%r: %s; %r is used", variable, text, error, default)
        return default


def _token(argument: str | None, otherwise: str | None) -> str | None:
    token = otherwise if argument is None else argument
    # Not even from the environment is a weak one passed over: who set it counts on the door.
    if token is not None and not isinstance(token, str):
        raise TypeError(f"instrument(token=…): a token is a str, not {type(token).__name__}")
    if token and len(token) < MIN_TOKEN_CHARACTERS:
        raise ValueError(
            f"the perftui token has {len(token)} characters; {MIN_TOKEN_CHARACTERS} are the least"
        )
    if token and not _TOKEN.fullmatch(token):
        raise ValueError("the perftui token travels in a header: letters, digits and signs of ASCII")
    return token or None


def _slo(value: object) -> Slo | None:
    if value is None or isinstance(value, Slo):
        return value
    raise TypeError(f"instrument(slo={value!r}): write Slo(p95_ms=200)")


def _switch(value: object) -> bool:
    text = str(value).strip().lower()
    if text in {"1", "true", "yes", "on"}:
        return True
    if text in {"0", "false", "no", "off"}:
        return False
    raise ValueError("neither 0 nor 1")


def _amount(value: object) -> float:
    try:
        amount = float(str(value))
    except ValueError:
        amount = -1.0
    if not 0 <= amount < 1e12:
        raise ValueError("not a number of 0 or more")
    return amount


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("not a str")
    return value


def _directory(value: object) -> str:
    if not isinstance(value, str | os.PathLike):
        raise ValueError("not a path")
    return os.path.abspath(value)


def _header(value: object) -> str:
    if not isinstance(value, str) or not _HEADER.fullmatch(value):
        raise ValueError("not the name of a header, as 'X-Request-Start' is")
    return "" if value.lower() == "off" else value


def _routes(value: object) -> tuple[str, ...]:
    routes = value.split(",") if isinstance(value, str) else value
    if not isinstance(routes, Iterable):
        raise ValueError("not a list of routes")
    named = tuple(dict.fromkeys(str(route).strip() for route in routes))
    for route in named:
        if not _ROUTE.fullmatch(route):
            raise ValueError(f"{route!r} is no route: one is named as in 'GET /poll'")
    return named


def _triggers(value: object) -> tuple[Trigger, ...]:
    if isinstance(value, str):
        return parse_triggers(value)
    if not isinstance(value, Iterable):
        raise ValueError(f"not a list of triggers: write [{EXAMPLE!r}]")
    return tuple(parse_trigger(each) if isinstance(each, str) else _no_trigger(each) for each in value)


def _no_trigger(value: object) -> Trigger:
    raise ValueError(f"{value!r} is no str: write {EXAMPLE!r}")


def _sql_text(value: object) -> str:
    if value not in ("shape", "off"):
        raise ValueError("neither 'shape' nor 'off'")
    return str(value)
