"""What counts as a lookup, an eviction, an expiry, a stampede."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import cachetools
import pytest

from perftui_agent import watch_cache
from tests.agent.probes.caches.counting import (
    Counted,
    counting,
    fresh_name,
    new_request,
    request,
    working_for,
)
from tests.agent.probes.caches.kinds import KINDS, LIFE_S, SIZE, Clock

Cache = cachetools.Cache[Any, Any]


class Watched:
    """A watched cache of some kind, its clock, and what is counted of it."""

    def __init__(self, kind: str, counted: Counted) -> None:
        self.clock = Clock()
        self.name = fresh_name()
        self.cache: Cache = watch_cache(KINDS[kind](self.clock), name=self.name)
        self._counted = counted

    @property
    def lookups(self) -> tuple[int, int]:
        """Hits and misses since the last time."""
        row = self._counted()[self.name]
        return row.hits, row.misses

    @property
    def removals(self) -> tuple[int | None, int]:
        """Evictions and expirations since the last time."""
        row = self._counted()[self.name]
        return row.evictions, row.expirations

    @property
    def stampedes(self) -> int:
        return self._counted()[self.name].stampedes


@pytest.fixture(params=KINDS)
def watched(request: pytest.FixtureRequest) -> Any:
    """One of each kind, in turn."""
    with counting() as counted:
        yield Watched(request.param, counted)


@pytest.fixture
def lru() -> Any:
    with counting() as counted:
        yield Watched("LRUCache", counted)


def by_index(cache: Cache, key: str) -> Any:
    try:
        return cache[key]
    except KeyError:
        return None


def by_in_and_index(cache: Cache, key: str) -> Any:
    return cache[key] if key in cache else None  # noqa: SIM401 - that is the spelling


def by_in_and_get(cache: Cache, key: str) -> Any:
    return cache.get(key) if key in cache else None


def by_get(cache: Cache, key: str) -> Any:
    return cache.get(key)


def by_get_with_default(cache: Cache, key: str) -> Any:
    return cache.get(key, default=None)  # type: ignore[call-overload] # allowed all the same


def by_pop(cache: Cache, key: str) -> Any:
    return cache.pop(key, None)


def by_setdefault(cache: Cache, key: str) -> Any:
    return cache.setdefault(key, 1)


def by_filling(cache: Cache, key: str) -> Any:
    if key not in cache:
        cache[key] = 1
    return cache[key]


def by_filling_on_error(cache: Cache, key: str) -> Any:
    try:
        return cache[key]
    except KeyError:
        cache[key] = value = 1
        return value


def by_double_check(cache: Cache, key: str) -> Any:
    value = cache.get(key)
    if value is None:
        value = cache.setdefault(key, 1)
    return value


SPELLINGS: list[Callable[[Cache, str], Any]] = [
    by_index,
    by_in_and_index,
    by_in_and_get,
    by_get,
    by_get_with_default,
    by_pop,
    by_setdefault,
    by_filling,
    by_filling_on_error,
    by_double_check,
]


@pytest.mark.parametrize("look_up", SPELLINGS)
def test_a_miss_counts_once_however_it_is_spelled(
    watched: Watched, look_up: Callable[[Cache, str], Any]
) -> None:
    """A lookup of what is not there is one miss."""
    look_up(watched.cache, "key")

    assert watched.lookups == (0, 1)


@pytest.mark.parametrize("look_up", SPELLINGS)
def test_a_hit_counts_once_however_it_is_spelled(
    watched: Watched, look_up: Callable[[Cache, str], Any]
) -> None:
    """A lookup of what is there is one hit."""
    watched.cache["key"] = 1

    assert look_up(watched.cache, "key") == 1
    assert watched.lookups == (1, 0)


@pytest.mark.parametrize("kind", ["TTLCache", "TLRUCache"])
def test_a_lookup_of_what_has_expired_is_a_miss(kind: str) -> None:
    """An entry past its time counts as absent, whether or not it has been thrown out."""
    with counting() as counted:
        watched = Watched(kind, counted)
        watched.cache["key"] = 1
        watched.clock.now += LIFE_S

        assert watched.cache.get("key") is None
        assert watched.lookups == (0, 1)


@pytest.mark.parametrize("wrapped_by", ["no lock", "a lock"])
def test_a_call_of_a_cached_function_is_one_lookup(lru: Watched, wrapped_by: str) -> None:
    """`cachetools.cached` looks a call up once, although with a lock it stores by `setdefault`."""
    lock = threading.Lock() if wrapped_by == "a lock" else None

    @cachetools.cached(lru.cache, lock=lock)
    def double(number: int) -> int:
        return 2 * number

    assert [double(3), double(3), double(4)] == [6, 6, 8]
    assert lru.lookups == (1, 2)


def test_two_lookups_of_one_key_are_two(lru: Watched) -> None:
    """Only what follows an `in` is the same lookup."""
    lru.cache["key"] = 1

    assert "key" in lru.cache
    assert lru.cache["key"] + lru.cache["key"] == 2
    assert lru.lookups == (2, 0)


def test_only_asking_is_a_lookup(lru: Watched) -> None:
    """A cache used as a set has hits and misses."""
    lru.cache["seen"] = True

    assert ["seen" in lru.cache, "seen" in lru.cache, "new" in lru.cache] == [True, True, False]
    assert lru.lookups == (2, 1)


def test_an_in_of_one_request_takes_no_hit_from_another(lru: Watched) -> None:
    """Lookups are paired within a request, in whatever order requests take turns."""
    lru.cache["key"] = 1
    one, other = new_request(), new_request()
    with working_for(one):
        assert "key" in lru.cache
    with working_for(other):
        assert lru.cache["key"] == 1
    with working_for(one):
        assert lru.cache["key"] == 1

    assert lru.lookups == (2, 0)


def test_a_lookup_goes_on_after_an_await(lru: Watched) -> None:
    """`in`, an await that others use, a store and `[]` are one lookup for each request."""

    async def serve(key: str) -> None:
        with request():
            if key not in lru.cache:
                await asyncio.sleep(0)
                lru.cache[key] = 1
            assert lru.cache[key] == 1

    async def serve_all() -> None:
        await asyncio.gather(*(serve(key) for key in "abab"))

    asyncio.run(serve_all())

    assert lru.lookups == (0, 4)


def test_an_unhashable_key_is_no_lookup(watched: Watched) -> None:
    """What raises a TypeError has looked nothing up."""
    with pytest.raises(TypeError, match="unhashable"):
        watched.cache[[]]
    with pytest.raises(TypeError, match="unhashable"):
        watched.cache.get([])

    assert watched.lookups == (0, 0)


def test_listing_and_comparing_look_nothing_up(watched: Watched) -> None:
    """`items`, `values`, `==`, `len`, `repr`, `clear` and `update` are no lookups."""
    watched.cache.update(a=1, b=1)

    assert sorted(watched.cache.items()) == [("a", 1), ("b", 1)]
    assert (list(watched.cache.values()), len(watched.cache)) == ([1, 1], 2)
    assert watched.cache == {"a": 1, "b": 1}
    assert "a" in repr(watched.cache)
    watched.cache.popitem()
    watched.cache.clear()
    assert watched.lookups == (0, 0)


def test_making_room_is_an_eviction(watched: Watched) -> None:
    """Each entry that goes so that another fits counts, and is no lookup."""
    for number in range(SIZE + 2):
        watched.cache[number] = 1

    assert watched.removals == (2, 0)
    assert watched.lookups == (0, 0)


def test_what_the_app_removes_is_no_eviction(watched: Watched) -> None:
    """`del`, `pop`, `popitem` and `clear` are the app's own doing."""
    for key in "abcd":
        watched.cache[key] = 1
    del watched.cache["a"]
    watched.cache.pop("b")
    watched.cache.popitem()
    watched.cache.clear()

    assert watched.removals == (0, 0)


@pytest.mark.parametrize("kind", ["TTLCache", "TLRUCache"])
def test_what_has_run_out_of_time_is_an_expiry(kind: str) -> None:
    """Entries that are thrown out for their age are no evictions."""
    with counting() as counted:
        watched = Watched(kind, counted)
        for key in "abcd":
            watched.cache[key] = 1
        watched.clock.now += LIFE_S
        watched.cache["e"] = 1

        assert watched.removals == (0, 4)


def test_reading_the_size_throws_nothing_out() -> None:
    """The agent's thread leaves expired entries to the app's."""
    with counting() as counted:
        watched = Watched("TTLCache", counted)
        watched.cache["key"] = 1
        watched.clock.now += LIFE_S
        row = counted()[watched.name]

        assert (row.size, row.maxsize, row.expirations) == (1, SIZE, 0)
        assert len(watched.cache) == 0


def test_a_miss_while_another_request_is_at_work_on_the_key_is_a_stampede(lru: Watched) -> None:
    """Of three requests that miss one key before it is stored, and all make it, two are too many."""
    one, two, three = new_request(), new_request(), new_request()
    for record in (one, two, three):
        with working_for(record):
            assert lru.cache.get("key") is None
    for record in (one, two, three):
        with working_for(record):
            lru.cache["key"] = 1
    with working_for(two):
        assert lru.cache.get("key") == 1
        lru.cache["key"] = 2

    assert lru.stampedes == 2


def test_who_waits_for_the_first_one_is_no_stampede(lru: Watched) -> None:
    """Behind a lock others look again, and find what the first has made: nobody works twice."""
    one, two, three = new_request(), new_request(), new_request()
    for record in (one, two, three):
        with working_for(record):
            assert lru.cache.get("key") is None
    with working_for(one):
        lru.cache["key"] = 1
    for record in (two, three):
        with working_for(record):
            assert lru.cache.get("key") == 1

    assert lru.stampedes == 0


def test_a_miss_after_the_key_was_stored_is_no_stampede(lru: Watched) -> None:
    """Storing ends the work on a key, even if it is evicted at once."""
    with working_for(new_request()):
        assert "key" not in lru.cache
        lru.cache["key"] = 1
        del lru.cache["key"]
    with working_for(new_request()):
        assert "key" not in lru.cache

    assert lru.stampedes == 0


def test_a_request_that_has_ended_works_on_nothing(lru: Watched) -> None:
    """Keys that are never stored make no stampedes of requests one after the other."""
    for _ in range(3):
        with request():
            assert lru.cache.get("key") is None

    assert lru.stampedes == 0


def test_one_request_is_no_stampede(lru: Watched) -> None:
    """A request that misses a key several times, or misses several keys, is alone."""
    with request():
        for key in "aab":
            assert lru.cache.get(key) is None
    for _ in range(2):
        assert lru.cache.get("outside of any request") is None

    assert lru.stampedes == 0


def test_lookups_under_way_are_bounded(lru: Watched) -> None:
    """100,000 keys that are asked for and never stored leave at most a few hundred marks."""
    for number in range(100_000):
        assert number not in lru.cache
    with working_for(new_request()):
        for number in range(1000):
            assert number not in lru.cache
    watch = vars(lru.cache)["_perftui_watch"]

    assert lru.lookups == (0, 101_000)
    assert max(len(watch.asked), len(watch.work)) <= 256
