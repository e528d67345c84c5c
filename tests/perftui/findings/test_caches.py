"""Caches that seldom hit, are too small, or are stampeded."""

from __future__ import annotations

from typing import Any

import pytest

from perftui.findings.find import find
from perftui.model.summary import Summary
from perftui_agent.wire.outside import CacheFrame
from tests.perftui.findings.pictures import a_worker, found, only, picture

LOW, THRASH, STAMPEDE = "low-hit-ratio", "cache-thrash", "cache-stampede"


def cached(age_s: float = 3600.0, **counts: Any) -> Summary:
    """Return a picture with one cache, in workers of this age."""
    values = {"name": "items", "kind": "cachetools.LRUCache", "size": 128, "maxsize": 128, **counts}
    return picture(caches=(CacheFrame(**values),), workers=(a_worker(age_s=age_s),))


def test_a_cache_that_seldom_hits_is_found() -> None:
    """How many of how many, and how full it is."""
    finding = only(LOW, cached(hits=120, misses=880, expirations=700))
    assert finding.subject == finding.cache == "items"
    assert finding.sentence == "hits 12 % of 1,000 lookups, 128 of 128 entries, 700 expired"
    assert finding.severity == "low"
    assert finding.evidence["hit_ratio"] == 0.12
    assert "TTL" in finding.advice


def asked(name: str, filled: int | None, misses: int = 900, hits: int = 100) -> Summary:
    """Return a picture of keys of Redis: how often they were asked for, and made when they were missed."""
    return cached(name=name, kind="redis", size=None, maxsize=None, hits=hits, misses=misses, filled=filled)


def test_keys_that_are_missed_and_then_made_are_a_cache() -> None:
    """`GET user:*` misses nine of ten, and each is followed by a `SET user:*`."""
    assert only(LOW, asked("GET user:*", 880)).sentence == "hits 10 % of 1,000 lookups"


@pytest.mark.parametrize(
    "healthy",
    [
        asked("SISMEMBER ban:*", 0),
        asked("EXISTS idem:*", 0),
        asked("GET lock:*", 0),
        asked("GET flag:*", 10),
        asked("GET idempotency:*", 900),
        asked("GET session:*", 880),
        asked("GET rate_limit:*", 880),
        asked("GET user:*", None),
    ],
    ids=lambda summary: summary.caches[0].name,
)
def test_keys_that_are_usually_absent_are_healthy(healthy: Summary) -> None:
    """A ban, a lock, a flag, a key of idempotency: that it isn't there is the answer."""
    assert not found(LOW, healthy)


@pytest.mark.parametrize("name", ["GET rates:*", "GET locksmiths:*", "GET user_sessions:*"])
def test_a_name_that_only_looks_like_one_of_those_is_a_cache(name: str) -> None:
    """Exchange rates are no rate limit."""
    assert found(LOW, asked(name, 880))


def test_ten_lookups_say_nothing() -> None:
    """A cache that is hardly used is healthy, however it fares."""
    assert not find(cached(hits=0, misses=10))


def test_a_cold_cache_is_healthy() -> None:
    """In a process's first minute nearly every key is new."""
    assert not find(cached(age_s=30.0, hits=50, misses=450))


def test_a_cache_that_is_still_being_filled_is_healthy() -> None:
    """It holds nearly all it was asked for, and has forgotten nothing."""
    assert not find(cached(age_s=120.0, hits=60, misses=440, size=440, maxsize=4096))
    # After an hour it is asked for something new each time.
    assert found(LOW, cached(age_s=3600.0, hits=60, misses=440, size=9_000, maxsize=50_000))


def test_a_cache_that_was_emptied_is_healthy() -> None:
    """What fills it are the misses; one whose entries expire, or go, as soon as they come is another."""
    emptied = {"hits": 60, "misses": 440, "size": 300, "maxsize": 4096}
    assert not find(cached(age_s=3600.0, **emptied))
    assert found(LOW, cached(age_s=3600.0, expirations=400, **emptied))
    assert found(LOW, cached(age_s=3600.0, **emptied | {"size": 40}))


def test_a_cache_that_hits_now_and_then_is_healthy() -> None:
    """At 36 % it saves a third of the work; it stays a finding if it was one."""
    assert not find(cached(hits=360, misses=640))
    assert found(LOW, cached(hits=360, misses=640), {"items": "low"})
    assert not found(LOW, cached(hits=450, misses=550), {"items": "low"})


def test_a_cache_that_evicts_as_fast_as_it_fills_is_found() -> None:
    """The demo's 32 entries in front of 20,000 items."""
    finding = only(THRASH, cached(hits=270, misses=730, evictions=728, size=32, maxsize=32))
    assert finding.severity == "medium"
    assert finding.sentence == (
        "728 evictions for 730 misses (12.1 a second) with room for 32: hits 27 % of 1,000 lookups"
    )


def test_a_full_cache_that_hits_is_healthy() -> None:
    """Once full, every cache evicts one entry for each that comes in."""
    assert not find(cached(hits=9000, misses=1000, evictions=1000))


def test_entries_that_expire_are_no_thrashing() -> None:
    """A TTL forgets on purpose."""
    assert not found(THRASH, cached(hits=400, misses=600, expirations=600))


def test_many_fetches_of_one_key_at_once_are_found() -> None:
    """How often, and of how many misses."""
    finding = only(STAMPEDE, cached(hits=5000, misses=300, stampedes=180))
    assert finding.severity == "medium"
    assert (
        finding.sentence == "180× a key was missed while another request was fetching it (60 % of 300 misses)"
    )


def test_two_requests_that_meet_at_a_key_are_healthy() -> None:
    """A busy key expires every half minute, and two requests notice."""
    assert not find(cached(hits=5000, misses=30, stampedes=8))
    assert not find(cached(hits=5000, misses=900, stampedes=30))


def test_stampedes_that_load_the_source_are_high() -> None:
    """Ten a second and more are a load of their own."""
    assert only(STAMPEDE, cached(hits=5000, misses=2000, stampedes=1200)).severity == "high"
