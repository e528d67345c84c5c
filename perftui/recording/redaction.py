"""Takes out of a recording what must not leave the house: request paths, texts of statements, names of hosts.

Each is replaced by a name that is the same wherever it stands (`/path-3`, `statement-2`, `host-1`), so that
what belongs together still does. Routes stay, since they are templates, and so do places in code, which is
what a stack is for. Variables of a dump, plans, what databases said of themselves, and the sentences of
findings go; findings are judged anew by whoever opens the piece. A name of a host is taken out of every other
text as well.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import msgspec

from perftui.model.events import FrameReceived, HistoryReceived, WorkerFound, WorkerJoined
from perftui.model.ramp import RampCourse, RampLimit
from perftui.recording.entries import Entry, Judged, RampTold
from perftui_agent.wire.actions import Functions, Memory, Profile
from perftui_agent.wire.codec import WireError, decode_from_agent, encode
from perftui_agent.wire.dumps import Dump
from perftui_agent.wire.explain import PLAN_CHANGED
from perftui_agent.wire.frames import Frame

TAKEN_OUT = "request paths, statement texts, host names"

LEAST_LETTERS = 3
"""A host with a shorter name is not looked for in other texts: it would be found in words. Where an id of one
of its workers stands, it is."""

_NO_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"})  # noqa: S104 - read, not bound

_PATHS, _STATEMENTS, _HOSTS, _DATABASES = "/path", "statement", "host", "database"

_FIELDS = {
    "path": _PATHS,
    "statement": _STATEMENTS,
    "host": _HOSTS,
    "database": _DATABASES,
    "address": "address",
}


class Redaction:
    """What has been replaced, and by what. Hosts are to be known before anything is."""

    def __init__(self, hosts: Iterable[str]) -> None:
        self._names: dict[str, dict[str, str]] = {}
        for host in sorted(set(hosts)):
            self._name(_HOSTS, host)
        longest_first = sorted(self._names.get(_HOSTS, {}), key=len, reverse=True)
        self._found = re.compile("|".join(map(_pattern, longest_first))) if longest_first else None

    def __call__(self, event: Entry) -> Entry | None:
        """Return an event without what must not leave the house; nothing if nothing is left."""
        if isinstance(event, Judged):
            return None
        if isinstance(event, RampTold):
            event = replace(event, course=_figures_of(event.course))
        plain = msgspec.to_builtins(event, builtin_types=(bytes,))
        return msgspec.convert(self._redacted(plain, ""), type(event))

    def _name(self, kind: str, text: str) -> str:
        if not text or text in _NO_NAMES:
            return text
        names = self._names.setdefault(kind, {})
        return names.setdefault(text, f"{kind}-{len(names) + 1}")

    def _redacted(self, value: Any, field: str) -> Any:
        if isinstance(value, dict):
            if "start_ns" in value and "kind" in value:
                value = {**value, "name": self._span(value)}
            if value.get("kind") == PLAN_CHANGED:
                value = {**value, "text": "the plan of a statement is another"}
            if field == "texts":
                return {key: self._name(_STATEMENTS, text) for key, text in value.items()}
            return {
                self._text(key) if isinstance(key, str) else key: self._redacted(each, str(key))
                for key, each in value.items()
            }
        if isinstance(value, list | tuple):
            return [self._redacted(each, field) for each in value]
        if isinstance(value, bytes):
            return self._result(value)
        if isinstance(value, str):
            return self._name(_FIELDS[field], value) if field in _FIELDS else self._text(value)
        return value

    def _span(self, span: dict[str, Any]) -> str:
        name = str(span.get("name", ""))
        if span["kind"] in {"sql", "transaction"}:
            return self._name(_STATEMENTS, name)
        if span["kind"] == "lock":
            # What it is on is a table of theirs.
            return self._name("lock", name)
        return self._name("call", name) if span["kind"] == "http" else name

    def _text(self, text: str) -> str:
        if self._found is None:
            return text
        names = self._names[_HOSTS]
        return self._found.sub(lambda match: names[match[0]], text)

    def _result(self, result: bytes) -> bytes:
        """Return what was taken, if it is of a kind that is known to hold nothing else."""
        try:
            taken = decode_from_agent(result) if result else None
        except WireError:
            return b""
        if isinstance(taken, Dump):
            taken = msgspec.structs.replace(taken, locals=[], locals_of="")
        if not isinstance(taken, Dump | Profile | Memory | Functions):
            return b""
        plain = self._redacted(msgspec.to_builtins(taken, builtin_types=(bytes,)), "")
        return encode(msgspec.convert(plain, type(taken)))


def _pattern(host: str) -> str:
    """Return what finds a host's name in a text; a short one only before what follows it in an id."""
    name = re.escape(host)
    return name if len(host) >= LEAST_LETTERS else rf"(?<![\w.-]){name}(?=/\d+/\w)"


def _figures_of(course: RampCourse) -> RampCourse:
    """Return a ramp without what was sent; of what gave its kind: sentences quote lines and statements."""
    limits = tuple(RampLimit(each.kind, then_rps=each.then_rps) for each in course.limits)
    after = course.following
    following = RampLimit(after.kind, then_rps=after.then_rps) if after is not None else None
    return replace(course, requests=(), limits=limits, following=following)


def hosts_in(events: Iterable[Entry]) -> set[str]:
    """Return the names of all hosts that events tell of."""
    found: set[str] = set()
    for event in events:
        match event:
            case WorkerFound():
                found.add(event.identity.host)
            case WorkerJoined():
                found.add(event.hello.worker.host)
            case FrameReceived():
                found |= _hosts_of(event.frame)
            case HistoryReceived():
                for frame in event.frames:
                    found |= _hosts_of(frame)
    return {host for host in found if host not in _NO_NAMES} - {""}


def _hosts_of(frame: Frame) -> set[str]:
    return {each.host for each in frame.upstreams} | {each.host.partition(":")[0] for each in frame.upstreams}
