"""Profiles as trees, tables and differences."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

import pytest

from perftui.model.flame import (
    NO_REQUEST,
    Function,
    Node,
    Samples,
    costs,
    difference,
    error,
    matching,
    samples_of,
    tree,
)
from perftui_agent.wire.actions import Profile, ProfiledFrame, ProfiledStack

MS = 1_000_000


def profile(
    *stacks: tuple[str, str, int], seconds: float = 10.0, hz: float = 100.0, idle: int = 0
) -> Profile:
    """Return a profile of stacks: frames as letters, outermost first, a route, and how many samples."""
    letters = sorted({letter for frames, _, _ in stacks for letter in frames})
    each = int(1e9 / hz)
    told = [
        ProfiledStack([letters.index(letter) for letter in frames], number * each, number, route)
        for frames, route, number in stacks
    ]
    if idle:
        told.append(ProfiledStack([0], idle * each, idle, idle=True))
    return Profile(
        id="p",
        pid=1,
        taken_at=0,
        took_ns=int(seconds * 1e9),
        engine="sampler",
        samples=sum(number for _, _, number in stacks) + idle,
        frames=[
            ProfiledFrame(letter, f"/srv/{letter}.py", ord(letter), f"{letter}.py") for letter in letters
        ],
        stacks=told,
    )


def f(letter: str) -> Function:
    return Function(f"/srv/{letter}.py", letter)


def shape(nodes: Sequence[Node]) -> dict[str, object]:
    """Return a tree as names, milliseconds and what is below."""
    return {f"{node.function.name} {node.total_ns // MS}": shape(node.children) for node in nodes}


def test_calls_are_told_by_their_way() -> None:
    """A function that two others call stands below both, with the time of each way."""
    samples = samples_of([profile(("abc", "", 3), ("adc", "", 2), ("a", "", 1))])
    assert shape(tree(samples)) == {"a 60": {"b 30": {"c 30": {}}, "d 20": {"c 20": {}}}}


def test_short_calls_are_folded_and_not_lost() -> None:
    """What takes less than half a per cent of the whole is no line, and still part of its caller."""
    samples = samples_of([profile(("ab", "", 996), ("ac", "", 4))])
    (root,) = tree(samples)
    assert [child.function.name for child in root.children] == ["b"]
    assert (root.total_ns, root.folded_ns) == (10_000 * MS, 40 * MS)


def test_the_order_stays_while_times_change() -> None:
    """Children stand in the order of their names, however much each takes."""
    before = tree(samples_of([profile(("ab", "", 1), ("ac", "", 9))]))
    after = tree(samples_of([profile(("ab", "", 9), ("ac", "", 1))]))
    names = [[child.function.name for child in root.children] for (root,) in (before, after)]
    assert names == [["b", "c"], ["b", "c"]]


def test_workers_are_added_up() -> None:
    """The same stack of two workers is one, and the wall time is that of both."""
    samples = samples_of([profile(("ab", "GET /x", 3)), profile(("ab", "GET /x", 4))])
    assert [(stack.count, stack.route) for stack in samples.stacks] == [(7, "GET /x")]
    assert samples.wall_ns == 20_000 * MS


def test_idle_threads_are_no_work() -> None:
    """A thread that waits for a job is in no line, and its time is told apart."""
    samples = samples_of([profile(("ab", "", 1), idle=99)])
    assert (samples.ns, samples.idle_ns) == (10 * MS, 990 * MS)


def test_a_recursion_counts_once() -> None:
    """A function that calls itself takes its time once in all."""
    (cost, *_) = costs(samples_of([profile(("abab", "", 5), ("a", "", 1))]))
    assert (cost.function, cost.own_ns, cost.total_ns) == (f("b"), 50 * MS, 50 * MS)


def test_zoom_and_callers() -> None:
    """Through a function: what it called. Callers: the ways to it, innermost first."""
    samples = samples_of([profile(("xab", "", 3), ("yac", "", 2), ("y", "", 5))])
    assert shape(tree(samples.through(f("a")))) == {"a 50": {"b 30": {}, "c 20": {}}}
    assert shape(tree(samples.callers_of(f("a")))) == {"a 50": {"x 30": {}, "y 20": {}}}


def test_routes_and_who_has_none() -> None:
    """Each route's time, the greatest first; what is nobody's has a name of its own and can be chosen."""
    samples = samples_of([profile(("ab", "GET /x", 3), ("ab", "", 5), ("ac", "GET /y", 1))])
    assert samples.routes() == [(NO_REQUEST, 50 * MS), ("GET /x", 30 * MS), ("GET /y", 10 * MS)]
    assert samples.only(route=NO_REQUEST).ns == 50 * MS
    assert samples.only(route="GET /x").count == 3


def test_an_expression_finds_functions_and_their_share() -> None:
    """The time of all stacks through any of them, each counted once."""
    samples = samples_of([profile(("abc", "", 3), ("bd", "", 2), ("e", "", 5))])
    found, ns = matching(samples, re.compile("^[bc]"))
    assert found == {f("b"), f("c")}
    assert ns == 50 * MS


def test_sampling_error_is_told() -> None:
    """Five per cent of a thousand samples may be three or seven."""
    low, high = error(50, 1000)
    assert (round(100 * low - 0.5), round(100 * high)) == (3, 7)
    assert error(0, 0) == (0.0, 1.0)


def test_a_profile_that_points_nowhere_costs_its_stack_alone() -> None:
    """A stack of frames that are not there is left out: it came from outside."""
    bad = profile(("ab", "", 3))
    bad.stacks.append(ProfiledStack([7, -1], 10, 1))
    assert samples_of([bad]).count == 3


def spread(seed: int, weights: dict[str, int], samples: int, *, seconds: float, hz: float) -> Samples:
    """Return a profile as chance has it."""
    drawn = random.Random(seed).choices(list(weights), list(weights.values()), k=samples)
    stacks = [(f"a{letter}", "", drawn.count(letter)) for letter in weights]
    return samples_of([profile(*[each for each in stacks if each[2]], seconds=seconds, hz=hz)])


LOAD = dict(zip("bcdefghijk", (300, 200, 150, 100, 80, 70, 50, 30, 15, 5), strict=True))


def test_the_same_load_twice_marks_nothing() -> None:
    """Two profiles of one service differ in nothing, whatever chance and length: 300 pairs, at most three."""
    false = 0
    for seed in range(300):
        before = spread(seed, LOAD, 800, seconds=10, hz=100)
        after = spread(1000 + seed, LOAD, 1600, seconds=20, hz=100)
        false += any(change.moved != "same" for change in difference(before, after))
    assert false <= 3


def test_what_became_slower_is_found_whatever_the_rate_and_length() -> None:
    """Twice the time in one function, seen at half the rate and for twice as long: told in ms per second."""
    before = samples_of([profile(("ab", "", 200), ("ac", "", 400), seconds=10, hz=100)])
    after = samples_of([profile(("ab", "", 400), ("ac", "", 400), seconds=20, hz=50)])
    changes = {change.function.name: change for change in difference(before, after)}
    assert changes["b"].before_ms == pytest.approx(200)
    assert changes["b"].after_ms == pytest.approx(400)
    assert (changes["b"].moved, changes["c"].moved) == ("more", "same")


def test_new_and_vanished_functions_are_both_listed() -> None:
    """A function that only one of them has seen is new, or gone."""
    before = samples_of([profile(("ab", "", 500), ("ac", "", 300))])
    after = samples_of([profile(("ab", "", 500), ("ad", "", 300))])
    moved = {change.function.name: change.moved for change in difference(before, after)}
    assert (moved["c"], moved["d"], moved["b"]) == ("gone", "new", "same")


def test_nothing_seen_is_no_difference() -> None:
    """Without samples on one side there is nothing to be held against."""
    assert difference(Samples(), samples_of([profile(("ab", "", 5))])) == []
