"""Several tests at once: what they share is started once."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="module")
def server() -> str:
    """Stand for a server that the tests of a module share."""
    return "started"


def test_what_shares_a_server_has_a_lane_for_it(request: pytest.FixtureRequest, server: str) -> None:
    """Else each lane would start it, and say nothing: as when pytest had changed what xdist goes by."""
    in_lanes = getattr(request.config.option, "loadgroup", False)
    assert request.node.nodeid.endswith("@test_lanes server=None") == bool(in_lanes)
