"""What a project has set down for `perftui check`: `perftui.toml`, beside the code or in a folder above it.

What is wrong in it is an error of one line that names file and key and says what is allowed.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from perftui.check.grammar import Objective, ObjectiveError, none_of, parse_objective
from perftui.config import ConfigError
from perftui.record import Record

NAME = "perftui.toml"

KEYS = ("slo", "fail_on")

Value = TypeVar("Value")


class Project(Record, frozen=True):
    """What a project promises."""

    path: str = ""
    objectives: tuple[Objective, ...] = ()


def project_file(start: Path) -> Path | None:
    """Return the nearest `perftui.toml`, in `start` or above it, as far as the repository goes."""
    for folder in (start, *start.parents):
        if (folder / NAME).is_file():
            return folder / NAME
        if (folder / ".git").exists():
            break
    return None


def read_project(start: Path) -> Project:
    """Read what there is; without a file nothing is promised. Raises `ConfigError`."""
    path = project_file(start)
    if path is None:
        return Project()
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: this is no UTF-8 text") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: {error}") from None
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    _known(given, ("check",), str(path))
    check = given.get("check", {})
    if not isinstance(check, dict):
        raise ConfigError(f'{path}: check is a table: [check], then slo = ["p95<200ms"]')
    _known(check, KEYS, f"{path}, check")
    told = f"{path.name}"
    promised = _each(check, "slo", str(path), lambda text: parse_objective(text, told))
    unwanted = _each(check, "fail_on", str(path), none_of)
    return Project(str(path), (*promised, *unwanted))


def _each(
    given: dict[str, object], key: str, path: str, read: Callable[[str], Objective]
) -> tuple[Objective, ...]:
    texts = given.get(key, [])
    if not isinstance(texts, list) or not all(isinstance(each, str) for each in texts):
        example = '["p95<200ms"]' if key == "slo" else '["n-plus-one", "high"]'
        raise ConfigError(f"{path}, check.{key}: write a list of texts: {key} = {example}")
    try:
        return tuple(read(text) for text in texts)
    except ObjectiveError as error:
        raise ConfigError(f"{path}, check.{key}: {error}") from None


def _known(given: dict[str, object], names: tuple[str, ...], where: str) -> None:
    for name in given:
        if name not in names:
            near = difflib.get_close_matches(name, names, 1)
            meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
            raise ConfigError(f"{where}, {name}: there is no such setting; {meant}")
