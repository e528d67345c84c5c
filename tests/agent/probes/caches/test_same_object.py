"""`watch_cache` gives back what it was given, which is and does what it was and did."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
import threading
import weakref
from typing import Any, ClassVar, Generic, TypeVar

import cachetools
import pytest

from perftui_agent import watch_cache
from tests.agent.probes.caches.counting import counting, fresh_name
from tests.agent.probes.caches.kinds import KINDS, Clock

K = TypeVar("K")
V = TypeVar("V")


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Each kind of cache, in turn."""
    name: str = request.param
    return name


def test_the_cache_keeps_its_identity_and_its_class(kind: str) -> None:
    """The same object comes back; by name, `isinstance` and `__class__` it is what it was."""
    cache = KINDS[kind](Clock())
    cls = type(cache)
    before = (repr(cache), cls.__name__, cls.__qualname__, cls.__module__, cls.__doc__)

    assert watch_cache(cache, name=fresh_name()) is cache
    now = type(cache)
    assert isinstance(cache, cls)
    assert (cache.__class__, cls in now.__mro__) == (cls, True)
    assert (repr(cache), now.__name__, now.__qualname__, now.__module__, now.__doc__) == before


def test_a_copy_is_a_plain_cache_with_the_same_entries(kind: str) -> None:
    """Copies and deep copies are of the original class, work by themselves and are not counted."""
    with counting() as counted:
        name = fresh_name()
        cache = watch_cache(KINDS[kind](Clock()), name=name)
        cache["a"] = 1
        for copied in (copy.copy, copy.deepcopy):
            twin = copied(cache)
            assert type(twin) is cache.__class__
            assert twin == cache
            assert not [key for key in vars(twin) if "perftui" in key]
            assert twin["a"] == 1
        twin["b"] = 1
        assert "b" not in list(cache)
        row = counted()[name]
        assert (row.hits, row.misses, row.size) == (0, 0, 1)


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", ["Cache", "FIFOCache", "LFUCache", "LRUCache"])
def test_a_pickle_of_a_watched_cache_knows_nothing_of_us(kind: str, protocol: int) -> None:
    """What is read back is a plain cache, and the bytes are those of one that was never watched."""
    plain: cachetools.Cache[Any, Any] = KINDS[kind](Clock())
    watched: cachetools.Cache[Any, Any] = watch_cache(KINDS[kind](Clock()), name=fresh_name())
    plain["a"] = watched["a"] = 1
    pickled = pickle.dumps(watched, protocol)

    assert b"perftui" not in pickled
    assert type(pickle.loads(pickled)) is type(plain)
    assert pickle.loads(pickled) == plain


def test_a_timed_cache_can_be_pickled() -> None:
    """A TTLCache comes back with its entries; its clock is Python's own here, to be found by name."""
    plain: cachetools.TTLCache[str, int] = cachetools.TTLCache(4, 60)
    watched = watch_cache(plain, name=fresh_name())
    watched["a"] = 1

    assert dict(pickle.loads(pickle.dumps(watched))) == {"a": 1}


def test_watching_twice_changes_nothing(kind: str) -> None:
    """A second call counts nothing twice, and keeps the name unless it brings another."""
    with counting() as counted:
        name, other = fresh_name(), fresh_name()
        cache = watch_cache(watch_cache(KINDS[kind](Clock()), name=name), name=name)
        cls = type(cache)
        watch_cache(cache)
        cache["a"] = 1
        assert cache["a"] == 1
        assert (counted()[name].hits, type(cache)) == (1, cls)

        watch_cache(cache, name=other)
        assert cache["a"] == 1
        frame = counted()
        assert (frame[other].hits, name in frame) == (1, False)


def test_a_cache_that_is_dropped_disappears() -> None:
    """Nothing keeps a watched cache alive; what it still had to say is said, then its row is gone."""
    with counting() as counted:
        name = fresh_name()
        cache = watch_cache(cachetools.LRUCache[str, int](4), name=name)
        weak = weakref.ref(cache)
        cache.get("a")
        del cache
        gc.collect()

        assert weak() is None
        assert (counted()[name].misses, counted().get(name)) == (1, None)


def test_caches_of_one_name_are_one_row() -> None:
    """Counts and sizes add up; the kind is that of the first."""
    with counting() as counted:
        name = fresh_name()
        caches: list[Any] = [cachetools.LRUCache(2), cachetools.TTLCache(3, 60)]
        for cache in caches:
            watch_cache(cache, name=name)["a"] = 1
            assert cache["a"] == 1
        row = counted()[name]

        assert (row.kind, row.hits, row.size, row.maxsize) == ("cachetools.LRUCache", 2, 2, 5)


def test_a_cache_without_a_name_is_called_after_its_place() -> None:
    """The default name is the file and line of the call."""
    with counting() as counted:
        cache = watch_cache(cachetools.LRUCache[str, int](2))
        line = sys._getframe().f_lineno - 1
        assert f"tests/agent/probes/caches/test_same_object.py:{line}" in counted()
        del cache


def test_a_cache_without_a_limit_has_no_maxsize() -> None:
    """A maxsize of inf is shown as unknown."""
    with counting() as counted:
        name = fresh_name()
        cache = watch_cache(cachetools.LRUCache[str, int](float("inf")), name=name)
        cache["a"] = 1

        assert (counted()[name].size, counted()[name].maxsize) == (1, None)


@pytest.mark.parametrize("thing", [{}, [], None, 3, "config", print, cachetools.LRUCache, lambda: 1])
def test_anything_else_is_refused_in_one_line(thing: Any) -> None:
    """What has no lookups to count is a TypeError that names it."""
    with pytest.raises(
        TypeError, match=r"^watch_cache: .+ is neither a cachetools cache nor a function"
    ) as told:
        watch_cache(thing)
    assert "\n" not in str(told.value)


def test_a_cached_function_without_info_is_refused_with_the_mend() -> None:
    """The refusal says how to get such a function counted."""

    @cachetools.cached(cachetools.LRUCache(2))
    def rates() -> int:
        return 1

    with pytest.raises(TypeError, match="info=True"):
        watch_cache(rates)


def test_keeping_the_agent_off_leaves_the_cache_untouched() -> None:
    """With PERFTUI_ENABLED=0 not even the class changes, and nothing is refused."""
    code = """
import cachetools
from perftui_agent import watch_cache
cache = cachetools.LRUCache(2)
assert watch_cache(cache, name="config") is cache
assert type(cache) is cachetools.LRUCache and not [key for key in vars(cache) if "perftui" in key]
assert watch_cache(3) == 3
"""
    subprocess.run([sys.executable, "-c", code], env={"PERFTUI_ENABLED": "0"}, check=True)


def test_the_agent_imports_no_cache_library() -> None:
    """Neither cachetools nor redis is there because of us."""
    code = """
import sys
import perftui_agent
from perftui_agent.agent import Agent
assert not {"cachetools", "redis"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


class Computing(cachetools.LRUCache[str, int]):
    """Makes what is missing, and stores it."""

    def __missing__(self, key: str) -> int:
        if key == "never":
            raise KeyError(key)
        self[key] = value = len(key)
        assert self[key] == value
        return value


class NotStoring(cachetools.TTLCache[str, int]):
    """Makes what is missing, each time anew."""

    def __missing__(self, key: str) -> int:
        return len(key)


class Picky(cachetools.LRUCache[str, int]):
    """Evicts by its own rule, looking entries up as it does."""

    evicted: list[str]

    def popitem(self) -> tuple[str, int]:
        self.evicted = [*getattr(self, "evicted", []), min(self, key=self.__getitem__)]
        return self.evicted[-1], self.pop(self.evicted[-1])

    def __setitem__(self, key: str, value: int, *args: Any) -> None:
        if key in self and self[key] == value:
            return
        super().__setitem__(key, value, *args)


class Slotted(cachetools.LRUCache[str, int]):
    """Has a place of its own for something."""

    __slots__ = ("label",)


class Typed(cachetools.LRUCache[K, V], Generic[K, V]):
    """Generic, as type checkers like it."""


class Registered(cachetools.LRUCache[str, int]):
    """Wants to know of its subclasses."""

    known: ClassVar[list[str]] = []

    def __init_subclass__(cls, *, label: str) -> None:
        cls.known.append(label)


class Fenced(cachetools.LRUCache[str, int]):
    """Lets nobody set anything."""

    def __setattr__(self, name: str, value: object) -> None:
        if not name.startswith("_"):
            raise AttributeError(name)
        super().__setattr__(name, value)


class Asking(cachetools.LRUCache[str, int]):
    """Asks before it looks."""

    def __getitem__(self, key: str, *args: Any) -> int:
        if key not in self:
            return self.__missing__(key)
        return super().__getitem__(key, *args)


class Fibonacci(cachetools.LRUCache[int, int]):
    """Makes what is missing of what is there."""

    def __missing__(self, key: int) -> int:
        self[key] = value = key if key < 2 else self[key - 1] + self[key - 2]
        return value


class OwnGet(cachetools.LRUCache[str, int]):
    """Looks up in a way of its own."""

    def get(self, key: str, default: Any = None) -> Any:
        return super().get(key.lower(), default)


class Cloning(cachetools.LRUCache[str, int]):
    """Makes others of its kind."""

    def clone(self) -> Cloning:
        twin = type(self)(self.maxsize)
        twin.update(self)
        return twin


def test_a_missing_of_the_app_makes_one_miss() -> None:
    """What `__missing__` makes is a miss and no hit, whether it stores it, looks at it or raises."""
    with counting() as counted:
        name = fresh_name()
        cache = watch_cache(Computing(4), name=name)
        assert [cache["abc"], cache["abc"]] == [3, 3]
        with pytest.raises(KeyError):
            cache["never"]
        assert "x" not in cache
        assert cache["x"] == 1
        row = counted()[name]
        assert (row.hits, row.misses) == (1, 3)

        other = watch_cache(NotStoring(4, 60), name=name)
        assert [other["abc"], other["abc"], other.get("abc", 0)] == [3, 3, 0]
        row = counted()[name]
        assert (row.hits, row.misses) == (0, 3)


def test_a_missing_may_look_other_keys_up() -> None:
    """A recursion through a cache is as many lookups as it makes: two for each number it has not seen."""
    with counting() as counted:
        name = fresh_name()
        cache = watch_cache(Fibonacci(100), name=name)
        assert cache[20] == 6765
        row = counted()[name]
        assert (row.misses, row.hits) == (21, 18)


def test_a_popitem_of_the_app_decides_and_is_counted() -> None:
    """What it evicts is what it chose; how it chose is no lookup."""
    with counting() as counted:
        name = fresh_name()
        cache = watch_cache(Picky(2), name=name)
        cache["a"], cache["b"], cache["c"] = 2, 1, 3
        cache["c"] = 3
        row = counted()[name]

        assert (cache.evicted, sorted(cache)) == (["b"], ["a", "c"])
        assert (row.evictions, row.hits, row.misses) == (1, 0, 0)


@pytest.mark.parametrize("cls", [Slotted, Typed, Registered, Fenced, Asking, OwnGet])
def test_classes_of_the_app_can_be_watched(cls: Any) -> None:
    """Slots, generics, hooks for subclasses, fences and a `get` of one's own work, unheard of by them."""
    with counting() as counted:
        name = fresh_name()
        cache = watch_cache(cls(2), name=name)
        cache["a"] = 1
        row = counted()[name]

        assert (cache["a"], cache.get("a"), cache.get("b")) == (1, 1, None)
        row = counted()[name]
        assert (row.hits, row.misses, row.kind) == (2, 1, "cachetools.LRUCache")
        assert Registered.known == []


def test_what_a_cache_makes_of_its_own_class_works_uncounted() -> None:
    """`type(self)(…)` inside a watched cache gives a cache that works, and that nobody watches."""
    with counting() as counted:
        name = fresh_name()
        cache = watch_cache(Cloning(2), name=name)
        cache["a"] = 1
        twin = cache.clone()
        counted()
        assert (twin["a"], isinstance(twin, Cloning)) == (1, True)
        assert counted()[name].hits == 0


def test_threads_that_share_a_cache_lose_no_lookup() -> None:
    """Eight threads at one cache, under its lock as cachetools asks for: every lookup is counted."""
    with counting() as counted:
        name = fresh_name()
        cache = watch_cache(cachetools.LRUCache[int, int](50), name=name)
        lock = threading.Lock()
        interval = sys.getswitchinterval()

        def work(seed: int) -> None:
            for number in range(2000):
                key = (number * seed) % 80
                with lock:
                    if key not in cache:
                        cache[key] = number
                    assert cache[key] >= 0

        threads = [threading.Thread(target=work, args=(seed,)) for seed in range(1, 9)]
        sys.setswitchinterval(1e-6)
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            sys.setswitchinterval(interval)
        row = counted()[name]

        assert row.hits + row.misses == 8 * 2000
        assert row.evictions == row.misses - len(cache)


def test_reading_while_the_app_stores_disturbs_nobody() -> None:
    """The agent reads sizes while threads without a lock look up: no error, no lookup lost."""
    with counting() as counted:
        name = fresh_name()
        cache = watch_cache(cachetools.Cache[int, int](100), name=name)
        for number in range(100):
            cache[number] = number
        ends = threading.Barrier(5)

        def read() -> None:
            for number in range(5000):
                cache.get(number % 100)
            ends.wait(30)

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        hits = 0
        while ends.n_waiting < 4:
            hits += counted()[name].hits
        ends.wait(30)
        for thread in threads:
            thread.join()
        hits += counted()[name].hits

        assert hits == 4 * 5000
