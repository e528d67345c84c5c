"""The grammar of TARGET."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perftui.sources.target import (
    PidTarget,
    PortTarget,
    RecordingTarget,
    RemoteTarget,
    ServiceTarget,
    Target,
    TargetError,
    UnixTarget,
    local_among,
    parse,
    parse_live,
)

ports = st.integers(1, 65535)
words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
targets: st.SearchStrategy[Target] = st.one_of(
    st.builds(PortTarget, ports),
    st.builds(PortTarget, ports, st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z]{1,5})?", fullmatch=True)),
    st.builds(PortTarget, ports, st.ip_addresses(v=4).map(str)),
    st.builds(PortTarget, ports, st.ip_addresses(v=6).map(str)),
    st.builds(UnixTarget, words.map(lambda word: f"/{word}")),
    st.builds(PidTarget, st.integers(1, 2**31 - 1)),
    st.builds(ServiceTarget, words.filter(lambda name: "@" not in name)),
    st.builds(ServiceTarget, words, words.filter(lambda version: "@" not in version)),
)


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("8000", PortTarget(8000)),
        ("localhost:8000", PortTarget(8000, "localhost")),
        ("127.0.0.1:80", PortTarget(80, "127.0.0.1")),
        ("[::1]:8000", PortTarget(8000, "::1")),
        ("unix:/run/shop.sock", UnixTarget("/run/shop.sock")),
        ("pid:1234", PidTarget(1234)),
        ("service:shop: EU", ServiceTarget("shop: EU")),
        ("service:shop@v1", ServiceTarget("shop", "v1")),
        ("service:team@shop@1.4.2", ServiceTarget("team@shop", "1.4.2")),
        ("service:@shop", ServiceTarget("@shop")),
        ("service:shop@", ServiceTarget("shop@")),
        ("incident.perftui", RecordingTarget("incident.perftui")),
        ("./a/incident.perftui", RecordingTarget("./a/incident.perftui")),
        ("https://shop.example/api", RemoteTarget("https://shop.example/api", "shop.example", 443)),
        ("HTTP://[::1]:8080", RemoteTarget("HTTP://[::1]:8080", "::1", 8080)),
        ("  8000 ", PortTarget(8000)),
    ],
)
def test_each_form_of_the_contract_is_understood(text: str, target: Target) -> None:
    """What the manual lists means what the manual says."""
    assert parse(text) == target


@given(targets)
def test_a_target_is_written_as_it_is_read(target: Target) -> None:
    """The text of a target means that target."""
    assert parse(str(target)) == target


@given(st.text(max_size=40))
def test_anything_at_all_is_a_target_or_a_short_error(text: str) -> None:
    """No input raises anything but a TargetError of two printable lines with something to do next."""
    try:
        parse(text)
    except TargetError as raised:
        error = raised
    else:
        return
    assert error.problem.isprintable()
    assert error.advice
    assert len(str(error).splitlines()) == 2


MEANINGLESS = """
localhost localhost: :8000 0 65536 ::1:8000 [::1] [nope]:80 pid: pid:0 pid:x unix: service:
http:// http://a:b@c http://x:99999999 /tmp/a.sock a+b:80 ٣
"""


@pytest.mark.parametrize("text", ["", "a b:80", *MEANINGLESS.split()])
def test_what_means_nothing_is_refused(text: str) -> None:
    """A word outside the grammar is an error, never a guess."""
    with pytest.raises(TargetError):
        parse(text)


def test_a_path_is_answered_with_how_to_write_a_socket() -> None:
    """Who types a path is told the form that would have worked."""
    with pytest.raises(TargetError, match=r"is a path\nfor an app on a Unix socket: unix:/run/shop\.sock"):
        parse("/run/shop.sock")


def test_a_url_of_another_kind_is_no_port() -> None:
    """What a service elsewhere is asked over is named."""
    with pytest.raises(TargetError, match="ftp://shop: a service elsewhere is asked over https://"):
        parse("ftp://shop")


@pytest.mark.parametrize("text", ["https://shop.example/api?token=x", "http://shop.example#x"])
def test_a_url_with_a_query_is_no_target(text: str) -> None:
    """It would be shown and kept, with whatever secret is in it."""
    with pytest.raises(TargetError, match="with a query is no target") as raised:
        parse_live([text])
    assert "PERFTUI_TOKEN" in raised.value.advice


def test_those_that_are_here_are_told_from_those_that_are_not() -> None:
    """Only of the former can anything be found on the disk."""
    targets = parse_live(["8000", "https://shop.example", "service:shop"])
    assert local_among(targets) == (PortTarget(8000), ServiceTarget("shop"))


def test_a_recording_is_no_service_that_runs() -> None:
    """Where something has to run, a recording is refused with what opens it."""
    with pytest.raises(TargetError, match="is a recording, and this needs") as raised:
        parse_live(["incident.perftui"])
    assert raised.value.advice.endswith("perftui replay incident.perftui")


def test_targets_named_twice_are_one() -> None:
    """Several targets keep their order, and repeats don't count."""
    assert parse_live(["8001", "8000", "8001"]) == (PortTarget(8001), PortTarget(8000))
