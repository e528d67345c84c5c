"""Every fault by its kind."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from demo_app.faults import (
    backlog_overflow,
    cache_stampede,
    cache_thrash,
    chatty_upstream,
    client_per_request,
    client_pool_exhausted,
    cpu_saturated,
    cpu_throttled,
    db_connections,
    db_lock,
    error_burst,
    gc_pause,
    idle_in_transaction,
    large_payload,
    loop_blocked,
    low_hit_ratio,
    memory_growth,
    missing_index,
    n_plus_one,
    pool_exhausted,
    queueing,
    repeated_query,
    slo_breach,
    slow_messages,
    slow_query,
    slow_serialization,
    stuck_request,
    threadpool_exhausted,
    upstream_errors,
    upstream_slow,
    worker_imbalance,
    worker_lost,
    worker_restarted,
)
from demo_app.faults.fault import Fault

FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        module.FAULT.kind: module.FAULT
        for module in (
            n_plus_one,
            loop_blocked,
            missing_index,
            large_payload,
            error_burst,
            pool_exhausted,
            cache_thrash,
            slo_breach,
            repeated_query,
            slow_query,
            slow_serialization,
            threadpool_exhausted,
            low_hit_ratio,
            cache_stampede,
            stuck_request,
            worker_imbalance,
            cpu_saturated,
            cpu_throttled,
            memory_growth,
            gc_pause,
            queueing,
            backlog_overflow,
            db_lock,
            idle_in_transaction,
            db_connections,
            upstream_slow,
            upstream_errors,
            chatty_upstream,
            client_per_request,
            client_pool_exhausted,
            slow_messages,
            worker_lost,
            worker_restarted,
        )
    }
)
"""Those that the shop has of itself come first."""
