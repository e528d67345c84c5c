"""What a user has set down once: theme, window, default target, keys.

A TOML file in the platform's folder for settings (`PERFTUI_CONFIG` names another one). What is wrong in
it is an error of one line that names file and key and says what is allowed; nothing is guessed and
nothing is written.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TypeVar

import click
import msgspec
from platformdirs import user_config_dir

from perftui.keys import NAMES
from perftui.record import Record

THEMES = ("dark", "light")

WINDOWS_S: Mapping[str, float] = MappingProxyType({"10s": 10.0, "1m": 60.0, "5m": 300.0, "15m": 900.0})

Value = TypeVar("Value")

_KEY = re.compile(r"[a-z0-9_+]+|[A-Z]")


class Config(Record, frozen=True):
    """Settings, each with what holds if the file doesn't name it."""

    theme: str = "dark"
    window_s: float = 60.0
    target: str = ""
    ascii: bool = False
    mouse: bool = True
    keys: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """The keys of an action, by its name in `perftui.keys`."""


class ConfigError(click.ClickException):
    """Something in the file isn't as it should be."""

    exit_code = 2


def config_path(environ: Mapping[str, str]) -> str:
    """Return the file: the one named, else the one in the platform's folder."""
    return environ.get("PERFTUI_CONFIG") or os.path.join(user_config_dir("perftui"), "config.toml")


def read_config(environ: Mapping[str, str]) -> Config:
    """Read the file; without one everything is as it comes. Raises `ConfigError`."""
    path = config_path(environ)
    try:
        with open(path, "rb") as file:
            return parse_config(file.read().decode(), path)
    except FileNotFoundError:
        if environ.get("PERFTUI_CONFIG"):
            raise ConfigError(f"{path}: there is no such file, PERFTUI_CONFIG names it") from None
        return Config()
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: this is no UTF-8 text") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def parse_config(text: str, path: str) -> Config:
    """Return the settings in `text`. Raises `ConfigError` that names the line or the key."""
    import tomllib  # noqa: PLC0415 - most have no such file, and the first picture waits for what is imported

    try:
        given = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # "Expected '=' after a key (at line 3, column 7)": where it is, then what.
        what, _, where = str(error).rstrip(")").partition(" (at ")
        raise ConfigError(f"{path}, {where or 'end'}: {what}") from None
    _known(given, ("theme", "window", "target", "ascii", "mouse", "keys"), path)
    return Config(
        theme=_one_of(given, "theme", THEMES, path),
        window_s=WINDOWS_S[_one_of(given, "window", tuple(WINDOWS_S), path, "1m")],
        target=_typed(given, "target", str, "", "a text: localhost:8000", path),
        ascii=_typed(given, "ascii", bool, False, "true or false", path),
        mouse=_typed(given, "mouse", bool, True, "true or false", path),
        keys=_keys(_typed(given, "keys", dict, {}, 'a table: [keys], then pause = "space"', path), path),
    )


def _one_of(
    given: Mapping[str, object], name: str, allowed: tuple[str, ...], path: str, default: str = ""
) -> str:
    value = given.get(name, default or allowed[0])
    if not isinstance(value, str) or value not in allowed:
        raise ConfigError(f"{path}, {name}: {_shown(value)} is none of {', '.join(allowed)}")
    return value


def _typed(
    given: Mapping[str, object], name: str, kind: type[Value], default: Value, is_to_be: str, path: str
) -> Value:
    value = given.get(name, default)
    if not isinstance(value, kind):
        raise ConfigError(f"{path}, {name}: {_shown(value)} is not {is_to_be}")
    return value


def _keys(given: Mapping[str, object], path: str) -> dict[str, tuple[str, ...]]:
    _known(given, NAMES, f"{path}, keys")
    found: dict[str, tuple[str, ...]] = {}
    for name, value in given.items():
        keys = (value,) if isinstance(value, str) else tuple(value) if isinstance(value, list) else ()
        if not keys or not all(isinstance(key, str) and _KEY.fullmatch(key) for key in keys):
            allowed = "a key or a list of keys, such as x, X, ctrl+x, space, f5, left_square_bracket"
            raise ConfigError(f"{path}, keys.{name}: {_shown(value)} is not {allowed}")
        found[name] = keys
    return found


def _known(given: Mapping[str, object], names: tuple[str, ...], path: str) -> None:
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
            raise ConfigError(f"{path}, {name}: there is no such setting; {meant}")


def _shown(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value).lower()
