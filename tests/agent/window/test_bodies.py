"""What headers tell of bodies."""

from __future__ import annotations

import pytest

from perftui_agent.records import Headers
from perftui_agent.sketch import LatencySketch
from perftui_agent.window.bodies import fold_bodies
from perftui_agent.wire.requests import RouteFrame, StatusCounts


def folded(headers: Headers) -> RouteFrame:
    route = RouteFrame(route="POST /", status=StatusCounts(), latency=LatencySketch())
    fold_bodies(headers, route)
    return route


@pytest.mark.parametrize(
    ("encoding", "compressed"), [(b"gzip", 1), (b"BR", 1), (b"zstd", 1), (b"identity", 0), (b"", 0)]
)
def test_a_compressed_response_is_counted(encoding: bytes, compressed: int) -> None:
    """As its content encoding says."""
    assert folded([(b"content-encoding", encoding)]).compressed == compressed


@pytest.mark.parametrize(
    ("headers", "files"),
    [
        ([(b"content-type", b"image/jpeg")], 1),
        ([(b"Content-Type", b"Video/MP4")], 1),
        ([(b"content-type", b"application/zip; x=1")], 1),
        ([(b"content-type", b"text/csv"), (b"content-disposition", b'attachment; filename="a.csv"')], 1),
        ([(b"content-type", b"image/svg+xml")], 0),
        ([(b"content-type", b"application/json")], 0),
        ([(b"content-type", b"application/vnd.api+json")], 0),
        ([(b"content-type", b"text/html"), (b"content-disposition", b"inline")], 0),
        ([], 0),
    ],
)
def test_files_are_counted(headers: Headers, files: int) -> None:
    """What nobody could page through or compress once more: pictures, archives, downloads."""
    assert folded(headers).files == files
