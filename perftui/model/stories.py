"""The stories of slow requests, with the texts of their statements: on the wire each text is there once."""

from __future__ import annotations

from operator import is_

import msgspec

from perftui.model.outside_summary import QuerySummary
from perftui_agent.wire.frames import Frame
from perftui_agent.wire.requests import SlowRequest, Span


def with_texts(frame: Frame) -> Frame:
    """Return the frame with whole statements in its stories, as far as it has their texts."""
    if not any(slow.spans for slow in frame.slowest):
        return frame
    texts = frame.texts | {row.fingerprint: row.statement for row in frame.statements if row.statement}
    if not texts:
        return frame
    return msgspec.structs.replace(
        frame, slowest=[_with_texts(slow, texts) for slow in frame.slowest], texts={}
    )


def _with_texts(slow: SlowRequest, texts: dict[str, str]) -> SlowRequest:
    spans = [_whole(span, texts) for span in slow.spans]
    if all(map(is_, spans, slow.spans)):
        return slow
    return msgspec.structs.replace(slow, spans=spans)


def _whole(span: Span, texts: dict[str, str]) -> Span:
    text = texts.get(span.fingerprint or "", "")
    return span if len(text) <= len(span.name) else msgspec.structs.replace(span, name=text)


def runs(span: Span, query: QuerySummary) -> bool:
    """Tell whether a span is an execution of a statement."""
    if span.fingerprint is not None:
        return span.fingerprint == query.fingerprint
    return span.kind in {"sql", "transaction"} and span.name == query.statement  # of an older agent
