"""Functions that count for themselves are polled."""

from __future__ import annotations

import functools
import gc
import threading
from typing import Any

import cachetools
import cachetools.func
import pytest

from perftui_agent import watch_cache
from tests.agent.probes.caches.counting import counting, fresh_name


def double(number: int) -> int:
    return 2 * number


def lru() -> Any:
    return functools.lru_cache(maxsize=8)(lambda number: 2 * number)


def cached() -> Any:
    return cachetools.cached(cachetools.LRUCache(8), info=True)(lambda number: 2 * number)


def cached_with_lock() -> Any:
    return cachetools.cached(cachetools.LRUCache(8), lock=threading.RLock(), info=True)(
        lambda number: 2 * number
    )


def cached_for_a_time() -> Any:
    return cachetools.cached(cachetools.TTLCache(8, 60), info=True)(lambda number: 2 * number)


def cached_in_a_dict() -> Any:
    return cachetools.cached({}, info=True)(lambda number: 2 * number)


def func_lru() -> Any:
    return cachetools.func.lru_cache(maxsize=8)(lambda number: 2 * number)


def func_ttl() -> Any:
    return cachetools.func.ttl_cache(maxsize=8, ttl=60)(lambda number: 2 * number)


MAKERS = [lru, cached, cached_with_lock, cached_for_a_time, cached_in_a_dict, func_lru, func_ttl]


@pytest.mark.parametrize("make", MAKERS)
def test_calls_are_counted_from_the_moment_it_is_watched(make: Any) -> None:
    """The same function comes back; hits, misses and size are those since, whatever was before."""
    with counting() as counted:
        name = fresh_name()
        function = make()
        function(0)
        assert watch_cache(function, name=name) is function
        assert [function(number) for number in (1, 1, 2)] == [2, 2, 4]
        row = counted()[name]
        assert (row.hits, row.misses, row.size) == (1, 2, 3)
        assert row.maxsize == (None if make is cached_in_a_dict else 8)

        row = counted()[name]
        assert (row.hits, row.misses, row.size) == (0, 0, 3)


@pytest.mark.parametrize("make", MAKERS)
def test_clearing_makes_no_count_run_backwards(make: Any) -> None:
    """After `cache_clear` the counts go on from nothing: no negative share, no lost one."""
    with counting() as counted:
        name = fresh_name()
        function = watch_cache(make(), name=name)
        for _ in range(5):
            function(1)
        counted()
        function.cache_clear()
        assert [function(1), function(1)] == [2, 2]
        row = counted()[name]

        assert (row.hits, row.misses, row.size) == (1, 1, 1)


@pytest.mark.parametrize("make", [lru, cached, cached_with_lock, cached_in_a_dict, func_lru])
def test_evictions_that_nobody_sees_are_not_told_as_none_at_all(make: Any) -> None:
    """A function that counts for itself does not count them: no data, which is not 0."""
    with counting() as counted:
        name = fresh_name()
        function = watch_cache(make(), name=name)
        for number in range(20):
            function(number)
        assert counted()[name].evictions is None


def test_a_polled_function_is_not_touched() -> None:
    """Polling wraps nothing: the object and its cache are of the classes they were."""
    cache = cachetools.LRUCache[Any, Any](8)
    function = cachetools.cached(cache, info=True)(double)
    before = dict(vars(function))
    watch_cache(function, name=fresh_name())

    assert dict(vars(function)) == before
    assert type(cache) is cachetools.LRUCache


def test_a_name_is_found_for_a_function() -> None:
    """Without a name it is called by its module and qualified name; the kind says how it caches."""
    with counting() as counted:
        function = watch_cache(functools.lru_cache(double))
        assert counted()[f"{__name__}.double"].kind == "functools.lru_cache"
        del function
        gc.collect()
        other = watch_cache(cachetools.cached(cachetools.LRUCache(8), info=True)(double))
        assert counted()[f"{__name__}.double"].kind == "cachetools.cached"
        del other


class Shop:
    @functools.lru_cache(maxsize=8)  # noqa: B019 - that is what is watched
    def rate(self, number: int) -> int:
        return 2 * number


def test_a_bound_method_stands_for_its_function() -> None:
    """`watch_cache(shop.rate)` watches the one cache behind all shops' `rate`."""
    with counting() as counted:
        shop, name = Shop(), fresh_name()
        watch_cache(shop.rate, name=name)
        assert [shop.rate(1), shop.rate(1)] == [2, 2]
        assert (counted()[name].hits, counted()[name].misses) == (1, 0)
        Shop.rate.cache_clear()


def test_a_cached_method_is_watched_on_its_instance() -> None:
    """`cachedmethod` keeps counts for each instance, since cachetools 7."""

    class Priced:
        def __init__(self) -> None:
            self.cache = cachetools.LRUCache[Any, Any](8)

        @cachetools.cachedmethod(lambda self: self.cache, info=True)
        def price(self, number: int) -> int:
            return 2 * number

    with counting() as counted:
        shop, name = Priced(), fresh_name()
        watch_cache(shop.price, name=name)
        assert [shop.price(1), shop.price(1)] == [2, 2]
        row = counted()[name]
        assert (row.hits, row.misses, row.kind) == (1, 1, "cachetools.cached")


def test_a_function_that_is_dropped_disappears() -> None:
    """Nothing keeps a watched function alive."""
    with counting() as counted:
        name = fresh_name()
        function = watch_cache(lru(), name=name)
        assert name in counted()
        del function
        gc.collect()

        assert name not in counted()


def test_watching_a_function_twice_counts_once() -> None:
    """The second call does nothing."""
    with counting() as counted:
        name = fresh_name()
        function = watch_cache(watch_cache(lru(), name=name), name=name)
        function(1)

        assert counted()[name].misses == 1


def test_the_agent_waits_for_no_lock_of_the_app() -> None:
    """While the app holds the lock of a function's cache it is not read; what it counted comes later."""
    with counting() as counted:
        name, lock = fresh_name(), threading.Lock()
        function = watch_cache(
            cachetools.cached(cachetools.LRUCache(8), lock=lock, info=True)(double), name=name
        )
        function(1)
        with lock:
            assert counted()[name].misses == 0
        assert counted()[name].misses == 1
