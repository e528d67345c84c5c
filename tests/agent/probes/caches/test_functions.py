"""Functions that count for themselves are polled."""

from __future__ import annotations

import asyncio
import functools
import gc
import inspect
import threading
from collections.abc import Iterable
from typing import Any

import async_lru
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


def new_rates() -> type:
    """Return a class whose methods are cached in several ways."""

    class Rates:
        @async_lru.alru_cache(maxsize=8)
        async def later(self, number: int) -> int:
            return 2 * number

        @functools.lru_cache(maxsize=8)  # noqa: B019 - what people write
        def now(self, number: int) -> int:
            return 2 * number

    return Rates


def calls(function: Any, numbers: Iterable[int]) -> None:
    """Call a function, and wait for it where that is wanted."""

    async def call() -> None:
        for number in numbers:
            result = function(number)
            if inspect.isawaitable(result):
                await result

    asyncio.run(call())


@pytest.mark.parametrize("name", ["later", "now"])
@pytest.mark.parametrize("through", ["object", "class"])
def test_a_method_that_is_made_anew_at_each_access_is_shown_all_the_same(name: str, through: str) -> None:
    """What it passes calls on to lasts, and counts; nobody holds what `watch_cache` was given."""
    cls, shown = new_rates(), fresh_name()
    rates = cls()
    with counting() as counted:
        watch_cache(getattr(rates if through == "object" else cls, name), name=shown)
        gc.collect()
        calls(getattr(rates, name), [1, 1, 2, 2])
        row = counted()[shown]
        assert (row.hits, row.misses) == (2, 2)


def decorated(function: Any) -> Any:
    @functools.wraps(function)
    def passing_on(number: int) -> Any:
        return function(number)

    return passing_on


@pytest.mark.parametrize("wrap", [functools.partial, decorated])
def test_what_passes_calls_on_to_a_cached_function_stands_for_it(wrap: Any) -> None:
    """Partials and decorators: the function inside counts what comes through them."""
    function = lru()
    shown = fresh_name()
    with counting() as counted:
        passing_on = wrap(wrap(function))
        assert watch_cache(passing_on, name=shown) is passing_on
        calls(passing_on, [1, 1, 2])
        row = counted()[shown]
        assert (row.hits, row.misses) == (1, 2)


def test_one_that_is_gone_with_its_counts_is_refused_with_the_way_out() -> None:
    """Each access makes another, which counts for itself alone: nothing could ever be shown."""

    class Counting:
        __name__ = "rate"

        def __init__(self, owner: object) -> None:
            self.owner = owner

        def __call__(self) -> None:
            pass

        def cache_info(self) -> tuple[int, int]:
            return (0, 0)

    class Owner:
        @property
        def rate(self) -> Counting:
            return Counting(self)

    with pytest.raises(TypeError, match=r"is made anew at each access.*: keep one, and watch"):
        watch_cache(Owner().rate)


def test_a_cache_around_another_one_is_the_one_that_was_named() -> None:
    """Only what passes calls on stands for something else."""
    inner = lru()
    outer = functools.lru_cache(maxsize=4)(inner)
    shown = fresh_name()
    with counting() as counted:
        watch_cache(outer, name=shown)
        inner(1)
        calls(outer, [1, 1, 1])
        row = counted()[shown]
        assert (row.hits, row.misses, row.maxsize) == (2, 1, 4)
