"""What is told to who records of what somebody else has asked a worker for."""

from __future__ import annotations

import pytest

from perftui_agent.wire.actions import Profile
from perftui_agent.wire.asked import WITHHELD, asked_evidence, evidence_of, fits, for_others
from perftui_agent.wire.codec import decode_from_agent
from perftui_agent.wire.database import Database
from perftui_agent.wire.dumps import Dump, FrameLocals
from perftui_agent.wire.frames import MAX_MESSAGE_BYTES
from perftui_agent.wire.messages import ActionResult
from perftui_agent.wire.standing import Machine, Rights, Standing


def dump(**said: object) -> Dump:
    return Dump(id="1", pid=7, taken_at=1, took_ns=1, taken_by=7, **said)  # type: ignore[arg-type]


def test_what_was_taken_is_in_the_evidence_as_it_was_got() -> None:
    """With how it was taken, and as a whole."""
    profile = Profile(id="1", pid=7, taken_at=1, took_ns=5, engine="sampler", mode="wall", rate_hz=50)

    told = asked_evidence("box/7/1", profile)

    assert told is not None
    assert (told.kind, told.worker, told.how, told.outcome) == ("asked", "box/7/1", "sampler", "taken")
    assert decode_from_agent(told.result) == profile


def test_promise_19_the_values_of_variables_are_for_who_asked_for_them() -> None:
    """Whoever records beside gets the stacks, and that there was more."""
    values = FrameLocals(function="pay", file="a.py", line=3, values={"card": "4111"})
    asked = dump(locals_of="pay", locals=[values], locals_cut=2, note="slow")

    told = for_others(asked)

    assert isinstance(told, Dump)
    assert (told.locals, told.locals_of, told.note) == ([], "", f"slow; {WITHHELD}")
    assert asked.locals == [values]
    assert for_others(dump()) == dump()


@pytest.mark.parametrize(
    "result",
    [
        Standing(id="1", pid=7, rights=Rights(uid=1), machine=Machine()),
        Database(id="1", pid=7, taken_at=1, took_ns=1, engines={"main": "db"}),
    ],
)
def test_what_tells_of_nothing_that_happened_is_not_told(result: ActionResult) -> None:
    """Rights, and which sessions are a worker's, are asked beside something else."""
    assert asked_evidence("box/7/1", result) is None


def test_what_has_no_room_in_a_message_does_not_fit() -> None:
    """The connection of who records would end over it."""
    small, large = (
        evidence_of("w", "dump", "a dump was taken", bytes(size), "1")
        for size in (1000, MAX_MESSAGE_BYTES - 1000)
    )
    assert fits(small)
    assert not fits(large)
