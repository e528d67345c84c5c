"""What was taken, within its bytes."""

from __future__ import annotations

import pytest

from perftui_agent.triggers.results import MAX_RESULT_BYTES, kept, told_by
from perftui_agent.wire.actions import Profile, ProfiledFrame, ProfiledStack
from perftui_agent.wire.codec import decode_from_agent
from perftui_agent.wire.dumps import Dump, StackFrame, ThreadDump


def profile(stacks: int, depth: int = 30) -> Profile:
    """Return a profile in which no two stacks share a line; the last is the heaviest."""
    frames = [ProfiledFrame(f"function_{n}", f"/app/module_{n}.py", n, f"module_{n}.py") for n in range(99)]
    seen = [
        ProfiledStack([(n + at) % 99 for at in range(depth)], 1000 + n, 1 + n % 3, f"GET /{n}")
        for n in range(stacks)
    ]
    samples = sum(each.count for each in seen)
    return Profile(
        id="p", pid=1, taken_at=1, took_ns=1, engine="sampler", samples=samples, frames=frames, stacks=seen
    )


@pytest.mark.parametrize("most_bytes", [MAX_RESULT_BYTES, 10_000, 3_000])
def test_a_profile_is_cut_to_its_heaviest_stacks(most_bytes: int) -> None:
    """Time and samples stay whole: what there is no room for is told as one."""
    whole = profile(5000)
    data = kept(whole, most_bytes)

    cut = decode_from_agent(data)
    assert isinstance(cut, Profile)
    assert len(data) <= most_bytes
    assert sum(each.weight_ns for each in cut.stacks) == sum(each.weight_ns for each in whole.stacks)
    assert sum(each.count for each in cut.stacks) == whole.samples
    assert cut.stacks[0].route == "GET /4999"
    assert cut.frames[cut.stacks[0].frames[0]] == whole.frames[whole.stacks[-1].frames[0]]
    assert cut.stacks_cut == cut.stacks[-1].count > 0
    assert cut.note == f"cut to the {len(cut.stacks) - 1} heaviest of 5000 stacks to fit the black box"


def test_what_fits_is_kept_as_it_is() -> None:
    """Nothing is said of it then."""
    assert decode_from_agent(kept(profile(20))) == profile(20)


def test_a_dump_keeps_the_threads_that_matter_first() -> None:
    """As one that travels does."""
    frames = [StackFrame(function="f" * 50, file="/app/x.py", line=n, source="s" * 100) for n in range(50)]
    threads = [ThreadDump(name=f"t{n}", thread_id=n, frames=frames, is_main=not n) for n in range(100)]
    data = kept(Dump(id="d", pid=1, taken_at=1, took_ns=1, taken_by=1, threads=threads))

    dump = decode_from_agent(data)
    assert isinstance(dump, Dump)
    assert len(data) <= MAX_RESULT_BYTES
    assert dump.threads[0].name == "t0"
    assert dump.threads_cut == 100 - len(dump.threads)


def test_it_points_to_the_heaviest_stack_at_work() -> None:
    """A thread that waits for something to do is no place to look at."""
    one = profile(2, depth=2)
    one.stacks.append(ProfiledStack([5], 10**9, 9, idle=True))

    assert told_by(one) == (
        "module_2.py:2 function_2",
        ["module_2.py:2 function_2", "module_1.py:1 function_1"],
    )
