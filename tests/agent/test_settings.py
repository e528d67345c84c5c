"""Settings: arguments win over variables, wrong arguments raise, wrong variables are reported."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from perftui_agent.settings import Settings, Slo, read_settings


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "ENABLED",
        "SERVICE",
        "VERSION",
        "TOKEN",
        "ACTIONS",
        "SLOW_QUERY_MS",
        "SQL_TEXT",
        "BLACKBOX_MB",
        "BLOCK_MS",
        "QUEUE_HEADER",
    ):
        monkeypatch.delenv(f"PERFTUI_{name}", raising=False)


def test_nothing_said_is_the_default() -> None:
    """Without arguments and variables everything is as documented."""
    assert read_settings() == Settings()


def test_variables_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variable of the contract sets what it says."""
    for name, value in {
        "ENABLED": "0",
        "SERVICE": "shop",
        "VERSION": "1.4.2",
        "TOKEN": "0123456789abcdef",
        "ACTIONS": "no",
        "SLOW_QUERY_MS": "250",
        "SQL_TEXT": "off",
        "BLACKBOX_MB": "0",
        "BLOCK_MS": "50.5",
        "QUEUE_HEADER": "X-Request-Start",
    }.items():
        monkeypatch.setenv(f"PERFTUI_{name}", value)
    assert read_settings() == Settings(
        enabled=False,
        service="shop",
        version="1.4.2",
        token="0123456789abcdef",
        actions=False,
        slow_query_ms=250,
        sql_text="off",
        blackbox_mb=0,
        block_ms=50.5,
        queue_header="X-Request-Start",
    )


def test_an_argument_wins_over_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Code is more specific than its surroundings."""
    monkeypatch.setenv("PERFTUI_SERVICE", "from-environment")
    monkeypatch.setenv("PERFTUI_ENABLED", "0")
    settings = read_settings(service="from-code", enabled=True)
    assert (settings.service, settings.enabled) == ("from-code", True)


def test_a_second_call_changes_only_what_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an earlier call has said stands, whatever the environment says."""
    first = read_settings(service="shop", slow_query_ms=20, slo=Slo(p95_ms=200))
    monkeypatch.setenv("PERFTUI_SERVICE", "other")
    second = read_settings(first, block_ms=10)
    assert second == read_settings(service="shop", slow_query_ms=20, slo=Slo(p95_ms=200), block_ms=10)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PERFTUI_BLOCK_MS", "soon"),
        ("PERFTUI_BLACKBOX_MB", "-1"),
        ("PERFTUI_ENABLED", "maybe"),
        ("PERFTUI_SQL_TEXT", "all"),
        ("PERFTUI_QUEUE_HEADER", "X Request Start"),
    ],
)
def test_a_wrong_variable_is_reported_and_the_default_stands(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variable: str, value: str
) -> None:
    """A slip in a unit file does not keep a service from starting."""
    monkeypatch.setenv(variable, value)
    with caplog.at_level(logging.WARNING, logger="perftui"):
        assert read_settings() == Settings()
    assert variable in caplog.text
    assert value in caplog.text


def test_promise_17_a_short_token_is_refused_wherever_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen characters are the least, and the token itself is not in the message."""
    with pytest.raises(ValueError, match="16 are the least") as refused:
        read_settings(token="hunter2")
    assert "hunter2" not in str(refused.value)
    monkeypatch.setenv("PERFTUI_TOKEN", "hunter2")
    with pytest.raises(ValueError, match="16 are the least"):
        read_settings()


def test_an_empty_token_is_none_and_wins_over_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who says in code that there is no token has no door, whatever the environment says."""
    monkeypatch.setenv("PERFTUI_TOKEN", "0123456789abcdef")
    assert read_settings(token="").token is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("slow_query_ms", "soon"),
        ("slow_query_ms", True),
        ("blackbox_mb", -1),
        ("block_ms", float("nan")),
        ("actions", "maybe"),
        ("enabled", 2),
        ("sql_text", "all"),
        ("sql_text", ["shape"]),
        ("service", 5),
        ("runtime_dir", 5),
        ("token", b"0123456789abcdef"),
        ("slo", {"p95_ms": 200}),
    ],
)
def test_a_wrong_argument_raises_and_is_named(name: str, value: object) -> None:
    """Of a dozen arguments the message tells which one, in one line."""
    arguments: dict[str, Any] = {name: value}
    with pytest.raises((ValueError, TypeError), match=rf"instrument\({name}=.*\): ") as refused:
        read_settings(**arguments)
    assert "\n" not in str(refused.value)


def test_the_runtime_directory_may_be_a_path(tmp_path: Path) -> None:
    """A `Path` or a text, made absolute before the app changes its folder."""
    assert read_settings(runtime_dir=tmp_path).runtime_dir == str(tmp_path)
    assert read_settings(runtime_dir="run").runtime_dir == str(Path("run").absolute())


@pytest.mark.parametrize(
    "routes", [["GET /x"], {"/x": Slo(rps=1)}, {"get /x": Slo(rps=1)}, {5: Slo(rps=1)}, {"GET /x": 5}]
)
def test_targets_of_what_is_no_route_are_refused(routes: Any) -> None:
    """Nothing would ever be held against them."""
    with pytest.raises((ValueError, TypeError), match="routes="):
        Slo(routes=routes)


@pytest.mark.parametrize("route", ["GET /reports", "GET /", "_OTHER /x/{y}", "GET (unmatched)", "(other)"])
def test_every_row_can_have_a_target(route: str) -> None:
    """Whatever requests are counted under may be named."""
    assert Slo(routes={route: Slo(p95_ms=1)}).routes[route].p95_ms == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("p95_ms", 0),
        ("p99_ms", -1),
        ("rps", 0),
        ("error_rate", 1.5),
        ("error_rate", -0.1),
        ("p95_ms", "200ms"),
        ("error_rate", "1%"),
        ("rps", True),
    ],
)
def test_targets_out_of_range_are_refused(name: str, value: object) -> None:
    """A target that nothing or everything would meet is a mistake to be told at once."""
    arguments: dict[str, Any] = {name: value}
    with pytest.raises(ValueError, match=name):
        Slo(**arguments)


def test_a_queue_header_can_be_switched_off_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """`off` is no header's name."""
    monkeypatch.setenv("PERFTUI_QUEUE_HEADER", "off")
    assert read_settings().queue_header is None
    assert read_settings(read_settings(queue_header="X-Start"), queue_header="off").queue_header is None


def test_long_polls_are_named_as_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a list, or separated by commas in the variable; what is no route is refused."""
    assert read_settings(long_polls=["GET /poll"]).long_polls == ("GET /poll",)
    monkeypatch.setenv("PERFTUI_LONG_POLLS", "GET /poll, GET /chat/{room}")
    assert read_settings().long_polls == ("GET /poll", "GET /chat/{room}")
    for wrong in (["/poll"], 5, "poll"):
        with pytest.raises(ValueError, match="long_polls"):
            read_settings(long_polls=wrong)  # type: ignore[arg-type]
