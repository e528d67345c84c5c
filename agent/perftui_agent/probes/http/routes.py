"""Route labels: `METHOD template`, with every prefix of mounts and included routers.

Takes the scope a request leaves behind, gives its label. What the scope alone says is not enough:
`route.path_format` lacks the prefixes of mounts and, since FastAPI builds included routers lazily,
theirs too; `root_path` holds the concrete values of a mount's parameters. So the whole tree of routes
is walked once, and requests look their endpoint up in it. An endpoint reached by several templates is
told apart by the path. An app whose routes can't be seen from outside, as a dispatcher's or behind a
middleware that is a function, is told by the router that the request came by. Works from FastAPI 0.110
and Starlette 0.36 on; imports neither.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from perftui_agent.records import Scope

KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})

UNMATCHED = "(unmatched)"

MAX_DEPTH = 20
"""Mounts within mounts; a sub-app that is mounted in itself ends here."""

MAX_ROUTERS = 50
"""Routers that only requests lead to; an app that makes one for each request has its labels cut short."""

_REBUILD_EVERY_S = 1.0
_GROUP_NAME = re.compile(r"\(\?P<\w+>")


class Candidate(NamedTuple):
    """One way to reach an endpoint."""

    endpoint: object
    template: str
    methods: frozenset[str] | None
    """None: any."""
    pattern: re.Pattern[str]


def method_of(scope: Scope) -> str:
    """Return the request's method, odd ones as `_OTHER`."""
    method: str = scope["method"]
    return method if method in KNOWN_METHODS else "_OTHER"


class RouteLabels:
    """The labels of one app."""

    def __init__(self, app: object) -> None:
        self._app = app
        self._routers: dict[int, object] = {}
        """Those that requests came by and that are in no tree yet."""
        self._built_at = float("-inf")
        self._by_endpoint: dict[int, list[Candidate]] = {}
        self.known: dict[int, dict[str, str]] = {}
        """By endpoint and method; endpoints that only one template leads to."""

    def label(self, scope: Scope, status: int = 0) -> str:
        """Return the label of a request; with no `status`, of one that is still in flight."""
        try:
            return self.known[id(scope["endpoint"])][scope["method"]]
        except KeyError:
            template = self._template(scope, scope.get("endpoint"), status)
            return f"{method_of(scope)} {template}"

    def _template(self, scope: Scope, endpoint: object, status: int) -> str:
        if endpoint is None:
            if status in {404, 405} or scope["method"] == "OPTIONS":
                return UNMATCHED
            # A middleware answered before the router, or handed a copy of the scope on.
            return self._by_path(scope, self._all_candidates())
        candidates = self._by_endpoint.get(id(endpoint))
        if candidates is None:
            self._rebuild(self._found_router(scope))
            candidates = self._by_endpoint.get(id(endpoint))
        if candidates is None:
            return self._told_by_scope(scope)
        templates = {candidate.template for candidate in candidates}
        if len(templates) > 1:
            return self._by_path(scope, candidates)
        template = candidates[0].template
        if scope["method"] in KNOWN_METHODS:
            labels = self.known.setdefault(id(endpoint), {})
            labels[scope["method"]] = f"{scope['method']} {template}"
        return template

    def _found_router(self, scope: Scope) -> bool:
        """Remember the outermost router of a request; tell whether it is a new one."""
        router = scope.get("router")
        if router is None or id(router) in self._routers or len(self._routers) >= MAX_ROUTERS:
            return False
        self._routers[id(router)] = router
        return True

    def _told_by_scope(self, scope: Scope) -> str:
        """Return what a route says of itself that is not in the tree: from a router of its own kind."""
        route = scope.get("route")
        told = getattr(route, "path_format", None) or getattr(route, "path", None)
        return told if isinstance(told, str) else UNMATCHED

    def _by_path(self, scope: Scope, candidates: list[Candidate]) -> str:
        path = route_path(scope)
        method = scope["method"]
        fitting = [candidate for candidate in candidates if candidate.pattern.match(path)]
        for candidate in fitting:
            if candidate.methods is None or method in candidate.methods:
                return candidate.template
        return fitting[0].template if fitting else UNMATCHED

    def _all_candidates(self) -> list[Candidate]:
        if not self._by_endpoint:
            self._rebuild()
        return [candidate for candidates in self._by_endpoint.values() for candidate in candidates]

    def _rebuild(self, at_once: bool = False) -> None:
        # Routes may be added while the app runs; an endpoint from nowhere must not cost a walk each.
        now = time.monotonic()
        if not at_once and now - self._built_at < _REBUILD_EVERY_S:
            return
        self._built_at = now
        by_endpoint: dict[int, list[Candidate]] = {}
        for root in (self._app, *self._routers.values()):
            for candidate in _walk(_routes_of(root), "", "", 0):
                ways = by_endpoint.setdefault(id(candidate.endpoint), [])
                if candidate not in ways:
                    ways.append(candidate)
        # The candidates hold their endpoints, so no id is used again while its label is known.
        self.known.clear()
        self._by_endpoint = by_endpoint


def route_path(scope: Scope) -> str:
    """Return the path that the outermost router matched: without the server's root path."""
    path: str = scope["path"]
    root: str = scope.get("app_root_path", scope.get("root_path", "")) or ""
    if root and path.startswith(root) and (len(path) == len(root) or path[len(root)] == "/"):
        return path[len(root) :]
    return path


def _routes_of(app: object) -> list[Any]:
    """Return the routes of an app, looking through the middleware around it."""
    for _ in range(MAX_DEPTH):
        routes = getattr(app, "routes", None)
        if isinstance(routes, list | tuple):
            return list(routes)
        app = getattr(app, "app", None)
        if app is None:
            break
    return []


def _walk(routes: list[Any], prefix: str, pattern: str, depth: int) -> Iterator[Candidate]:
    if depth > MAX_DEPTH:
        return
    for route in routes:
        contexts = getattr(route, "effective_route_contexts", None)
        if contexts is not None:  # a FastAPI router, included lazily
            for context in contexts():
                described = getattr(context, "starlette_route", None) or context
                yield from _walk_one(described, prefix, pattern, depth)
        else:
            yield from _walk_one(route, prefix, pattern, depth)


def _walk_one(route: Any, prefix: str, pattern: str, depth: int) -> Iterator[Candidate]:
    path_format = getattr(route, "path_format", None)
    regex = getattr(route, "path_regex", None)
    if hasattr(route, "host_regex"):
        yield from _walk(_routes_of(route), prefix, pattern, depth + 1)
    elif path_format is None or regex is None:
        return
    elif (endpoint := getattr(route, "endpoint", None)) is not None:
        methods = getattr(route, "methods", None)
        yield Candidate(
            endpoint,
            prefix + path_format,
            frozenset(methods) if methods else None,
            _compiled(pattern + _inner(regex.pattern) + "$"),
        )
    elif (mounted := getattr(route, "app", None)) is not None:
        inside = _routes_of(route) or _routes_of(mounted)
        if inside:
            base = prefix + path_format.removesuffix("/{path}")
            base_pattern = pattern + _inner(regex.pattern).removesuffix("/(?:.*)")
            # What reaches the sub-app and none of its routes is no route's.
            yield Candidate(mounted, UNMATCHED, None, _compiled("(?!)"))
            yield from _walk(inside, base, base_pattern, depth + 1)
        else:
            yield Candidate(
                mounted, prefix + path_format, None, _compiled(pattern + _inner(regex.pattern) + "$")
            )


def _inner(pattern: str) -> str:
    """Return a route's pattern without its anchors and group names, so that patterns can be joined."""
    return _GROUP_NAME.sub("(?:", pattern.removeprefix("^").removesuffix("$"))


def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)
