"""What the wrapped methods of redis-py do: pass everything on, and write down what it was.

Runs on the app's threads. A command gives one record; a pipeline one, with a part for each command.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import perf_counter_ns
from typing import Any, Protocol, TypeAlias

from perftui_agent.guard import Guard
from perftui_agent.probes.caches.redis_commands import NO_LOOKUP, CommandNames, Lookups, Reader, hashes_of
from perftui_agent.records import CacheBatchRecord, CachePart, CacheRecord
from perftui_agent.whose import request_at

MAX_PARTS = 1000
"""Commands of one pipeline that are named; of a longer one those at its beginning."""

Method: TypeAlias = Callable[..., Any]


class CacheSink(Protocol):
    """The window, as far as Redis needs it."""

    open: bool

    def put(self, record: CacheRecord | CacheBatchRecord) -> None:
        """Take a record that will not be written to any more."""


class Tap:
    """Where the methods report to."""

    def __init__(self, sink: CacheSink, guard: Guard) -> None:
        self.attached = False
        self.sink = sink
        self._guard = guard
        self._names = CommandNames()
        self._known = self._names.known.get

    def waiting(self, pipeline: Any) -> list[tuple[Any, ...]]:
        """Return the commands that a pipeline is about to send; none when nobody wants to know."""
        if not (self.attached and self.sink.open):
            return []
        try:
            return commands_of(pipeline)
        except Exception as error:  # noqa: BLE001 - as below
            self._guard.fault("probes.redis", error)
            return []

    def command(self, arguments: tuple[Any, ...], started_ns: int, reply: Any) -> None:
        """Note a command and its reply, which may be an exception."""
        ended_ns = perf_counter_ns()
        try:
            command = self._known(arguments[0]) or self._names.command(arguments[0])
            name = None
            if command.key_at == 1 and len(arguments) > 1 and type(arguments[1]) is str:
                # `CommandNames.name`, for what nearly every command looks like.
                prefix, colon, _ = arguments[1].partition(":")
                name = command.names.get(prefix) if colon else command.plain
            if name is None:
                name = self._names.name(command, arguments)
            record = CacheRecord(request_at(started_ns), "cache", name, started_ns, ended_ns)
            if isinstance(reply, BaseException):
                record.failed = _is_failure(reply)
            elif command.reader is not None:
                record.hits, record.misses = _read(command.reader, reply, len(arguments) - 1)
                if record.misses and command.fetches is not None:
                    record.missed = hashes_of(command.fetches, arguments, reply)
            elif command.stores is not None:
                record.stored = hashes_of(command.stores, arguments, reply)
            self.sink.put(record)
        except Exception as error:  # noqa: BLE001 - a fault of ours costs a count, never a reply
            self._guard.fault("probes.redis", error)

    def batch(self, commands: Sequence[tuple[Any, ...]], started_ns: int, replies: Any) -> None:
        """Note a pipeline's round trip; `replies` is a list, or the exception that came instead."""
        ended_ns = perf_counter_ns()
        try:
            if not isinstance(replies, list):
                replies = _blame(replies, len(commands))
            elif len(replies) != len(commands):
                # A cluster splits some commands over its nodes, with a reply from each.
                replies = [_NO_REPLY] * len(commands)
            parts = [
                self._part(arguments, reply)
                for arguments, reply in zip(commands[:MAX_PARTS], replies, strict=False)
            ]
            failed = any(part.failed for part in parts)
            self.sink.put(
                CacheBatchRecord(
                    request_at(started_ns),
                    "cache",
                    f"pipeline {parts[0].name}",
                    started_ns,
                    ended_ns,
                    failed,
                    parts=parts,
                    commands=len(commands),
                )
            )
        except Exception as error:  # noqa: BLE001 - as above
            self._guard.fault("probes.redis", error)

    def _part(self, arguments: tuple[Any, ...], reply: Any) -> CachePart:
        command = self._names.command(arguments[0])
        name = self._names.name(command, arguments)
        if isinstance(reply, BaseException):
            return CachePart(name, failed=_is_failure(reply))
        if command.stores is not None:
            return CachePart(name, stored=hashes_of(command.stores, arguments, reply))
        if command.reader is None or reply is _NO_REPLY:
            return CachePart(name)
        part = CachePart(name, *_read(command.reader, reply, len(arguments) - 1))
        if part.misses and command.fetches is not None:
            part.missed = hashes_of(command.fetches, arguments, reply)
        return part


_NO_REPLY = object()


def _read(reader: Reader, reply: Any, arguments: int) -> Lookups:
    try:
        return reader(reply, arguments)
    except (AttributeError, TypeError, ValueError):  # the app reads such replies in a way of its own
        return NO_LOOKUP


def _is_failure(error: BaseException) -> bool:
    # A transaction that lost the race for its keys is an answer; so is a request that was cancelled.
    return isinstance(error, Exception) and type(error).__name__ != "WatchError"


def _blame(error: BaseException, count: int) -> list[Any]:
    """Return what each command of a pipeline came to when `error` was raised: its own, or everyone's."""
    if type(error).__name__.endswith(("ConnectionError", "TimeoutError")):
        return [error] * count
    # redis-py writes the number of the command into the message of an error that the server replied.
    said = str(error.args[0]) if error.args else ""
    number, _, _ = said.removeprefix("Command # ").partition(" ")
    guilty = int(number) - 1 if number.isdigit() and said.startswith("Command # ") else 0
    return [error if index == guilty else _NO_REPLY for index in range(count)]


def commands_of(pipeline: Any) -> list[tuple[Any, ...]]:
    """Return the arguments of what waits in a pipeline: redis-py has kept them in four ways."""
    strategy = getattr(pipeline, "_execution_strategy", None)  # clusters, since 6.1
    if strategy is not None:
        waiting = strategy._command_queue
    else:
        waiting = getattr(pipeline, "command_stack", None)
        if waiting is None:
            waiting = pipeline._command_stack  # an asyncio cluster before that
    return [command[0] if isinstance(command, tuple) else command.args for command in waiting]


def observed(original: Method, tap: Tap, *, is_async: bool, is_batch: bool) -> Method:
    """Return `original` with its commands written down."""
    if is_batch:
        return _async_batch(original, tap) if is_async else _batch(original, tap)
    return _async_command(original, tap) if is_async else _command(original, tap)


def _command(original: Method, tap: Tap) -> Method:
    def execute_command(self: Any, *args: Any, **options: Any) -> Any:
        if not (tap.attached and tap.sink.open):
            return original(self, *args, **options)
        started_ns = perf_counter_ns()
        try:
            reply = original(self, *args, **options)
        except BaseException as error:
            tap.command(args, started_ns, error)
            raise
        tap.command(args, started_ns, reply)
        return reply

    return execute_command


def _async_command(original: Method, tap: Tap) -> Method:
    async def execute_command(self: Any, *args: Any, **options: Any) -> Any:
        if not (tap.attached and tap.sink.open):
            return await original(self, *args, **options)
        started_ns = perf_counter_ns()
        try:
            reply = await original(self, *args, **options)
        except BaseException as error:
            tap.command(args, started_ns, error)
            raise
        tap.command(args, started_ns, reply)
        return reply

    return execute_command


def _batch(original: Method, tap: Tap) -> Method:
    def execute(self: Any, *args: Any, **options: Any) -> Any:
        commands = tap.waiting(self)
        if not commands:
            return original(self, *args, **options)
        started_ns = perf_counter_ns()
        try:
            replies = original(self, *args, **options)
        except BaseException as error:
            tap.batch(commands, started_ns, error)
            raise
        tap.batch(commands, started_ns, replies)
        return replies

    return execute


def _async_batch(original: Method, tap: Tap) -> Method:
    async def execute(self: Any, *args: Any, **options: Any) -> Any:
        commands = tap.waiting(self)
        if not commands:
            return await original(self, *args, **options)
        started_ns = perf_counter_ns()
        try:
            replies = await original(self, *args, **options)
        except BaseException as error:
            tap.batch(commands, started_ns, error)
            raise
        tap.batch(commands, started_ns, replies)
        return replies

    return execute
