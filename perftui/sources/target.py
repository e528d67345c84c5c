"""TARGET: what to look at, as people type it.

Takes one word of the command line, gives a value that says what was meant, or a `TargetError` that
says what is wrong with it and what to type instead. No I/O: whether anything is there is found later.
"""

from __future__ import annotations

import ipaddress
import re
import shlex
from collections.abc import Iterable
from typing import TypeAlias
from urllib.parse import urlsplit

from perftui.model.text import clean_text
from perftui.record import Record

LOOPBACK_NAMES = frozenset({"localhost", "localhost.localdomain", "ip6-localhost"})

FORMS = "localhost:8000, 8000, unix:/path/to.sock, pid:1234, service:NAME, https://host, FILE.perftui"
"""What a target may look like, for the second line of an error."""

_HOST_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")


class TargetError(Exception):
    """What is wrong with a target, and what to type next: one line each."""

    def __init__(self, problem: str, advice: str = "") -> None:
        super().__init__(problem)
        self.problem = clean_text(problem)
        self.advice = clean_text(advice)

    def __str__(self) -> str:
        return f"{self.problem}\n{self.advice}" if self.advice else self.problem


class PortTarget(Record, frozen=True):
    """An app served on a TCP port of this host; without a host, on whatever address."""

    port: int
    host: str | None = None
    """A name, or an address without brackets."""

    def __str__(self) -> str:
        if self.host is None:
            return str(self.port)
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class UnixTarget(Record, frozen=True):
    """An app served on a Unix socket."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


class PidTarget(Record, frozen=True):
    """A worker, or all workers of a supervisor."""

    pid: int

    def __str__(self) -> str:
        return f"pid:{self.pid}"


class ServiceTarget(Record, frozen=True):
    """All workers of a service, by the name it goes by, or those that run one version of it."""

    name: str
    version: str = ""

    def __str__(self) -> str:
        return f"service:{self.name}@{self.version}" if self.version else f"service:{self.name}"


class RemoteTarget(Record, frozen=True):
    """A service's remote door."""

    url: str
    host: str
    port: int

    def __str__(self) -> str:
        return self.url


class RecordingTarget(Record, frozen=True):
    """A recording."""

    path: str

    def __str__(self) -> str:
        return self.path


LocalTarget: TypeAlias = PortTarget | UnixTarget | PidTarget | ServiceTarget
"""What can be found on this host."""

LiveTarget: TypeAlias = LocalTarget | RemoteTarget
"""What runs, here or elsewhere."""

Target: TypeAlias = LiveTarget | RecordingTarget
"""Anything that can be looked at."""


def parse(text: str) -> Target:
    """Return what `text` means; `TargetError` if it means nothing."""
    word = text.strip()
    if not word:
        raise TargetError("the target is empty", f"try one of: {FORMS}")
    kind, colon, rest = word.partition(":")
    if word.lower().startswith(("http://", "https://")):
        return _remote(word)
    if colon and kind in {"unix", "pid", "service"}:
        return _named(word, kind, rest)
    if rest.startswith("//"):
        raise TargetError(
            f"{word}: a service elsewhere is asked over https://", "like this: https://shop.example"
        )
    if word.endswith(".perftui"):
        return RecordingTarget(word)
    if word.startswith(("/", "./", "../", "~")):
        raise TargetError(f"{word} is a path", f"for an app on a Unix socket: unix:{word}")
    if word.isascii() and word.isdecimal():
        return PortTarget(_port(word, word))
    return _host_and_port(word)


def parse_live(texts: Iterable[str]) -> tuple[LiveTarget, ...]:
    """Return what each of `texts` means, each once; `TargetError` for what doesn't run."""
    found: dict[LiveTarget, None] = {}
    for text in texts:
        target = parse(text)
        if isinstance(target, RecordingTarget):
            raise TargetError(
                f"{target} is a recording, and this needs a service that runs",
                f"to look at it: perftui replay {shlex.quote(target.path)}",
            )
        found[target] = None
    return tuple(found)


def local_among(targets: Iterable[LiveTarget]) -> tuple[LocalTarget, ...]:
    """Return those that are on this host, or were."""
    return tuple(target for target in targets if not isinstance(target, RemoteTarget))


def _named(word: str, kind: str, rest: str) -> LocalTarget:
    if not rest:
        raise TargetError(f"{word} names nothing", f"try one of: {FORMS}")
    if kind == "service":
        name, at, version = rest.rpartition("@")
        return ServiceTarget(name, version) if at and name and version else ServiceTarget(rest)
    if kind == "unix":
        if "\0" in rest:
            raise TargetError("a path can't hold a NUL", "unix:/path/to.sock")
        return UnixTarget(rest)
    # 4194304 is the largest a 64-bit Linux gives out; a longer number is no pid anywhere.
    if not (rest.isascii() and rest.isdecimal()) or not 0 < int(rest[:12]) <= 2**31 - 1 or len(rest) > 12:
        raise TargetError(f"{word}: a pid is a number above 0", "to see them: perftui ls")
    return PidTarget(int(rest))


def _host_and_port(word: str) -> PortTarget:
    if word.startswith("["):
        host, bracket, port = word[1:].partition("]:")
        if not bracket or not _is_ipv6(host):
            raise TargetError(f"{word} is no IPv6 address and port", "like this: [::1]:8000")
        return PortTarget(_port(port, word), host)
    host, colon, port = word.rpartition(":")
    if not colon:
        if not _HOST_NAME.fullmatch(word):
            raise TargetError(f"{word} is no target", f"try one of: {FORMS}")
        raise TargetError(f"{word} names no port", f"{word}:8000, or by name: service:{word}")
    if ":" in host or not host:
        advice = f"an IPv6 address goes in brackets: [::1]:8000; or one of: {FORMS}"
        raise TargetError(f"{word} is no host and port", advice)
    if not _HOST_NAME.fullmatch(host):
        raise TargetError(f"{host} is no host name", f"try one of: {FORMS}")
    return PortTarget(_port(port, word), host)


def _port(text: str, word: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) <= 5 and 0 < int(text) <= 65535:
        return int(text)
    raise TargetError(f"{word}: a port is a number from 1 to 65535", "like this: localhost:8000")


def _remote(word: str) -> RemoteTarget:
    try:
        parts = urlsplit(word)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise TargetError(f"{word} is no URL: {error}", "like this: https://shop.example:8443") from None
    if not host:
        raise TargetError(f"{word} names no host", "like this: https://shop.example:8443")
    if parts.username is not None or parts.password is not None:
        raise TargetError("a URL with a password in it ends up in logs", "leave it out of the target")
    if parts.query or parts.fragment:
        raise TargetError(
            f"{word.partition('?')[0].partition('#')[0]} with a query is no target",
            "a service is named by host, port and prefix; the token goes into PERFTUI_TOKEN",
        )
    return RemoteTarget(word, host, port or (443 if parts.scheme.lower() == "https" else 80))


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Tell whether a host is this one for sure: by its name, or by its address."""
    if host.lower() in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
