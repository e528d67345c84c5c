"""The package's own name: what it gives out, and what it costs those who want only the wire."""

from __future__ import annotations

import subprocess
import sys

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

import perftui_agent
from perftui_agent.instrumentation import the_agent
from perftui_agent.settings import Settings


def test_the_contract_s_names_are_there() -> None:
    """`instrument`, `watch_cache` and `Slo` come from the package itself."""
    from perftui_agent import Slo, instrument, watch_cache

    assert Slo(p95_ms=200).p95_ms == 200
    assert callable(instrument)
    assert callable(watch_cache)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    """Late import does not hide misspellings."""
    with pytest.raises(AttributeError, match="instrumnt"):
        perftui_agent.instrumnt  # noqa: B018 - the access is the test


def test_the_wire_comes_without_the_agent() -> None:
    """Who imports the wire and the sketch pays for neither sockets nor process readings."""
    program = (
        "import sys, perftui_agent.wire.codec, perftui_agent.wire.registration, perftui_agent.sketch;"
        "print(*sorted({'websockets', 'psutil', 'asyncio', 'perftui_agent.agent'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


@pytest.mark.parametrize(
    ("app", "said", "told"),
    [
        (FastAPI(version="2.0"), None, "2.0"),
        (FastAPI(version="2.0"), "2.0-rc1", "2.0-rc1"),
        (FastAPI(), None, ""),
        (Starlette(), "3", "3"),
    ],
)
def test_a_version_is_the_one_that_was_said_or_the_apps_own(
    app: Starlette, said: str | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FastAPI's default says nothing."""
    agent = the_agent()
    monkeypatch.setattr(agent.own, "version", "")
    monkeypatch.setattr(agent.own, "settings", Settings())
    perftui_agent.instrument(app, version=said)
    assert agent.own.version == told


class _Asgi2:
    def __init__(self, scope: object) -> None: ...


def _factory() -> object: ...


@pytest.mark.parametrize("app", [None, "shop:app", FastAPI, _Asgi2, _factory])
def test_what_is_no_asgi_app_is_refused_at_once(app: object) -> None:
    """A factory, a class or nothing at all is told in one line, and not by the first request."""
    with pytest.raises(TypeError, match=r"instrument\(.*\): ") as refused:
        perftui_agent.instrument(app)
    assert "\n" not in str(refused.value)
