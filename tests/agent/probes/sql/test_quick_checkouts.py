"""Checkouts that wait for nobody are counted without a record of each."""

from __future__ import annotations

import gc
import threading

from sqlalchemy import create_engine
from sqlalchemy.pool import QueuePool

from tests.support.databases import Seen


def test_many_threads_count_every_checkout(seen: Seen) -> None:
    """On a pool that has room for all, and on the one that replaces it."""
    engine = create_engine("sqlite://", poolclass=QueuePool, pool_size=8)

    def work() -> None:
        for _ in range(200):
            engine.connect().close()

    pools = []
    for _ in range(2):
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            pools.append(seen.pools())
            threads[0].join(0.01)
        engine.dispose()
    pools.append(seen.pools())
    told = [pool for second in pools for pool in second.values()]
    assert {pool.name for pool in told} == {":memory:"}
    assert sum(pool.checkouts for pool in told) == 2 * 8 * 200
    assert sum(pool.wait.count for pool in told) == 2 * 8 * 200


def test_what_was_checked_out_is_told_when_the_pool_is_gone(seen: Seen) -> None:
    """Once, and then the pool is forgotten."""
    engine = create_engine("sqlite://", poolclass=QueuePool)
    for _ in range(5):
        engine.connect().close()
    engine.dispose()
    del engine
    gc.collect()
    assert sum(pool.checkouts for pool in seen.pools().values()) == 5
    assert seen.pools() == {}
    assert seen.pool._places.quick == {}
