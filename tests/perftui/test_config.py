"""Settings, and what is wrong with them in one line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from perftui.cli import main
from perftui.config import Config, ConfigError, config_path, parse_config, read_config
from perftui.keys import KEYS, NAMES, keys_of, name_of, rebind


@pytest.fixture(autouse=True)
def as_they_come() -> Iterator[None]:
    yield
    rebind({})


def wrong(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_config(text, "config.toml")
    return caught.value.message


def test_without_a_file_everything_is_as_it_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file is no error, unless one was named."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert read_config({}) == Config()
    with pytest.raises(ConfigError, match="PERFTUI_CONFIG names it"):
        read_config({"PERFTUI_CONFIG": str(tmp_path / "none.toml")})


def test_the_file_is_in_the_platforms_folder_unless_it_is_named() -> None:
    """`PERFTUI_CONFIG` names another one."""
    assert config_path({}).endswith("perftui/config.toml")
    assert config_path({"PERFTUI_CONFIG": "/etc/x.toml"}) == "/etc/x.toml"


def test_everything_can_be_set() -> None:
    """Theme, window, target, ASCII, the mouse, and the keys of actions, one or several."""
    text = """
        theme = "light"
        window = "5m"
        target = "localhost:8000"
        ascii = true
        mouse = false
        [keys]
        pause = "x"
        quit = ["Q", "ctrl+c"]
    """
    keys = {"pause": ("x",), "quit": ("Q", "ctrl+c")}
    assert parse_config(text, "") == Config("light", 300.0, "localhost:8000", True, False, keys)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("theme = !", "config.toml, line 1, column 9: Invalid value"),
        ('theme = "blue"', 'config.toml, theme: "blue" is none of dark, light'),
        ("window = 5", "config.toml, window: 5 is none of 10s, 1m, 5m, 15m"),
        ("target = 8000", "config.toml, target: 8000 is not a text: localhost:8000"),
        ('themes = "dark"', "config.toml, themes: there is no such setting; did you mean theme?"),
        ("keys = 1", 'config.toml, keys: 1 is not a table: [keys], then pause = "space"'),
        ('[keys]\npaus = "x"', "config.toml, keys, paus: there is no such setting; did you mean pause?"),
        ('[keys]\npause = "ctrl x"', 'config.toml, keys.pause: "ctrl x" is not a key or a list of keys'),
    ],
)
def test_what_is_wrong_is_told_with_its_place_and_what_is_allowed(text: str, message: str) -> None:
    """One line each."""
    told = wrong(text)
    assert told.startswith(message)
    assert "\n" not in told


def test_an_action_is_reached_by_the_key_chosen_for_it() -> None:
    """Wherever keys are told, it is the new one, capitals in both ways terminals tell them."""
    rebind({"pause": ("X",)})
    (pause,) = (key for key in keys_of("everywhere") if name_of(key) == "pause")
    assert pause.keys == ("X", "shift+x")
    assert pause.shown == "X"


def test_a_key_that_is_taken_is_refused() -> None:
    """Unless what had it goes elsewhere."""
    with pytest.raises(ValueError, match=r"keys\.pause: w is taken by window"):
        rebind({"pause": ("w",)})
    rebind({"pause": ("w",), "window": ("x",)})


def test_every_action_has_a_name() -> None:
    """All but the keys of the views can be chosen."""
    assert [key.action for key in KEYS if not name_of(key)] == ["view({key})"]
    assert all(name.replace("-", "").isalpha() for name in NAMES)


@pytest.mark.parametrize("verb", [["connect", "localhost:1"], ["demo"]], ids=["connect", "demo"])
def test_the_command_line_tells_it_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    """Exit code 2, before anything is connected to or started."""
    path = tmp_path / "mine.toml"
    path.write_text('theme = "blue"')
    monkeypatch.setenv("PERFTUI_CONFIG", str(path))
    assert main(verb) == 2
    assert capsys.readouterr().err == f'perftui: {path}, theme: "blue" is none of dark, light\n'
