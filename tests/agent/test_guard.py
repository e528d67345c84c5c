"""Promise 6: a fault of the agent's costs a count."""

from __future__ import annotations

import asyncio

import pytest

from perftui_agent.guard import MAX_PLACES, Guard


def test_a_fault_is_counted_by_its_place_and_goes_no_further() -> None:
    """What the block has done before it stays done."""
    guard, done = Guard(), list[str]()
    for _ in range(2):
        with guard.guarding("here"):
            done.append("before")
            raise ValueError("ours")
    with guard.guarding("there"):
        done.append("all")
    assert done == ["before", "before", "all"]
    assert guard.faults == {"here": 2}


@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, SystemExit])
def test_what_ends_a_task_or_a_process_passes(error: type[BaseException]) -> None:
    """It is no fault of ours."""
    guard = Guard()
    with pytest.raises(error), guard.guarding("here"):
        raise error
    assert not guard.faults


def test_places_are_bounded() -> None:
    """Those beyond share a place."""
    guard = Guard()
    for number in range(MAX_PLACES + 10):
        with guard.guarding(f"place {number}"):
            raise ValueError
    assert len(guard.faults) == MAX_PLACES + 1
    assert guard.faults["(other)"] == 10
