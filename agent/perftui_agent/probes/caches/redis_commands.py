"""What a Redis command is called, and what its reply says: hit, miss or neither.

Takes the arguments of a command, gives `GET user:*`: the command, and its first key up to the first
`:`. Nothing else of a key leaves the process: what has no `:`, or an id before it, is `*`. Commands
whose first argument is not known to be a key (`AUTH`, `PUBLISH`, modules') are named without it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

MAX_COMMANDS = 300
"""Spellings of commands that are remembered, all of which are forgotten at a time; Redis has about 250."""

MAX_REMEMBERED = 2000
"""Prefixes whose verdict is remembered, ids included: looking anew costs 1 µs. They are forgotten as well."""

MAX_PREFIX_CHARACTERS = 64
"""Longer ones are no words, and not worth keeping."""

OTHER_COMMANDS = "(other commands)"

Lookups: TypeAlias = tuple[int, int]
"""Hits and misses."""

NO_LOOKUP: Lookups = (0, 0)

Reader: TypeAlias = Callable[[Any, int], Lookups]
"""Takes a reply and how many arguments the command had; tells how many of them were found."""

_COMMAND = re.compile(r"[A-Z][A-Z0-9._ -]{0,31}", re.ASCII)
_PREFIX = re.compile(r"\{?[A-Za-z_][A-Za-z0-9_.\-]{0,31}", re.ASCII)
_HEX = re.compile(r"[0-9A-Fa-f\-]{8,}")

_KEY_FIRST = """
APPEND BITCOUNT BITFIELD BITFIELD_RO BITPOS BLMOVE BLPOP BRPOP BRPOPLPUSH BZPOPMAX BZPOPMIN COPY DECR
DECRBY DEL DUMP EXISTS EXPIRE EXPIREAT EXPIRETIME GEOADD GEODIST GEOHASH GEOPOS GEORADIUS GEOSEARCH GET
GETBIT GETDEL GETEX GETRANGE GETSET HDEL HEXISTS HEXPIRE HGET HGETALL HGETDEL HGETEX HINCRBY HINCRBYFLOAT
HKEYS HLEN HMGET HMSET HRANDFIELD HSCAN HSET HSETEX HSETNX HSTRLEN HTTL HVALS INCR INCRBY INCRBYFLOAT
LINDEX LINSERT LLEN LMOVE LPOP LPOS LPUSH LPUSHX LRANGE LREM LSET LTRIM MGET MOVE MSET MSETNX PERSIST
PEXPIRE PEXPIREAT PEXPIRETIME PFADD PFCOUNT PFMERGE PSETEX PTTL RENAME RENAMENX RESTORE RPOP RPOPLPUSH
RPUSH RPUSHX SADD SCARD SDIFF SDIFFSTORE SET SETBIT SETEX SETNX SETRANGE SINTER SINTERSTORE SISMEMBER
SMEMBERS SMISMEMBER SMOVE SORT SPOP SRANDMEMBER SREM SSCAN STRLEN SUBSTR SUNION SUNIONSTORE TOUCH TTL TYPE
UNLINK WATCH XACK XADD XAUTOCLAIM XCLAIM XDEL XLEN XPENDING XRANGE XREVRANGE XTRIM ZADD ZCARD ZCOUNT
ZINCRBY ZLEXCOUNT ZMSCORE ZPOPMAX ZPOPMIN ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREM
ZREMRANGEBYLEX ZREMRANGEBYRANK ZREMRANGEBYSCORE ZREVRANGE ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE JSON.GET
JSON.SET JSON.DEL JSON.MGET
"""

KEY_FIRST = frozenset(_KEY_FIRST.split())
"""Commands whose first argument is a key."""

KEY_THIRD = frozenset({"EVAL", "EVALSHA", "EVAL_RO", "EVALSHA_RO", "FCALL", "FCALL_RO"})
"""Commands of a script, how many keys, and the keys."""


def _one(reply: Any, _: int) -> Lookups:
    return (0, 1) if reply is None else (1, 0)


def _each(reply: Any, _: int) -> Lookups:
    misses = reply.count(None)
    return len(reply) - misses, misses


def _anything(reply: Any, _: int) -> Lookups:
    return (1, 0) if reply else (0, 1)


def _of_all(reply: Any, arguments: int) -> Lookups:
    found = min(int(reply), arguments)
    return found, arguments - found


READERS: dict[str, Reader] = {
    **dict.fromkeys(("GET", "GETDEL", "GETEX", "HGET", "LINDEX", "ZSCORE", "JSON.GET"), _one),
    **dict.fromkeys(("MGET", "HMGET", "ZMSCORE", "JSON.MGET"), _each),
    **dict.fromkeys(("HGETALL", "SMEMBERS", "HEXISTS", "SISMEMBER"), _anything),
    "EXISTS": _of_all,
}
"""Reads whose reply says whether something was there. An empty hash or set is one that isn't there."""


Keys: TypeAlias = Callable[[tuple[Any, ...], Any], list[Any]]
"""Takes a command's arguments and its reply; gives the keys that were missed, or that were stored."""


def _key(arguments: tuple[Any, ...], _: Any) -> list[Any]:
    return [arguments[1]]


def _absent_keys(arguments: tuple[Any, ...], reply: Any) -> list[Any]:
    return [key for key, value in zip(arguments[1:], reply, strict=False) if value is None]


def _field(arguments: tuple[Any, ...], _: Any) -> list[Any]:
    return [(arguments[1], arguments[2])]


def _absent_fields(arguments: tuple[Any, ...], reply: Any) -> list[Any]:
    fields = zip(arguments[2:], reply, strict=False)
    return [(arguments[1], field) for field, value in fields if value is None]


def _key_unless_it_is_a_lock(arguments: tuple[Any, ...], _: Any) -> list[Any]:
    options = [each for each in arguments[3:] if isinstance(each, str | bytes)]
    return [] if any(each in _ONLY_IF_ABSENT for each in options) else [arguments[1]]


def _every_second_key(arguments: tuple[Any, ...], _: Any) -> list[Any]:
    return list(arguments[1::2])


def _hash_and_its_fields(arguments: tuple[Any, ...], _: Any) -> list[Any]:
    return [arguments[1], *[(arguments[1], field) for field in arguments[2::2]]]


_ONLY_IF_ABSENT = frozenset({"NX", "nx", b"NX", b"nx"})
"""A SET with it takes a lock, or notes that something was there first."""

FETCHES: dict[str, Keys] = {
    **dict.fromkeys(("GET", "GETEX", "HGETALL", "JSON.GET"), _key),
    **dict.fromkeys(("MGET", "JSON.MGET"), _absent_keys),
    "HGET": _field,
    "HMGET": _absent_fields,
}
"""Reads that a cache is asked by. Whether a member, a field or a key exists, what a queue holds, what is read
once and taken away: that these find nothing is an answer, not a miss."""

STORES: dict[str, Keys] = {
    **dict.fromkeys(("SET", "JSON.SET"), _key_unless_it_is_a_lock),
    **dict.fromkeys(("SETEX", "PSETEX"), _key),
    "MSET": _every_second_key,
    **dict.fromkeys(("HSET", "HMSET"), _hash_and_its_fields),
}
"""Between the two a request makes what it has missed: that is what a cache is, and who misses the same key
meanwhile makes it again."""

MAX_KEYS_OF_ONE = 100
"""Keys of one command that are followed."""


class Command(NamedTuple):
    """What is known of one command, as the app spells it."""

    name: str
    plain: str
    """What it is called when no prefix is known."""
    key_at: int
    """Where in its arguments the first key is; 0 for nowhere."""
    reader: Reader | None
    names: dict[str | bytes, str]
    """By the prefix of its key, what it is called."""
    fetches: Keys | None = None
    stores: Keys | None = None


class CommandNames:
    """The names of one process. The window decides for which of them a table has room."""

    def __init__(self) -> None:
        self.known: dict[Any, Command] = {}
        """By how the app spells them."""
        self._remembered = 0

    def command(self, spelling: Any) -> Command:
        """Return what is known of a command."""
        known = self.known.get(spelling)
        if known is None:
            known = _command(spelling)
            if len(self.known) >= MAX_COMMANDS:
                self.known.clear()
            self.known[spelling] = known
        return known

    def name(self, command: Command, arguments: tuple[Any, ...]) -> str:
        """Return what a command with these arguments is called."""
        key_at = command.key_at
        if not key_at or len(arguments) <= key_at or (key_at == 3 and not _has_keys(arguments[2])):
            return command.plain
        key = arguments[key_at]
        prefix: str | bytes
        if isinstance(key, str):
            prefix, colon, _ = key.partition(":")
            if not colon:
                return command.plain
        elif isinstance(key, bytes):
            prefix, separator, _ = key.partition(b":")
            if not separator:
                return command.plain
        else:
            return command.plain
        return command.names.get(prefix) or self._learn(command, prefix)

    def _learn(self, command: Command, prefix: str | bytes) -> str:
        name = command.plain
        text = _shown(prefix)
        if text is not None:
            name = f"{command.name} {text}:*"
        if len(prefix) <= MAX_PREFIX_CHARACTERS:
            if self._remembered >= MAX_REMEMBERED:
                self._remembered = 0
                for known in list(self.known.values()):
                    known.names.clear()
            self._remembered += 1
            command.names[prefix] = name
        return name


def _command(spelling: Any) -> Command:
    text = spelling.decode("ascii", "replace") if isinstance(spelling, bytes) else str(spelling)
    name = text.upper()
    if not _COMMAND.fullmatch(name):
        return Command(OTHER_COMMANDS, OTHER_COMMANDS, 0, None, {})
    key_at = 1 if name in KEY_FIRST else 3 if name in KEY_THIRD else 0
    plain = f"{name} *" if key_at else name
    return Command(name, plain, key_at, READERS.get(name), {}, FETCHES.get(name), STORES.get(name))


def hashes_of(keys: Keys, arguments: tuple[Any, ...], reply: Any) -> tuple[int, ...]:
    """Return hashes of the keys that a command missed or stored; none of a shape that isn't known."""
    try:
        found = keys(arguments, reply)[:MAX_KEYS_OF_ONE]
    except (IndexError, TypeError):
        return ()
    return tuple([hash(_plain(key)) for key in found])


def _plain(key: Any) -> Any:
    """Return a key as it is in Redis, whichever way it is spelled: text and its bytes have one hash."""
    if isinstance(key, tuple):
        return tuple([_plain(part) for part in key])
    return key if isinstance(key, str | bytes) else str(key)


def _has_keys(count: Any) -> bool:
    """Tell whether a script is given keys: without any, what follows is a value."""
    try:
        return int(count) > 0
    except (TypeError, ValueError):
        return False


def _shown(prefix: str | bytes) -> str | None:
    """Return a prefix that is a word of the app's, None for an id, a person or a secret."""
    if isinstance(prefix, bytes):
        try:
            prefix = prefix.decode("ascii")
        except UnicodeDecodeError:
            return None
    if not _PREFIX.fullmatch(prefix) or _HEX.fullmatch(prefix):
        return None
    # `v1`, `oauth2` and `l2` are words; `user42`, `b7f3` and dates are not.
    return prefix if sum(character.isdigit() for character in prefix) <= 1 else None
