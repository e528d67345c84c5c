"""What requests have done: most of them are folded in one go, when they have ended.

A request that ends within a second or so leaves its parts behind as they came: its sums go to its route,
the times of its statements to their shapes, and a story is made of it only if it turns out to be one of
the slowest. One that is long under way is folded piece by piece, into a story of bounded size.
"""

from __future__ import annotations

from collections.abc import Sequence

from perftui_agent.handover import take_counted, take_parts
from perftui_agent.records import CallRecord, RequestPart, RequestRecord, Shape, StatementRecord
from perftui_agent.window.locks import lock_spans
from perftui_agent.window.routes import RouteLedger, RouteTally, add_to
from perftui_agent.window.statements import REPEATED_FROM, StatementLedger
from perftui_agent.window.stories import MAX_SPANS, StoryLedger
from perftui_agent.window.upstreams import UpstreamLedger

PIECE = 100
"""So many parts of a request that has not ended are folded at the next beat, fewer as the frame closes."""

SETTLED_AT_ONCE = 4_096
"""Executions whose times are gathered before sketches take them; 0.4 ms."""


class PartLedger:
    """Takes the parts of requests, and gives them to routes, statements, upstreams and stories."""

    def __init__(
        self,
        routes: RouteLedger,
        statements: StatementLedger,
        upstreams: UpstreamLedger,
        stories: StoryLedger,
    ) -> None:
        self._routes = routes
        self._statements = statements
        self._upstreams = upstreams
        self._stories = stories
        self._gathered = 0

    def leave(self, part: RequestPart) -> None:
        """Leave a part that came another way with its request, if that has not been told of yet."""
        request = part.request
        if request is None or request.folded or 0 < request.ended_ns <= part.started_ns:
            return  # what comes after the last byte is no part of the latency
        part.request = None
        if request.parts is None:
            request.parts = [part]
        else:
            request.parts.append(part)
        if len(request.parts) >= PIECE and not request.ended_ns:
            self.fold_piece(request)

    def fold_piece(self, request: RequestRecord) -> int:
        """Fold what a request that is under way has done so far; return how many parts that were."""
        statements, stories = self._statements, self._stories
        parts, counted = take_parts(request), take_counted(request)
        if request.locks is not None:
            parts += lock_spans(request, parts, statements)
        calls: list[CallRecord] = []
        for part in parts:
            if type(part) is StatementRecord:
                statements.fold_piece(part, request)
            elif type(part) is CallRecord:
                calls.append(part)
        if calls:
            self._upstreams.fold_piece(calls, request)
        for part in parts:
            stories.fold_part(part, request)
        for shape, took_ns in counted:
            statements.count_piece(shape, took_ns, request)
            stories.count_rest(request, shape.kind, len(took_ns), sum(took_ns))
        return len(parts) + len(counted)

    def fold_ended(self, request: RequestRecord, tally: RouteTally) -> None:
        """Fold what a request has done that has ended, and belongs to a route now."""
        if request.executed is not None or request.story is not None:
            self.fold_piece(request)
            if request.called is not None:
                self._upstreams.fold_request(request, tally.frame)
            if request.executed is not None:
                self._statements.fold_request(request, tally.frame)
            if request.story is not None:
                self._stories.sum_up(request, tally.frame)
            return
        parts = request.parts
        if parts:
            if request.locks is not None:
                parts += lock_spans(request, parts, self._statements)
            self._fold_whole(request, parts, tally)
        if request.counted:
            took = tally.took_ns
            for shape, took_ns in request.counted.items():
                took.setdefault(shape, []).extend(took_ns)
                self._gathered += len(took_ns)
                self._statements.not_compared(shape, len(took_ns))
        if self._gathered >= SETTLED_AT_ONCE:
            self.settle()

    def fold_apart(self, work: RequestRecord, tally: RouteTally) -> None:
        """Fold what was done in the name of a route and is no part of its requests; over or under way."""
        self.fold_piece(work)
        if work.called is not None:
            self._upstreams.fold_request(work, tally.frame)
        if work.executed is not None:
            self._statements.fold_request(work, tally.frame)
        if work.story is not None:
            self._stories.sum_up(work, tally.frame)
            work.story = None

    def settle(self) -> None:
        """Have sketches and sums take the times, and the calls, that were gathered."""
        for tally in self._routes.tallies.values():
            for shape, took_ns in tally.took_ns.items():
                self._statements.settle(shape, tally.frame, took_ns)
            tally.took_ns.clear()
        self._gathered = 0
        self._upstreams.settle()

    def _fold_whole(self, request: RequestRecord, parts: Sequence[RequestPart], tally: RouteTally) -> None:
        # Written out, since it runs for each statement there is: a call costs as much as what it does here.
        statements, took = self._statements, tally.took_ns
        seen, moment = statements.binds, request.started_ns
        shapes: list[Shape] = []
        calls: list[CallRecord] | None = None
        for part in parts:
            if type(part) is not StatementRecord:
                if type(part) is CallRecord:
                    if calls is None:
                        calls = [each for each in parts if type(each) is CallRecord]
                        if len(calls) == len(parts):
                            break
                    continue
                add_to(tally.frame, part.kind, 1, part.ended_ns - part.started_ns)
                continue
            shape = (part.known or statements.learn(part)).shape
            took_ns = took.get(shape)
            if took_ns is None:
                took_ns = took[shape] = []
            took_ns.append(part.ended_ns - part.started_ns)
            shapes.append(shape)
            binds = part.binds
            if binds is not None:
                key = binds ^ id(shape)
                before = seen.get(key)
                seen[key] = moment
                if before != moment:
                    statements.compare(shape, key, before, moment)
                    seen = statements.binds
            elif not request.followed:
                statements.not_compared(shape, 1)
            if part.failed or part.slow or part.call_site:
                statements.note(shape, part)
        if calls is not None:
            self._upstreams.fold_whole(calls, tally)
            if len(calls) > MAX_SPANS:
                self._upstreams.settle()  # its story, which names their paths, may be made at once
        executions = len(shapes)
        self._gathered += executions
        if executions >= REPEATED_FROM and executions - len(set(shapes)) >= REPEATED_FROM - 1:
            statements.find_repeats(parts, tally.frame)
