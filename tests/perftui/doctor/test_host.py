"""What is judged of the host: terminal, directories, switches, versions, probes, targets."""

from __future__ import annotations

from typing import Any

import pytest

from perftui.doctor.examine import examine, in_the_way
from perftui.doctor.surroundings import Absent, Directory, Shell
from perftui.present.documents.checks import checks_text
from tests.perftui.doctor.places import only, place, said_of, standing, worker


@pytest.mark.parametrize(
    ("said", "verdict", "sentence", "mend"),
    [
        pytest.param({}, "ok", "80×24, 256 colours", "", id="usual"),
        pytest.param({"colour": "truecolor"}, "ok", "16 million colours", "", id="truecolor"),
        pytest.param({"term": "dumb"}, "wrong", "TERM is dumb", "export TERM=", id="dumb"),
        pytest.param({"term": ""}, "wrong", "TERM is not set", "export TERM=", id="no-term"),
        pytest.param({"is_terminal": False}, "note", "no terminal", "ssh -t", id="pipe"),
        pytest.param({"columns": 79}, "note", "79×24", "larger", id="narrow"),
        pytest.param({"rows": 10}, "note", "80×10", "larger", id="low"),
        pytest.param({"utf8": False}, "note", "drawn in ASCII", "LC_ALL=C.UTF-8", id="latin-1"),
        pytest.param({"no_colour": True}, "note", "signs alone", "unset NO_COLOR", id="no-colour"),
        pytest.param({"inside": "screen"}, "note", "OSC 52", "E writes a file", id="screen"),
        pytest.param({"inside": "tmux"}, "note", "TERM is xterm", "tmux-256color", id="odd-tmux"),
        pytest.param(
            {"inside": "tmux", "term": "tmux-256color"}, "note", "clipboard", "set-clipboard on", id="tmux"
        ),
    ],
)  # fmt: skip
def test_terminal(said: dict[str, Any], verdict: str, sentence: str, mend: str) -> None:
    """What the dashboard can't draw on is in the way; what it draws less well on is worth knowing."""
    check = only(place(shell=Shell(**said)), "terminal")

    assert check.verdict == verdict
    assert sentence in check.sentence
    assert mend in check.mend


PATH = "/srv/run"


@pytest.mark.parametrize(
    ("said", "verdict", "sentence", "mend"),
    [
        pytest.param({}, "ok", PATH, "", id="usual"),
        pytest.param({"exists": False}, "ok", "the first worker will make", "", id="not-yet"),
        pytest.param({"problem": f"{PATH} belongs to uid 5"}, "wrong", "to uid 5", "sudo", id="owner"),
        pytest.param(
            {"problem": f"{PATH} can be written to by others (mode 777): chmod 700 it"},
            "wrong", "mode 777", f"chmod 700 {PATH}", id="open-to-all",
        ),
        pytest.param({"problem": "Permission denied"}, "wrong", f"{PATH}: P", "sudo", id="hidden"),
        pytest.param({"problem": f"{PATH} is not a directory"}, "wrong", "is not a", "rm /srv", id="file"),
        pytest.param({"writable": False}, "wrong", "can't write", f"chown 1000 {PATH}", id="unwritable"),
        pytest.param({"read_only": True}, "wrong", "read-only", "emptyDir", id="read-only"),
        pytest.param({"full": True}, "wrong", "is full", f"df -h {PATH}", id="full"),
    ],
)  # fmt: skip
def test_directory(said: dict[str, Any], verdict: str, sentence: str, mend: str) -> None:
    """A directory where workers can't register, or that nobody believes, is in the way."""
    check = only(
        place(directories=(Directory(**({"path": PATH, "chosen_by": ""} | said)),)), "runtime directory"
    )

    assert check.verdict == verdict
    assert sentence in check.sentence
    assert mend in check.mend


def test_a_path_that_is_too_long_for_a_socket_is_told() -> None:
    """Workers take the fallback for their sockets then: nothing is lost."""
    checks = said_of(place(directories=(Directory(path="/long" * 20, chosen_by=""),)), "runtime directory")

    assert [check.verdict for check in checks] == ["ok", "note"]
    assert "lie in /tmp/perftui-1000" in checks[1].sentence


def test_a_runtime_directory_of_the_session_that_has_gone_is_told() -> None:
    """Services go on in the fallback."""
    checks = said_of(place(xdg="/run/user/1000", xdg_problem="is not there any more"), "runtime directory")

    assert "is not there any more: /tmp/perftui-1000 is used" in checks[-1].sentence
    assert "enable-linger 1000" in checks[-1].mend


@pytest.mark.parametrize("variable", ["PERFTUI_ENABLED", "PERFTUI_ACTIONS"])
@pytest.mark.parametrize(("value", "told"), [("0", True), ("off", True), ("1", False), ("", False)])
def test_switches(variable: str, value: str, told: bool) -> None:
    """What this shell would switch off in a service is worth knowing."""
    assert bool(said_of(place(variables={variable: value}), "switches")) is told


def test_versions() -> None:
    """Another wire is in the way, and whichever is older is to be upgraded."""
    old, new = worker(41, wire=0), worker(42, wire=2, agent="9.0")
    here = place(workers=(old, new))

    assert (
        only(here, "agent", 41).mend == "upgrade perftui-agent in the service: pip install -U perftui-agent"
    )
    assert only(here, "agent", 42).mend == "upgrade perftui here: pip install -U perftui"
    assert only(place(workers=(worker(41, agent="0.0.9"),)), "agent", 41).verdict == "ok"
    assert only(place(workers=(worker(41, standing=None),)), "agent", 41).verdict == "note"


def test_probes() -> None:
    """What can't be measured although there is something to measure is told, with what is lost by it."""
    probes = {"queue": "off: a Unix socket", "redis": "off: not imported", "ptrace": "off: why", "loop": "on"}
    here = place(workers=(worker(41, standing=standing(41, probes=probes), has_box=False),))

    queue, box = said_of(here, "probes", 41)

    assert queue.sentence.startswith("queue is off: a Unix socket; ")
    assert 'queue_header="X-Request-Start"' in queue.mend
    assert "blackbox_mb=8" in box.mend


def test_targets() -> None:
    """A target that nobody answers for is in the way; a host without any service is not."""
    lost = place(workers=(), absent=(Absent("localhost:9", "nothing listens on localhost:9", "perftui ls"),))

    assert only(lost, "target").verdict == "wrong"
    assert only(place(workers=()), "target").verdict == "note"
    assert in_the_way(examine(place(workers=()))) == []


def test_text_at_80_columns_keeps_each_check_readable() -> None:
    """A line for each check, its mend below it, the verdict last; nothing is wider than the terminal."""
    here = place(shell=Shell(term="dumb"), workers=(worker(41),))

    lines = checks_text(here, examine(here), 80)

    assert max(map(len, lines)) <= 80
    assert lines[0] == "this host"
    assert "worker 41 of shop, Python 3.12.4" in lines
    assert any(line.startswith("✗ terminal") for line in lines)
    assert any(line.lstrip().startswith("→ export TERM=") for line in lines)
    assert lines[-1] == "1 thing stands in the way"
