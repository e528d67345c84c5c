"""`perftui demo`: what it starts, what it says, and that nothing is left of it, however it ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest
from click.testing import CliRunner, Result

from perftui.commands import demo as demo_module
from perftui.commands.demo import demo
from perftui.findings.find import RULES
from perftui.keys import keys_of, name_of, rebind
from tests.support import command
from tests.support.servers import is_alive, private_dir, wait_until


@dataclass(frozen=True, slots=True)
class Demo:
    """A running `perftui demo --headless`, with its temporary directories in `directory`."""

    process: subprocess.Popen[str]
    directory: Path
    target: str

    def family(self) -> list[psutil.Process]:
        """Return all it has started, whatever process group or session that is in."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def left(self) -> list[str]:
        """Return what it has left on the disk."""
        return [name for name in os.listdir(self.directory) if name.startswith("perftui-demo-")]


@pytest.fixture
def scratch(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a directory for the demo's temporary files, runtime directory included; the data is kept."""
    data = Path(tempfile.gettempdir()) / f"perftui-shop-{os.getuid()}"
    monkeypatch.setenv("SHOP_DATA_DIR", str(data))
    directory = private_dir()
    monkeypatch.setenv("PERFTUI_RUNTIME_DIR", str(directory / "run"))
    monkeypatch.setenv("TMPDIR", str(directory))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield directory
    subprocess.run(["rm", "-rf", str(directory)], check=True)


@pytest.fixture
def headless(scratch: Path) -> Iterator[Demo]:
    """Return a demo that has printed its target; kill what a failed test leaves of it."""
    command = [sys.executable, "-m", "perftui", "demo", "--headless", "--workers", "2", "--rps", "20"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        target = process.stdout.readline().strip()
        assert target, process.communicate(timeout=10)
        demo = Demo(process, scratch, target)
        family = demo.family()
        try:
            yield demo
        finally:
            process.kill()
            for survivor in filter(is_alive, family):
                with contextlib.suppress(psutil.NoSuchProcess):
                    survivor.kill()


def children() -> set[psutil.Process]:
    """Return what this test process has started and is alive, servers of other tests included."""
    return set(filter(is_alive, psutil.Process().children(recursive=True)))


def wait_all_gone(family: list[psutil.Process]) -> None:
    wait_until(
        lambda: not any(map(is_alive, family)),
        "everything to end",
        lambda: f"left: {[process.cmdline() for process in family if is_alive(process)]}",
        20,
    )


def told(result: Result) -> str:
    """Return what a demo has said, and its log where it names one."""
    log = Path(result.stderr.rpartition("read ")[2].strip())
    return result.stderr + (log.read_text() if log.is_file() else "")


def test_headless_prints_the_target_of_a_shop_that_serves(headless: Demo) -> None:
    """The one line on stdout is a target, and behind it the shop answers and has customers."""
    host, port = headless.target.split(":")
    assert host == "localhost"
    assert httpx.get(f"http://127.0.0.1:{port}/healthz", trust_env=False).json() == {"status": "ok"}
    wait_until(lambda: _has_customers(headless), "customers to come", timeout_s=20)


SECTIONS = (
    *("routes", "workers", "queries", "pools", "caches", "in_flight", "slowest"),
    *("incidents", "findings", "slo"),
)

FIGURES = {
    *("requests", "rps", "errors", "error_rate", "status", "p50_ms", "p95_ms", "p99_ms", "max_ms"),
    *("ttfb_p95_ms", "background_p95_ms", "bytes_p50", "bytes_p95", "sql_per_request"),
    *("sql_ms_per_request", "cache_ms_per_request", "serialize_ms_per_request", "streaming", "slo"),
}
"""What a route has, where there is something to measure."""


def test_a_snapshot_has_every_section_filled_by_what_the_shop_does(headless: Demo) -> None:
    """Nothing of the document is there for the sake of form: the shop fills all of it, sooner or later."""
    filled: set[str] = set()
    figures: set[str] = set()

    def all_filled() -> bool:
        document = json.loads(command.run("snapshot", headless.target, "--for", "3s", "--json").stdout)
        filled.update(section for section in SECTIONS if document[section])
        figures.update(name for row in document["routes"] for name, value in row.items() if value is not None)
        return filled == set(SECTIONS) and figures >= FIGURES

    wait_until(all_filled, "every section to be filled", lambda: f"{filled=} {FIGURES - figures=}", 120)


def _has_customers(demo: Demo) -> bool:
    traffic = (child for child in demo.family() if "demo_app.traffic" in child.cmdline())
    connections = (connection for child in traffic for connection in child.net_connections())
    return any(connection.status == psutil.CONN_ESTABLISHED for connection in connections)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_of_it(headless: Demo, number: signal.Signals) -> None:
    """Interrupted by any of its signals, it first stops what it started, and leaves no file."""
    family = headless.family()
    assert len(family) >= 5
    headless.process.send_signal(number)
    assert headless.process.wait(20) == 130
    assert [process for process in family if is_alive(process)] == []
    assert headless.left() == []


def test_kill_9_ends_all_of_it(headless: Demo) -> None:
    """Killed without a chance to do anything, it still leaves no process and no file."""
    family = headless.family()
    assert len(family) >= 5
    headless.process.kill()
    wait_all_gone(family)
    assert headless.left() == []


def test_it_ends_when_its_supervisor_is_killed(headless: Demo) -> None:
    """Without its supervisor it takes the rest along and says so."""
    family = headless.family()
    [supervisor] = psutil.Process(headless.process.pid).children()
    supervisor.kill()
    _, errors = headless.process.communicate(timeout=20)
    assert (headless.process.returncode, "the shop has ended by itself" in errors) == (2, True)
    wait_all_gone(family)


@contextlib.contextmanager
def dashboard(monkeypatch: pytest.MonkeyPatch, run: Callable[..., int]) -> Iterator[None]:
    """Put `run` in the dashboard's place."""
    monkeypatch.setattr("perftui.terminal.is_there", lambda: True)
    monkeypatch.setattr("perftui.app.run", run, raising=False)
    yield


def test_the_dashboard_opens_on_the_shop(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dashboard gets the shop as its target, its result is the command's, and then all is over."""
    before, family = children(), list[psutil.Process]()

    def run(targets: list[str], **_: object) -> int:
        [target] = targets
        answer = httpx.get(f"http://127.0.0.1:{target.removeprefix('localhost:')}/healthz", trust_env=False)
        assert answer.status_code == 200
        family.extend(children() - before)
        return 7

    with dashboard(monkeypatch, run):
        result = CliRunner().invoke(demo, ["--workers", "1"])
    assert (result.exit_code, result.stdout) == (7, ""), told(result)
    assert [process for process in family if is_alive(process)] == []
    assert family


def test_the_settings_hold_for_the_demo_as_well(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Theme, window and keys of the file, and what the command line adds to them, reach the dashboard."""
    (scratch / "mine.toml").write_text('theme = "light"\nwindow = "5m"\nmouse = false\n[keys]\npause = "x"\n')
    monkeypatch.setenv("PERFTUI_CONFIG", str(scratch / "mine.toml"))
    monkeypatch.setenv("PERFTUI_ASCII", "0")
    seen: dict[str, object] = {}

    def run(_targets: list[str], **wanted: object) -> int:
        [pause] = (key.keys for key in keys_of("everywhere") if name_of(key) == "pause")
        seen.update(wanted, pause=pause, ascii=os.environ["PERFTUI_ASCII"])
        return 0

    with dashboard(monkeypatch, run):
        result = CliRunner().invoke(demo, ["--workers", "1", "--slow", "--ascii"])
    assert result.exit_code == 0, told(result)
    rebind({})
    assert seen == {
        "light": True,
        "window_s": 300.0,
        "slow": True,
        "mouse": False,
        "gone": (),
        "pause": ("x",),
        "ascii": "1",
    }


def test_a_dashboard_that_breaks_leaves_nothing(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the dashboard raises, the shop is stopped and the exception goes on."""
    before, family = children(), list[psutil.Process]()

    def run(targets: list[str], **_: object) -> int:
        family.extend(children() - before)
        raise RuntimeError("the dashboard broke")

    with dashboard(monkeypatch, run):
        result = CliRunner().invoke(demo, ["--workers", "1"])
    assert isinstance(result.exception, RuntimeError), told(result)
    assert [process for process in family if is_alive(process)] == []
    assert family


def test_a_missing_extra_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the shop's dependencies the error is the command that installs them."""
    monkeypatch.setattr(demo_module, "NEEDED", ("a_package_that_is_not_there",))
    result = CliRunner().invoke(demo, ["--headless"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "Error: the demo shop is not installed: pip install 'perftui[demo]'\n"


@pytest.mark.parametrize(
    ("fault", "options", "said"),
    [
        ("n-plus-on", [], "no fault 'n-plus-on': did you mean n-plus-one"),
        ("none,near:db-lok", [], "no fault 'db-lok': did you mean db-lock"),
        ("xyz", [], "no fault 'xyz': all of them: perftui demo --fault list"),
        ("worker-lost", ["--workers", "1"], "worker-lost can't be had here: it takes two workers"),
    ],
)
def test_a_fault_that_cannot_be_had_is_one_line(fault: str, options: list[str], said: str) -> None:
    """A misspelt one names those that are near; one that has no place here says what it takes."""
    result = CliRunner().invoke(demo, ["--headless", "--fault", fault, *options])
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_the_list_has_every_kind_with_its_near_miss() -> None:
    """`--fault list` starts nothing, and says of each what it shows and what looks nearly like it."""
    result = CliRunner().invoke(demo, ["--fault", "list"])
    assert result.exit_code == 0
    kinds = [line.split(" ")[0] for line in result.stdout.splitlines() if not line.startswith(" ")]
    assert kinds == sorted(RULES)
    assert result.stdout.count("near: ") == len(kinds)


def test_a_taken_port_is_one_line() -> None:
    """A port that another program has is an error that says what to do, before anything starts."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(demo, ["--headless", "--port", str(port)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"port {port} can't be had" in result.stderr
    assert "leave out --port" in result.stderr


def test_a_shop_that_does_not_start_names_its_log(scratch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the server fails, the error names the file with the reason, and nothing runs on."""
    monkeypatch.setenv("DATABASE_URL", "sqlite+aiosqlite:////nowhere/shop.sqlite3")
    before = children()
    result = CliRunner().invoke(demo, ["--headless"])
    assert (result.exit_code, result.stdout) == (2, "")
    log = Path(result.stderr.split("read ")[1].strip())
    assert "/nowhere/" in log.read_text()
    assert set() == children() - before


@pytest.mark.parametrize(
    "option", [["--for", "soon"], ["--rps", "0"], ["--rps", "501"], ["--workers", "0"], ["--port", "70000"]]
)
def test_options_out_of_bounds_are_refused(option: list[str]) -> None:
    """A value that makes no sense is named, and nothing starts."""
    result = CliRunner().invoke(demo, ["--headless", *option])
    assert (result.exit_code, result.stdout) == (2, "")
    assert option[0] in result.stderr
