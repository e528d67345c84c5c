"""What is sent: requests as they are typed, their shares, and the paths that their braces stand for.

`GET /items/{1..5000}` takes a number of that range each time, `GET /{shop,blog}` one of those words, and
`POST /orders @body.json` sends a file, in which `{1..9}` stands for a number as well.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""

METHODS = (*sorted(SAFE), "POST", "PUT", "PATCH", "DELETE")

LARGEST_BODY = 1_000_000

MOST_REQUESTS = 50

_NUMBERS = re.compile(r"\{(-?\d{1,15})\.\.(-?\d{1,15})\}")
"""What differs from one to the next in a body: its other braces are its own."""

_BRACES = re.compile(r"\{(?:(-?\d{1,15})\.\.(-?\d{1,15})|([^{}]*,[^{}]*))\}")
_LINE = re.compile(r"(?P<method>[A-Za-z]+) +(?P<path>/\S*)(?: +@(?P<file>\S.*))?")

Kind: TypeAlias = Literal["application/json", "text/plain"]


class PlanError(ValueError):
    """What is wrong with a request, and how one is written: one line."""


@dataclass(frozen=True, slots=True)
class Request:
    """One kind of request."""

    method: str
    path: str
    """With its braces."""
    weight: float = 1.0
    body: str | None = None
    content_type: str = "application/json"

    @property
    def changes_things(self) -> bool:
        """Whether its method may."""
        return self.method not in SAFE

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Sent:
    """One request as it goes out."""

    method: str
    path: str
    body: bytes | None
    content_type: str


def parse_request(text: str, weight: float = 1.0) -> Request:
    """Return what `text` asks for; `PlanError` if it asks for nothing."""
    match = _LINE.fullmatch(text.strip())
    if match is None:
        raise PlanError(
            f"{text!r} is no request: write 'GET /items/{{1..5000}}' or 'POST /orders @body.json'"
        )
    method = match["method"].upper()
    if method not in METHODS:
        raise PlanError(f"{text!r}: {method} is none of {', '.join(METHODS)}")
    if not 0 < weight < math.inf:
        raise PlanError(f"{text!r}: its weight is {weight:g}; leave it out instead")
    body, kind = _body(text, match["file"])
    _check_braces(text, match["path"])
    return Request(method, match["path"], weight, body, kind)


def parse_requests(texts: Sequence[str], weights: Sequence[float] = ()) -> tuple[Request, ...]:
    """Return a plan of several requests."""
    if not texts:
        raise PlanError("nothing is to be sent: name a request, as 'GET /items/{1..5000}'")
    if len(texts) > MOST_REQUESTS:
        raise PlanError(f"{len(texts)} requests: at most {MOST_REQUESTS}")
    if weights and len(weights) != len(texts):
        raise PlanError(f"{len(weights)} weights for {len(texts)} requests: give one for each")
    return tuple(parse_request(text, weight) for text, weight in zip(texts, weights or [1.0] * len(texts)))  # noqa: B905 - checked above


def read_mix(path: Path) -> tuple[Request, ...]:
    """Return the plan that a file holds: a request a line, with its weight before it where it has one."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{path} can't be read: {error}") from None
    texts: list[str] = []
    weights: list[float] = []
    for line in lines:
        said = line.partition("#")[0].strip()
        if said:
            first, _, rest = said.partition(" ")
            has_weight = re.fullmatch(r"\d+(\.\d+)?", first) is not None
            texts.append(rest.strip() if has_weight else said)
            weights.append(float(first) if has_weight else 1.0)
    return parse_requests(texts, weights)


def stream(plan: Sequence[Request], rng: random.Random) -> Iterator[Sent]:
    """Yield requests for ever, each kind as often as its weight says."""
    weights = [request.weight for request in plan]
    while True:
        yield from (_sent(request, rng) for request in rng.choices(plan, weights, k=256))


def _sent(request: Request, rng: random.Random) -> Sent:
    # `{"item": 7, "quantity": 1}` is no choice of words.
    body = None if request.body is None else _filled(request.body, rng, _NUMBERS).encode()
    return Sent(request.method, _filled(request.path, rng), body, request.content_type)


def _filled(text: str, rng: random.Random, braces: re.Pattern[str] = _BRACES) -> str:
    """Return `text` with something for each of its braces."""

    def chosen(match: re.Match[str]) -> str:
        if braces is _BRACES and match[3] is not None:
            words: list[str] = match[3].split(",")
            return rng.choice(words)
        low, high = sorted((int(match[1]), int(match[2])))
        return str(rng.randint(low, high))

    return braces.sub(chosen, text) if "{" in text else text


def _check_braces(text: str, path: str) -> None:
    for match in _BRACES.finditer(path):
        if match[3] is None and int(match[1]) > int(match[2]):
            raise PlanError(f"{text!r}: {match[0]} goes down; write {{{match[2]}..{match[1]}}}")
    if "{" in _BRACES.sub("", path):
        raise PlanError(f"{text!r}: write {{1..5000}} or {{red,green}} for what differs from one to the next")


def _body(text: str, file: str | None) -> tuple[str | None, str]:
    if file is None:
        return None, "application/json"
    try:
        body = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PlanError(f"{text!r}: {file} can't be read: {error}") from None
    if len(body) > LARGEST_BODY:
        raise PlanError(f"{text!r}: {file} is larger than {LARGEST_BODY // 1_000_000} MB")
    return body, "application/json" if file.endswith(".json") else "text/plain"
