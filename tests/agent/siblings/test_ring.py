"""Who watches whom, and when silence is silence."""

from __future__ import annotations

import itertools

import pytest

from perftui_agent.siblings.ring import (
    AWAY_NS,
    GRACE_NS,
    SILENT_NS,
    SUSPECT_NS,
    Awake,
    Place,
    looked_at,
    watched_by,
)


def ring_of(own: int, pids: range) -> list[int]:
    return watched_by((own, 0), [((pid, 0), pid) for pid in pids])


def watchers(silent: set[int], pids: range) -> dict[int, list[int]]:
    """Return who looks at each silent worker, of those that live."""
    found: dict[int, list[int]] = {pid: [] for pid in silent}
    for own in set(pids) - silent:
        for pid, for_ns in looked_at(ring_of(own, pids), lambda pid: SILENT_NS if pid in silent else 0):
            if for_ns >= SUSPECT_NS:
                found[pid].append(own)
    return found


def test_each_watches_the_next_and_the_last_the_first() -> None:
    """In the order of pids, whoever was registered first."""
    assert [ring_of(own, range(1, 5))[0] for own in range(1, 5)] == [2, 3, 4, 1]


def test_a_pid_that_comes_again_has_another_place() -> None:
    """Its start tells them apart: the one before is not taken for oneself."""
    others: list[tuple[Place, str]] = [((5, 1), "before"), ((5, 9), "itself"), ((7, 2), "next")]
    assert watched_by((5, 9), others) == ["next", "before"]


@pytest.mark.parametrize(
    "silent", [*itertools.combinations(range(5), 1), *itertools.combinations(range(5), 3)]
)
def test_every_silent_worker_has_one_that_watches_it(silent: tuple[int, ...]) -> None:
    """However many are silent at once, and wherever they stand: as long as one lives."""
    assert all(len(by) == 1 for by in watchers(set(silent), range(5)).values())


def test_who_lives_is_the_last_that_is_looked_at() -> None:
    """Looking costs one file however many workers there are."""
    asked: list[int] = []

    def silent_ns(pid: int) -> int:
        asked.append(pid)
        return 0

    assert list(looked_at(ring_of(1, range(1, 17)), silent_ns)) == [(2, 0)]
    assert asked == [2]


def test_who_gives_no_signs_is_passed_over() -> None:
    """An older agent has no such file; that is no silence, and the one behind it is still watched."""
    assert list(looked_at([1, 2], lambda pid: None if pid == 1 else 5)) == [(2, 5)]


def test_who_was_away_gives_the_others_time_for_a_sign() -> None:
    """After a container was paused all of them have been silent for as long."""
    awake = Awake(0, 0)
    for now_ns in range(0, 3 * AWAY_NS, AWAY_NS // 4):
        awake = awake.looks(now_ns)
    assert awake.may_judge(awake.looked_ns)
    back_ns = awake.looked_ns + 60 * AWAY_NS
    awake = awake.looks(back_ns)
    assert not awake.may_judge(back_ns)
    assert awake.may_judge(back_ns + GRACE_NS)
