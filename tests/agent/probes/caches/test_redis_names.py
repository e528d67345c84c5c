"""What a command is called: never more of a key than a word before a colon."""

from __future__ import annotations

import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftui_agent.probes.caches.redis_commands import (
    MAX_COMMANDS,
    MAX_REMEMBERED,
    OTHER_COMMANDS,
    CommandNames,
)


def name_of(*arguments: Any, names: CommandNames | None = None) -> str:
    """Return what a command with these arguments is called."""
    names = names or CommandNames()
    return names.name(names.command(arguments[0]), arguments)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("GET", "user:1"), "GET user:*"),
        (("GET", b"user:1"), "GET user:*"),
        ((b"get", "user:1"), "GET user:*"),
        (("GET", "user:1:cart:2"), "GET user:*"),
        (("GET", "{user:1}:cart"), "GET {user:*"),
        (("GET", "v1:users"), "GET v1:*"),
        (("GET", "session_data:x"), "GET session_data:*"),
        (("MGET", "a:1", "b:2"), "MGET a:*"),
        (("EVALSHA", "c0ffee", 1, "a:1", "secret"), "EVALSHA a:*"),
        (("EVAL", "return 1", 0, "secret:1"), "EVAL *"),
        (("EVAL", "return 1", "none", "secret:1"), "EVAL *"),
        (("PING",), "PING"),
        (("GET",), "GET *"),
        (("CONFIG GET", "save"), "CONFIG GET"),
        (("AUTH", "ann:hunter2"), "AUTH"),
        (("PUBLISH", "news:1", "x"), "PUBLISH"),
        (("FT.SEARCH", "idx:users", "@name:Ann"), "FT.SEARCH"),
    ],
)
def test_a_command_is_named_by_its_first_key(arguments: tuple[Any, ...], name: str) -> None:
    """Commands whose first argument is no key for sure are named without it."""
    assert name_of(*arguments) == name


@pytest.mark.parametrize(
    "key",
    [
        "counter",
        "550e8400-e29b-41d4-a716-446655440000:profile",
        "12345:cart",
        "user42:cart",
        "b7f3:x",
        "deadbeef:x",
        "DEADBEEFCAFE:x",
        "ann@example.com:cart",
        "2026-11-22:visits",
        "a b:c",
        ":c",
        "x" * 40 + ":c",
        "café:1",
        "\x1b[31m:c",
        "line\nbreak:c",
        b"\xff\xfe:c",
        bytearray(b"user:1"),
        memoryview(b"user:1"),
        7,
        None,
        3.5,
    ],
)
def test_an_id_is_folded(key: Any) -> None:
    """Keys without a colon, and what is no plain word before it, are `*`."""
    assert name_of("GET", key) == "GET *"


@given(st.text() | st.binary(), st.lists(st.text() | st.binary(), max_size=3))
def test_no_name_has_more_of_a_key_than_a_word(key: str | bytes, values: list[str | bytes]) -> None:
    """Whatever the arguments: a name is a command and at most one word of letters."""
    head, _, prefix = name_of("SET", key, *values).partition(" ")

    assert head == "SET"
    assert prefix == "*" or set(prefix.removesuffix(":*")) <= set(
        string.ascii_letters + string.digits + "_-.{"
    )
    assert len(prefix) <= 36


@given(st.text() | st.binary())
def test_a_command_that_is_none_is_not_told(command: str | bytes) -> None:
    """What is sent in place of a command is shown only if it looks like one."""
    name = name_of(command)

    assert name == OTHER_COMMANDS or set(name) <= set(string.ascii_uppercase + string.digits + "._ -*")
    assert len(name) <= 34


def test_any_number_of_words_have_names() -> None:
    """10,000 words before colons are told apart here: for which there is room, the window decides."""
    names = CommandNames()
    words = [
        a + b + c + d
        for a in "ghjk"
        for b in string.ascii_lowercase
        for c in "xyzw"
        for d in string.ascii_lowercase
    ]
    seen = {name_of("GET", f"{word}:1", names=names) for word in words}

    assert len(seen) == len(words) > 10_000
    assert len(names.command("GET").names) <= MAX_REMEMBERED
    assert name_of("GET", "ghxa:2", names=names) == "GET ghxa:*"


def test_spellings_that_are_remembered_are_bounded() -> None:
    """However many commands an app makes up, each has its name, and few are kept."""
    names = CommandNames()
    spellings = [f"{a}{b}{c}" for a in string.ascii_uppercase for b in "ABCDE" for c in "XYZUVW"]

    assert [name_of(spelling, names=names) for spelling in spellings] == spellings
    assert len(names.known) <= MAX_COMMANDS


def test_what_is_remembered_is_bounded() -> None:
    """100,000 ids before colons are named without being kept."""
    names = CommandNames()
    assert {name_of("GET", f"{number}:x", names=names) for number in range(100_000)} == {"GET *"}

    assert len(names.command("GET").names) <= MAX_REMEMBERED
