"""Route labels: `METHOD template`, with every prefix of mounts and included routers.

Takes the scope a request leaves behind, gives its label. What the scope alone says is not enough:
`route.path_format` lacks the prefixes of mounts and, since FastAPI builds included routers lazily,
theirs too; `root_path` holds the concrete values of a mount's parameters. So the whole tree of routes
is walked (`route_tree`), and requests look their route up in it. Where the scope does not say which
route it was, the path tells: a route reached by several templates, a middleware that answered before
the router, or one that handed a copy of the scope on. An app whose routes can't be seen from outside,
as a dispatcher's, is told by the router that the request came by. Works from FastAPI 0.110 and
Starlette 0.36 on; imports neither.
"""

from __future__ import annotations

import inspect
import weakref
from collections.abc import Iterator
from time import perf_counter_ns
from types import CodeType
from typing import Any

from perftui_agent.probes.http.route_tree import SOCKET, Leaf, RouteTree, routes_of
from perftui_agent.probes.http.scope_copies import routed_copy_of
from perftui_agent.records import OpenEnded, Scope

KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"})

UNMATCHED = "(unmatched)"

ODD = "_OTHER"
"""Stands for any method that nobody knows."""

MAX_ROUTERS = 50
"""Routers that only requests lead to; an app that makes one for each request has its labels cut short."""

MAX_OPEN_ENDED = 1_000
"""Labels of routes that take any path, remembered by the window."""

MAX_FOREIGN = 500
"""Routes that are in no tree, remembered so that they are not searched for each time."""

WALKS_AT_ONCE_NS = 200_000_000
WALKS_SHARE = 0.02
"""How long walking the tree may take: at once, and of the time that goes by. It takes 1 ms for 500 routes,
and an app that adds a route with each request must not pay that each time."""


every: weakref.WeakSet[RouteLabels] = weakref.WeakSet()
"""The labels of all apps of this process, for who looks whether their routes have changed."""


def method_of(scope: Scope) -> str:
    """Return the request's method, odd ones as `_OTHER`."""
    method: str = scope["method"]
    return method if method in KNOWN_METHODS else ODD


class RouteLabels:
    """The labels of one app."""

    def __init__(self, app: object, open_ended: dict[str, OpenEnded] | None = None) -> None:
        self._app = app
        self._open_ended = {} if open_ended is None else open_ended
        """By label: the routes that take whatever comes below them."""
        self._routers: dict[int, object] = {}
        """Those that requests came by and that are in no tree yet."""
        self._is_part = False
        """Whether one of those leads to all that the app has: it is mounted in another, unwatched one."""
        self._tree = RouteTree()
        self._foreign: dict[int, object] = {}
        self._left_ns = float(WALKS_AT_ONCE_NS)
        self._looked_at_ns = perf_counter_ns()
        self.known: dict[int, dict[str, str]] = {}
        """By route (where the scope does not name it, by endpoint) and method, if only one template leads
        there. Who looks here first looks whether `top` still has the `length` it had."""
        self.top: list[Any] = []
        self.length = 0
        every.add(self)

    def label(self, scope: Scope, status: int = 0) -> str:
        """Return the label of a request; with no `status`, of one that is still in flight."""
        return self._label(scope, status)

    def _label(self, scope: Scope, status: int, *, is_copy: bool = False) -> str:
        if not self._tree.walked:
            self._walk()
        if "app_root_path" in scope and self._may_walk() and self._found_router(scope):
            self._look_around()
        if scope["type"] == "websocket":
            return self._label_of_socket(scope, bool(status), is_copy=is_copy)
        method = method_of(scope)
        endpoint = scope.get("endpoint")
        if endpoint is None or self._tree.is_mounted(endpoint):
            # A middleware answered before the router, handed a copy of the scope on, or nothing fits.
            leaf = self._tree.find(route_path(scope), scope["method"])
            routed = is_copy or (endpoint is None and "router" in scope)
            if status and not routed and (leaf is None or leaf.open_from is not None):
                copy = routed_copy_of(scope)
                if copy is not None:
                    return self._label(copy, status, is_copy=True)
            told = UNMATCHED
        else:
            leaf = self._leaf(scope, endpoint, bool(status))
            told = "" if leaf is not None else self._told_by_scope(scope)
        if leaf is None:
            return f"{method} {told}"
        label = f"{method} {leaf.template}"
        if leaf.open_from is not None and label not in self._open_ended:
            if len(self._open_ended) >= MAX_OPEN_ENDED:
                self._open_ended.clear()
            self._open_ended[label] = OpenEnded(_root_path(scope), leaf.template[: leaf.open_from])
        return label

    def _label_of_socket(self, scope: Scope, is_known: bool, *, is_copy: bool) -> str:
        endpoint = scope.get("endpoint")
        if endpoint is None or self._tree.is_mounted(endpoint):
            copy = routed_copy_of(scope) if is_known and not is_copy else None
            return f"WS {UNMATCHED}" if copy is None else self._label_of_socket(copy, is_known, is_copy=True)
        route = scope.get("route")
        if getattr(route, "endpoint", None) is not endpoint:
            route = None  # of a router further out
        leaves = [leaf for leaf in self._ways(scope, route, endpoint, is_known) if leaf.methods is SOCKET]
        if not leaves:
            return f"WS {self._told_by_scope(scope)}" if route is not None else f"WS {UNMATCHED}"
        path = route_path(scope)
        fits = (leaf for leaf in leaves if _may_lead_to(leaf.template, path))
        return f"WS {next(fits, leaves[0]).template}"

    def endpoint_codes(self) -> Iterator[tuple[CodeType, str]]:
        """Yield the code of each endpoint that is a function, and the label that it is counted under."""
        for leaf in self._tree.leaves():
            code = getattr(_function(leaf.endpoint), "__code__", None)
            if isinstance(code, CodeType):
                for method in sorted((leaf.methods or {"GET"}) - {"HEAD"}):
                    yield code, f"{method} {leaf.template}"

    def walk_once(self) -> None:
        """Walk the tree of routes if no request has had it walked yet; on the app's thread.

        An app that shows no routes may show some to its first request, by the router that it comes by.
        """
        if not self._tree.walked:
            self._walk()
            self._tree.walked = next(self._tree.leaves(), None) is not None

    def serves(self, label: str) -> bool | None:
        """Tell whether requests may be counted under a label; None before the first of them has come."""
        if not self._tree.walked:
            return None
        method, _, template = label.partition(" ")
        if template == UNMATCHED:
            return True
        return any(
            leaf.template == template
            and leaf.methods is not SOCKET
            and (leaf.methods is None or method in leaf.methods or method == ODD)
            for leaf in self._tree.leaves()
        )

    def labels(self) -> Iterator[str]:
        """Yield the labels of all routes of requests that are known."""
        for leaf in self._tree.leaves():
            if leaf.methods is SOCKET:
                continue
            for method in sorted((leaf.methods or {"GET"}) - {"HEAD"}):
                yield f"{method} {leaf.template}"

    def look_again(self) -> None:
        """Walk the tree of routes anew if it has changed, and if walking has not taken too long already."""
        if self._may_walk() and self._tree.has_changed():
            self._walk()

    def notice_changes(self) -> None:
        """Have the next request walk the tree of routes if it has changed; on the agent's thread.

        Walking it there would run code of FastAPI's beside the app's own loop.
        """
        if self._tree.walked and self._tree.has_changed():
            self.known = {}
            self.length = -1

    def _leaf(self, scope: Scope, endpoint: object, has_ended: bool) -> Leaf | None:
        """Return the route by which a request came to its endpoint; None if it is in no tree."""
        route = scope.get("route")
        if getattr(route, "endpoint", None) is not endpoint and getattr(route, "app", None) is not endpoint:
            route = None  # of a router further out
        leaves = self._ways(scope, route, endpoint, has_ended)
        if not leaves:
            return None
        if any(leaf.template != leaves[0].template for leaf in leaves):
            found = self._tree.find(route_path(scope), scope["method"])
            return found if any(leaf is found for leaf in leaves) else leaves[0]
        if scope["method"] in KNOWN_METHODS:
            labels = self.known.setdefault(id(route or endpoint), {})
            labels[scope["method"]] = f"{scope['method']} {leaves[0].template}"
        return leaves[0]

    def _ways(self, scope: Scope, route: object, endpoint: object, has_ended: bool) -> list[Leaf]:
        """Return the ways to an endpoint, looking again for one that is not known."""
        leaves = self._tree.ways(route, endpoint)
        key = route or endpoint
        if leaves or not has_ended or id(key) in self._foreign:
            return leaves
        if self._may_walk() and (self._found_router(scope) or self._tree.has_changed()):
            self._walk()
            leaves = self._tree.ways(route, endpoint)
        if not leaves and not self._tree.has_changed():
            if len(self._foreign) >= MAX_FOREIGN:
                self._foreign.clear()
            self._foreign[id(key)] = key
        return leaves

    def _found_router(self, scope: Scope) -> bool:
        """Remember the outermost router of a request; tell whether it is a new one."""
        router = scope.get("router")
        if router is None or id(router) in self._routers or len(self._routers) >= MAX_ROUTERS:
            return False
        if getattr(router, "routes", None) is self.top:
            return False
        self._routers[id(router)] = router
        return True

    def _may_walk(self) -> bool:
        now_ns = perf_counter_ns()
        earned_ns = (now_ns - self._looked_at_ns) * WALKS_SHARE
        self._left_ns = min(self._left_ns + earned_ns, WALKS_AT_ONCE_NS)
        self._looked_at_ns = now_ns
        return self._left_ns > 0

    def _walk(self) -> None:
        started_ns = perf_counter_ns()
        own = () if self._is_part else (self._app,)
        self._tree.walk([*own, *self._routers.values()])
        self.known = {}
        self._foreign = {}
        self.top = routes_of(self._app)
        self.length = len(self.top)
        self._left_ns -= perf_counter_ns() - started_ns

    def _look_around(self) -> None:
        """Find the app in what it may be mounted in: its labels then have those prefixes, too."""
        own = next(self._tree.leaves(), None)
        around = RouteTree()
        around.walk(self._routers.values())
        self._is_part = own is not None and bool(around.ways(own.route, own.endpoint))
        self._walk()

    def _told_by_scope(self, scope: Scope) -> str:
        """Return what a route says of itself that is not in the tree: from a router of its own kind."""
        route = scope.get("route")
        fastapi = scope.get("fastapi")
        context = fastapi.get("effective_route_context") if isinstance(fastapi, dict) else None
        if context is not None and getattr(context, "original_route", None) is route:
            route = getattr(context, "starlette_route", None) or context
        told = getattr(route, "path_format", None) or getattr(route, "path", None)
        return self._prefix_of(scope, route) + told if isinstance(told, str) else UNMATCHED

    def _prefix_of(self, scope: Scope, route: object) -> str:
        """Return the template of the mount that an unknown route is below, if the rest of the path fits."""
        path = route_path(scope)
        mount = self._tree.find(path, scope["method"])
        pattern = getattr(route, "path_regex", None)
        if mount is None or mount.open_from is None or pattern is None:
            return ""
        prefix = mount.template[: mount.open_from]
        rest = "/" + "/".join(path.split("/")[1 + prefix.count("/") :])
        return prefix if pattern.match(rest) else ""


def route_path(scope: Scope) -> str:
    """Return the path that the outermost router matched: without the server's root path."""
    path: str = scope["path"]
    return path.removeprefix(_root_path(scope))


def _root_path(scope: Scope) -> str:
    """Return what of the path is the server's."""
    path: str = scope["path"]
    root: str = scope.get("app_root_path", scope.get("root_path", "")) or ""
    return root if path.startswith(root) and (len(path) == len(root) or path[len(root)] == "/") else ""


def _may_lead_to(template: str, path: str) -> bool:
    """Tell, of several ways to one endpoint, those with the same fixed parts as a path."""
    ours, theirs = template.split("/"), path.split("/")
    return len(ours) == len(theirs) and all(
        part == other or "{" in part for part, other in zip(ours, theirs, strict=True)
    )


def _function(endpoint: Any) -> Any:
    try:
        return inspect.unwrap(endpoint)
    except ValueError:  # it is wrapped in itself
        return endpoint
