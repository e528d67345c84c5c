"""A watched cache beside its unwatched twin: whatever is done to both, they stay alike."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import cachetools
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from perftui_agent import watch_cache
from tests.agent.probes.caches.counting import Counted, counting, fresh_name
from tests.agent.probes.caches.kinds import KINDS, SIZE, Clock

KEYS = st.integers(0, 6)
VALUES = st.integers(-1, 5)


class Twins(RuleBasedStateMachine):
    """Does the same to both, compares what comes back, and counts by hand."""

    kind = ""

    @initialize()
    def make(self) -> None:
        self.clock = Clock()
        self.plain: cachetools.Cache[Any, Any] = KINDS[self.kind](self.clock)
        self.name = fresh_name()
        self.watched = watch_cache(KINDS[self.kind](self.clock), name=self.name)
        self.counting = counting()
        self.counted: Counted = self.counting.__enter__()
        self.hits = self.misses = 0
        self.asked: int | None = None
        """A key that was asked for by `in` and not looked up since."""
        self.missed: set[int] = set()

    def teardown(self) -> None:
        self.counting.__exit__(None, None, None)

    def both(self, do: Callable[[Any], Any]) -> tuple[Any, BaseException | None]:
        """Do it to both; return what came of it."""
        outcomes: list[tuple[Any, BaseException | None]] = []
        for cache in (self.plain, self.watched):
            try:
                outcomes.append((do(cache), None))
            except Exception as error:  # noqa: BLE001 - it is compared
                outcomes.append((None, error))
        plain, watched = outcomes
        assert plain[0] == watched[0]
        assert type(plain[1]) is type(watched[1])
        assert str(plain[1]) == str(watched[1])
        return watched

    def looked_up(self, key: int, found: bool) -> None:
        """Count one lookup, unless an `in` has."""
        if self.asked == key:
            self.asked = None
        elif found:
            self.hits += 1
        else:
            self.misses += 1
            self.missed.add(key)

    def ask(self, key: int) -> bool:
        """Ask by `in`. A mark from before stays with its key, so the test takes it first."""
        if self.asked is not None:
            pending = self.asked
            self.both(lambda cache: cache.get(pending))
            self.asked = None
        found, _ = self.both(lambda cache: key in cache)
        if found:
            self.hits += 1
        else:
            self.misses += 1
            self.missed.add(key)
        self.asked = key
        return bool(found)

    @rule(key=KEYS)
    def index(self, key: int) -> None:
        _, error = self.both(lambda cache: cache[key])
        self.looked_up(key, error is None)

    @rule(key=KEYS)
    def get(self, key: int) -> None:
        marker = object()
        found, _ = self.both(lambda cache: cache.get(key, marker) is not marker)
        self.looked_up(key, found)

    @rule(key=KEYS)
    def contains(self, key: int) -> None:
        self.ask(key)

    @rule(key=KEYS)
    def contains_then_index(self, key: int) -> None:
        if self.ask(key):
            self.index(key)

    @rule(key=KEYS, value=VALUES)
    def fill_if_absent_and_read(self, key: int, value: int) -> None:
        if not self.ask(key):
            self.store(key, value)
        self.index(key)

    @rule(key=KEYS)
    def pop(self, key: int) -> None:
        _, error = self.both(lambda cache: cache.pop(key))
        self.looked_up(key, error is None)

    @rule(key=KEYS)
    def pop_with_default(self, key: int) -> None:
        marker = object()
        found, _ = self.both(lambda cache: cache.pop(key, marker) is not marker)
        self.looked_up(key, found)

    @rule(key=KEYS, value=VALUES)
    def setdefault(self, key: int, value: int) -> None:
        present = key in list(self.plain)
        self.both(lambda cache: cache.setdefault(key, value))
        if self.asked == key:
            self.asked = None
        elif key not in self.missed:
            self.hits += present
            self.misses += not present
        self.missed.discard(key)

    @rule(key=KEYS, value=VALUES)
    def store(self, key: int, value: int) -> None:
        _, error = self.both(lambda cache: cache.__setitem__(key, value))
        if error is None:
            self.missed.discard(key)

    @rule(key=KEYS)
    def delete(self, key: int) -> None:
        self.both(lambda cache: cache.__delitem__(key))

    @rule()
    def popitem(self) -> None:
        self.both(lambda cache: cache.popitem())

    @rule(seconds=st.sampled_from([1.0, 6.0, 11.0]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def clear(self) -> None:
        self.both(lambda cache: cache.clear())

    @rule(entries=st.dictionaries(KEYS, st.integers(0, SIZE), max_size=3))
    def update(self, entries: dict[int, int]) -> None:
        self.both(lambda cache: cache.update(entries))
        self.missed -= set(entries)

    @rule()
    def list_everything(self) -> None:
        self.both(
            lambda cache: (list(cache), list(cache.items()), list(cache.values()), len(cache), repr(cache))
        )

    @rule()
    def copy_and_compare(self) -> None:
        self.both(lambda cache: type(copy.copy(cache)).__name__)
        assert copy.copy(self.plain) == copy.copy(self.watched)
        assert self.watched == self.plain

    @invariant()
    def sizes_are_alike(self) -> None:
        self.both(lambda cache: (cache.currsize, cache.maxsize))

    @invariant()
    def counts_are_right(self) -> None:
        row = self.counted()[self.name]
        assert (row.hits, row.misses) == (self.hits, self.misses)
        self.hits = self.misses = 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_watched_cache_behaves_as_its_twin_and_counts_each_lookup_once(kind: str) -> None:
    """Whatever is done has the same results, errors, contents and sizes; each lookup counts once."""
    machine = type(f"Twins of {kind}", (Twins,), {"kind": kind})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
