"""What headers tell of bodies."""

from __future__ import annotations

import pytest

from perftui_agent.records import Headers
from perftui_agent.sketch import LatencySketch
from perftui_agent.window.bodies import fold_bodies
from perftui_agent.wire.frames import RouteFrame, StatusCounts
from tests.support.requests import begin


def folded(request: Headers | None = None, response: Headers | None = None) -> RouteFrame:
    route = RouteFrame(route="POST /", status=StatusCounts(), latency=LatencySketch())
    fold_bodies(begin(request_headers=request, response_headers=response), route)
    return route


def test_the_length_of_a_request_is_its_content_length() -> None:
    """However the header is spelled."""
    sketch = folded(request=[(b"host", b"x"), (b"Content-Length", b"2048")]).request_bytes
    assert sketch is not None
    assert (sketch.count, sketch.total) == (1, 2048)


@pytest.mark.parametrize("value", [b"", b"-1", b"1e3", b"9" * 5000, "٣".encode()])
def test_a_length_that_is_no_number_counts_nothing(value: bytes) -> None:
    """Clients may send anything."""
    assert folded(request=[(b"content-length", value)]).request_bytes is None


def test_a_request_without_a_length_counts_nothing() -> None:
    """A body in chunks does not say how long it is."""
    assert folded(request=[(b"transfer-encoding", b"chunked")]).request_bytes is None


@pytest.mark.parametrize(
    ("encoding", "compressed"), [(b"gzip", 1), (b"BR", 1), (b"zstd", 1), (b"identity", 0), (b"", 0)]
)
def test_a_compressed_response_is_counted(encoding: bytes, compressed: int) -> None:
    """As its content encoding says."""
    assert folded(response=[(b"content-encoding", encoding)]).compressed == compressed


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
    assert folded(response=headers).files == files
