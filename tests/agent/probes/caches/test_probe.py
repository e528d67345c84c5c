"""The caches' rows in the frames of a worker."""

from __future__ import annotations

import functools
import gc
import os
from typing import Any

import cachetools
import pytest

from perftui_agent import watch_cache
from perftui_agent.guard import Guard
from perftui_agent.probes.caches.probe import NOTHING_WATCHED, CacheProbe
from perftui_agent.probes.caches.rows import MAX_CACHES, MAX_ROWS, MAX_SIZED, OTHER_CACHES, rows
from perftui_agent.probes.caches.watch import ATTRIBUTE, Watch
from perftui_agent.probes.probe import ON
from perftui_agent.window.window import Window
from perftui_agent.wire.codec import decode_from_agent, encode
from perftui_agent.wire.outside import CacheFrame
from tests.agent.probes.caches.counting import counting, empty_frame, fresh_name


def lru() -> Any:
    return cachetools.LRUCache(4)


def test_every_live_cache_is_in_every_frame() -> None:
    """A cache at rest is shown with its size and nothing counted, in a frame that can be sent."""
    with counting() as counted:
        name = fresh_name()
        cache = watch_cache(lru(), name=name)
        cache["a"] = 1
        counted()
        frame = empty_frame()
        frame.caches = [counted()[name]]
        (row,) = decode_from_agent(encode(frame)).caches  # type: ignore[union-attr]

        assert (row.name, row.kind, row.size, row.maxsize) == (name, "cachetools.LRUCache", 1, 4)
        assert (row.hits, row.misses, row.evictions, row.expirations, row.stampedes) == (0, 0, 0, 0, 0)


def test_what_was_counted_before_the_agent_started_is_left_out() -> None:
    """Lookups while nobody watched, at import or in another life of the agent, are not this one's."""
    name = fresh_name()
    cache, function = watch_cache(lru(), name=name), watch_cache(functools.lru_cache(abs), name=f"{name} too")
    cache.get("a")
    function(1)
    with counting() as counted:
        cache.get("a")
        function(2)
        assert (counted()[name].misses, counted()[f"{name} too"].misses) == (1, 0)
        function(3)
        assert counted()[f"{name} too"].misses == 1


def test_the_probe_is_on_as_soon_as_a_cache_is_watched() -> None:
    """Until then its status says that there is none."""
    gc.collect()
    probe = CacheProbe(Window(), Guard())
    first = probe.attach()
    probe.fill(empty_frame())
    cache = watch_cache(lru(), name=fresh_name())

    assert first in {ON, NOTHING_WATCHED}
    assert probe.attach() == ON
    del cache


def test_rows_are_bounded() -> None:
    """A frame has 200 rows, the others share `(other)`; every lookup is counted, and the fold is shown."""
    window = Window()
    probe = CacheProbe(window, Guard())
    probe.attach()
    caches = [watch_cache(lru(), name=f"bounded-{number}") for number in range(1000)]
    for cache in caches:
        cache.get("a")
    rows = told(probe)

    ours = [row for name, row in rows.items() if name.startswith("bounded-") or name == OTHER_CACHES]
    assert len(rows) <= MAX_CACHES + 1
    assert sum(row.misses for row in ours) == 1000
    assert window.bounded["caches"] >= 800
    caches.clear()
    gc.collect()
    probe.fill(empty_frame())
    assert watch_cache(lru(), name="bounded no more") is not None


def told(probe: CacheProbe) -> dict[str, CacheFrame]:
    frame = empty_frame()
    probe.fill(frame)
    return {row.name: row for row in frame.caches}


def test_the_caches_that_are_used_most_are_told_of() -> None:
    """Whenever they were made: behind a thousand that are seldom used the one that is has its row."""
    window = Window()
    probe = CacheProbe(window, Guard())
    probe.attach()
    seldom = [watch_cache(lru(), name=f"seldom-{number}") for number in range(1000)]
    often = watch_cache(lru(), name="often")
    for cache in seldom:
        cache.get("a")
    for _ in range(100):
        often.get("a")
    assert told(probe)["often"].misses == 100
    told(probe)
    assert window.forgotten["caches"] >= 0
    assert told(probe)["often"].size == 0


def test_promise_13_of_any_number_of_caches_the_last_has_its_row() -> None:
    """A name that nobody uses gives way to a new one, and its caches count with the others from then on."""
    gc.collect()
    window = Window()
    probe = CacheProbe(window, Guard())
    probe.attach()
    idle = [watch_cache(lru(), name=f"idle-{number}") for number in range(MAX_ROWS + 100)]
    late = watch_cache(lru(), name="late")
    late.get("a")
    idle[0].get("a")
    rows = told(probe)
    assert (rows["late"].misses, rows[OTHER_CACHES].misses) == (1, 1)
    assert len(rows) <= MAX_CACHES + 1
    assert window.forgotten["caches"] >= 100


def test_promise_13_of_100_000_caches_few_rows_are_kept() -> None:
    """Whether they are all alive or not; and each that is keeps counting somewhere."""
    watches = [Watch(rows.row(f"one of many {number}", "Cache", lambda: None)) for number in range(100_000)]
    assert len(rows._rows) <= MAX_ROWS
    assert len({id(watch.row) for watch in watches}) <= MAX_ROWS + 1
    probe = CacheProbe(Window(), Guard())
    probe.attach()
    for watch in watches:
        watch.row.misses += 1
    frame = empty_frame()
    probe.fill(frame)
    assert len(frame.caches) <= MAX_CACHES + 1
    assert sum(row.misses for row in frame.caches) == 100_000


def test_names_that_nobody_uses_any_more_make_room() -> None:
    """A cache made for each request, under a name of its own, fills nothing up."""
    with counting() as counted:
        for number in range(3 * MAX_CACHES):
            watch_cache(lru(), name=f"passing-{number}").get("a")
        name = fresh_name()
        cache = watch_cache(lru(), name=name)
        cache.get("a")

        assert counted()[name].misses == 1


def test_sizes_of_very_many_caches_of_one_name_are_not_summed() -> None:
    """100,000 caches of one name are one row: every lookup counts, the size is unknown, not wrong."""
    with counting() as counted:
        name = fresh_name()
        caches = [watch_cache(lru(), name=name) for _ in range(10 * MAX_SIZED)]
        for cache in caches:
            cache.get("a")
        row = counted()[name]

        assert (row.misses, row.size, row.maxsize) == (len(caches), None, None)


def test_functions_past_the_bound_are_polled_in_turns() -> None:
    """Reading 100,000 of them every second would cost the app; what they count is told later, not lost."""
    window = Window()
    probe = CacheProbe(window, Guard())
    probe.attach()
    functions = [watch_cache(functools.lru_cache(abs), name="many") for _ in range(MAX_CACHES + 50)]
    for function in functions:
        function(1)
    first = told(probe)["many"].misses
    assert 0 < first <= MAX_CACHES
    assert window.bounded["caches"] >= 50
    assert first + told(probe)["many"].misses == len(functions)


def test_control_characters_stay_out_of_names() -> None:
    """A name is one printable line of at most 100 characters."""
    with counting() as counted:
        cache = watch_cache(lru(), name="con\x1b[31mfig\n" + "x" * 500)
        (name,) = [name for name in counted() if name.startswith("con[31mfig")]
        assert len(name) == 100
        del cache


def test_a_fork_starts_at_nothing() -> None:
    """A worker counts its own lookups: those of the process it was forked from are not in its frames."""
    name = fresh_name()
    cache = watch_cache(lru(), name=name)
    for _ in range(5):
        cache.get("a")
    reads, writes = os.pipe()
    pid = os.fork()
    if pid == 0:  # pragma: no cover - in the child
        try:
            with counting() as counted:
                cache.get("a")
                os.write(writes, b"%d" % counted()[name].misses)
        finally:
            os._exit(0)
    os.close(writes)
    with os.fdopen(reads) as pipe:
        said = pipe.read()
    os.waitpid(pid, 0)

    assert said == "1"


def fail(*_: object) -> Any:
    raise LookupError("a fault of ours")


class Broken(dict[Any, Any]):
    """Lets nothing be taken out."""

    pop = fail


@pytest.mark.parametrize("fault", ["asked", "_miss_of", "_end_work"])
def test_promise_6_a_fault_of_ours_costs_a_count_and_no_lookup(
    monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """Whatever fails in the counting, the cache answers as ever and the fault is counted."""
    name = fresh_name()
    cache: Any = watch_cache(cachetools.TTLCache(4, 60), name=name)
    with counting() as counted:
        if fault == "asked":
            vars(cache)[ATTRIBUTE].asked = Broken(one="mark")
        else:
            monkeypatch.setattr(Watch, fault, fail)
        assert cache.get("a") is None
        cache["a"] = 1
        assert "a" in cache
        assert cache["a"] == 1
        assert cache.setdefault("b", 2) == 2
        assert cache.pop("b") == 2
        with pytest.raises(KeyError, match="b"):
            cache["b"]
        assert counted()[name].hits >= 1
        assert counted.guard.faults["probes.caches"] >= 1


def test_promise_6_a_function_that_cannot_be_read_keeps_no_other_from_it() -> None:
    """A `cache_info` that raises costs a count; other functions and caches are read as before."""

    def broken() -> None: ...

    vars(broken).update(vars(functools.lru_cache(abs)), cache_info=functools.lru_cache(abs).cache_info)
    name = fresh_name()
    function = watch_cache(functools.lru_cache(lambda number: number), name=name)
    with counting() as counted:
        watch_cache(broken, name=fresh_name())
        vars(broken).update(cache_info=fail)
        function(1)
        assert counted()[name].misses == 1
        assert counted.guard.faults["probes.caches"] >= 1
