"""The connections of urllib3's pools: waits for one, the opening of one, and how many there are."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any, TypeAlias

from perftui_agent.probes.http_client.connections import HostConnections, Hosts
from perftui_agent.probes.http_client.exchanges import Exchanges
from perftui_agent.probes.http_client.hosts import name_of_host
from perftui_agent.records import CallRecord

BeginEarly: TypeAlias = Callable[[Any], CallRecord | None]
"""Begins the exchange for whose sake a pool does something."""

Failed: TypeAlias = Callable[[CallRecord, BaseException], None]

GoingOn: TypeAlias = Callable[[], CallRecord | None]
"""Returns the exchange that goes on here."""


def count_connections(pool: Any, hosts: Hosts) -> None:
    """Add a pool's connections to those of its host.

    Places that no connection was ever made for are in its queue as None.
    """
    queue = pool.pool
    if queue is None:
        return
    places = list(queue.queue)
    idle = sum(getattr(each, "sock", None) is not None for each in places)
    to = hosts.setdefault(name_of_host(pool.scheme, pool.host, pool.port), HostConnections())
    to.add(idle + max(0, queue.maxsize - len(places)), idle, queue.maxsize if pool.block else 0)


def timed_wait(
    get_connection: Callable[..., Any], exchanges: Exchanges, begin_early: BeginEarly, failed: Failed
) -> Callable[..., Any]:
    """Return `_get_conn`, in which a pool that blocks is waited for."""

    def timed(pool: Any, timeout: Any = None) -> Any:
        if not pool.block or not _is_empty(pool):
            return get_connection(pool, timeout)
        record = begin_early(pool)
        if record is None:
            return get_connection(pool, timeout)
        exchanges.waiting.add(record)
        details, started_ns = record.in_detail(), perf_counter_ns()
        try:
            connection = get_connection(pool, timeout)
        except BaseException as error:
            details.pool_wait_ns += perf_counter_ns() - started_ns
            failed(record, error)
            raise
        finally:
            exchanges.waiting.discard(record)
        record.ready_ns = perf_counter_ns()
        details.pool_wait_ns += record.ready_ns - started_ns
        return connection

    return timed


def timed_tunnel(
    tunnel: Callable[..., Any], _exchanges: Exchanges, begin_early: BeginEarly, failed: Failed
) -> Callable[..., Any]:
    """Return `_prepare_proxy`, in which a connection is opened through a proxy."""

    def timed(pool: Any, conn: Any) -> Any:
        record = begin_early(pool)
        try:
            return tunnel(pool, conn)
        except BaseException as error:
            if record is not None:
                failed(record, error)
            raise

    return timed


def timed_connect(connect: Callable[..., Any], going_on: GoingOn) -> Callable[..., Any]:
    """Return `connect` of a connection."""

    def timed(connection: Any) -> Any:
        record = going_on()
        if record is None:
            return connect(connection)
        details, started_ns = record.in_detail(), perf_counter_ns()
        try:
            connected = connect(connection)
            details.opened = True
            return connected
        finally:
            record.ready_ns = perf_counter_ns()
            details.connect_ns += record.ready_ns - started_ns

    return timed


def timed_tls(original: Callable[..., Any], going_on: GoingOn) -> Callable[..., Any]:
    """Return what makes a socket one of TLS."""

    def timed(*args: Any, **options: Any) -> Any:
        record = going_on()
        if record is None:
            return original(*args, **options)
        details, started_ns = record.in_detail(), perf_counter_ns()
        try:
            return original(*args, **options)
        finally:
            details.tls_ns += perf_counter_ns() - started_ns

    return timed


def known_manager(new_pool: Callable[..., Any], _going_on: GoingOn) -> Callable[..., Any]:
    """Return `PoolManager._new_pool`: a session's second pool is that of another host, not a new client's."""

    def known(manager: Any, *args: Any, **options: Any) -> Any:
        pool = new_pool(manager, *args, **options)
        # One of the app's own kind may take no further attributes: then it counts as met before.
        with contextlib.suppress(AttributeError, TypeError):
            pool._perftui_manager_is_new = not vars(manager).get("_perftui_met", False)
            manager._perftui_met = True
        return pool

    return known


def _is_empty(pool: Any) -> bool:
    queue = pool.pool
    return queue is not None and queue.empty()
