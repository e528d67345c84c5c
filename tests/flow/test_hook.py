"""Promise 4 without code: every worker is instrumented, in every order of tools, and no stranger is."""

from __future__ import annotations

import ast
import contextlib
import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from perftui_agent.__main__ import SUBSTITUTE_DIR
from tests.support.servers import Service, running, wait_until, write_app
from tests.support.stream import streaming

APP = """
    import os
    from fastapi import FastAPI
    from opentelemetry import trace
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

    class Count(SpanProcessor):
        served = 0

        def on_end(self, span) -> None:
            self.served += span.kind is trace.SpanKind.SERVER and "/items" in span.name

    count = Count()
    provider = TracerProvider()
    provider.add_span_processor(count)
    trace.set_tracer_provider(provider)
    app = FastAPI()

    @app.get("/items/{item_id}")
    async def item(item_id: int) -> int:
        return item_id

    @app.get("/served")
    async def served() -> tuple[int, int]:
        return os.getpid(), count.served
"""

AGENT_RUN = (sys.executable, "-m", "perftui_agent", "run", "--")
OTEL = (str(Path(sys.executable).with_name("opentelemetry-instrument")),)


@pytest.mark.parametrize("before", [(*AGENT_RUN, *OTEL), (*OTEL, *AGENT_RUN)], ids=["outside", "inside"])
def test_every_worker_is_instrumented_by_both_tools_in_either_order(
    tmp_path: Path, before: tuple[str, ...]
) -> None:
    """Also where the other tool puts its own hook in front of the path; both count each request once."""
    # Until they serve they import much in one go, and are not to be ended for being slow at it.
    options = ["--timeout-worker-healthcheck", "60"]
    with running(write_app(tmp_path, APP), workers=2, before=before, options=options) as service:
        pids = service.wait_registered()
        assert pids == service.pids()
        with contextlib.ExitStack() as stack:
            streams = [stack.enter_context(streaming(service, pid)) for pid in pids]
            service.get("/items/7", times=20)
            while sum(stream.seen.total for stream in streams) < 20:
                for stream in streams:
                    stream.frame()
            assert sum(stream.seen.requests.get("GET /items/{item_id}", 0) for stream in streams) == 20
        served: dict[int, int] = {}

        def both_said() -> bool:
            served.update(_served(service))
            return len(served) == 2

        wait_until(both_said, "both workers to say")
        assert sum(served.values()) == 20, served


def _served(service: Service) -> dict[int, int]:
    """Return what some workers have served by the other tool's count, by pid."""
    return dict(answer.json() for answer in service.get("/served", times=10))


PROGRAM = """
import subprocess, sys
import fastapi
done = subprocess.run(sys.argv[1:], capture_output=True, text=True)
print(repr((done.returncode, done.stdout, done.stderr)))
"""

CHILD = "import sys, starlette.applications; print(starlette.applications.Starlette, 'mine' in dir(sys))"


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Interpreters of other environments, each with a starlette and a sitecustomize of its own."""
    directory = tmp_path_factory.mktemp("strange")
    venv.create(directory / "env", with_pip=False, symlinks=True)
    versions = Path("~/.pyenv/versions").expanduser()
    return [directory / "env" / "bin" / "python", *sorted(versions.glob("[23].[0-9]*/bin/python"))]


def furnished(directory: Path) -> dict[str, str]:
    """Return an environment with packages that any Python can read."""
    package = directory / "starlette"
    package.mkdir(exist_ok=True)
    (package / "__init__.py").touch()
    (package / "applications.py").write_text("Starlette = 'theirs'\n")
    (directory / "sitecustomize.py").write_text("import sys\nsys.mine = True\n")
    return {"PYTHONPATH": str(directory)}


def test_another_environments_interpreter_hears_nothing_of_it(strangers: list[Path], tmp_path: Path) -> None:
    """A child that a service starts there imports a starlette of its own, and stays silent."""
    env = {**os.environ, **furnished(tmp_path)}
    for python in strangers:
        inner = [str(python), "-c", CHILD]
        # The service does without the child's packages; the child has them from the environment.
        program = PROGRAM.replace("import fastapi", "")
        done = subprocess.run(
            [*AGENT_RUN, sys.executable, "-c", program, *inner],
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )
        assert ast.literal_eval(done.stdout) == (0, _said(python), ""), python
        assert done.stderr == ""


def _said(python: Path) -> str:
    return "('theirs', True)\n" if _is_python_2(python) else "theirs True\n"


def _is_python_2(python: Path) -> bool:
    return "2.7" in str(python)


def test_the_substitute_is_read_by_any_python(strangers: list[Path], tmp_path: Path) -> None:
    """Where the package lies on the path and is not installed; old Pythons get their own sitecustomize."""
    for python in strangers:
        path = os.pathsep.join([str(SUBSTITUTE_DIR), furnished(tmp_path)["PYTHONPATH"]])
        done = subprocess.run(
            [str(python), "-c", CHILD], env={"PYTHONPATH": path}, capture_output=True, text=True, check=True
        )
        assert (done.stdout, done.stderr) == (_said(python), ""), python


def test_a_command_of_another_environment_is_said_not_to_be_instrumented(
    strangers: list[Path], tmp_path: Path
) -> None:
    """One line on stderr; the command runs as it would."""
    done = subprocess.run(
        [*AGENT_RUN, str(strangers[0]), "-c", "print('served')"],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert done.stdout == "served\n"
    assert done.stderr.count("\n") == 1
    assert f"runs in {strangers[0]}, where perftui-agent is not installed" in done.stderr


def run(*command: str, path: str = os.environ["PATH"]) -> subprocess.CompletedProcess[str]:
    """Have the agent run a command."""
    return subprocess.run(
        [*AGENT_RUN, *command],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": path},
    )


def test_who_only_asks_for_the_module_keeps_nobody_from_being_instrumented() -> None:
    """Whether there is a Starlette is asked by many; it is found again when it is imported."""
    program = """
import importlib.util, sys
for _ in range(2):
    assert importlib.util.find_spec("starlette.applications") is not None
assert "starlette.applications" not in sys.modules
import starlette.applications
print("perftui_agent.instrumentation" in sys.modules, [type(each).__name__ for each in sys.meta_path])
"""
    said = run(sys.executable, "-c", program).stdout
    assert said.startswith("True")
    assert "_AfterImport" not in said


def test_a_command_that_passes_no_environment_on_is_said_not_to_instrument() -> None:
    """One line with the way out; the command runs as it would. With nothing taken away there is none."""
    for options, lines in ((["-i"], 1), (["-"], 1), (["A=1"], 0), (["-u", "A"], 0)):
        done = run("env", *options, sys.executable, "-c", "print('served')")
        assert (done.stdout, done.stderr.count("\n")) == ("served\n", lines), options
        assert ("behind it" in done.stderr) == bool(lines)


FOR_THE_SHELL = """#!/bin/sh
'''exec' {python} "$0" "$@"
' '''"""


@pytest.mark.parametrize("head", ["#!/usr/bin/env python", "#!/usr/bin/env -S python -u", FOR_THE_SHELL])
def test_a_script_of_another_environment_is_known_however_it_names_its_python(
    head: str, strangers: list[Path], tmp_path: Path
) -> None:
    """By its path, by `env`, or behind a line for the shell, as pip writes it where the path is long."""
    script = tmp_path / "serve"
    script.write_text(head.format(python=strangers[0]) + "\nprint('served')\n")
    script.chmod(0o755)
    done = run(str(script), path=f"{strangers[0].parent}{os.pathsep}{os.environ['PATH']}")
    assert done.stdout == "served\n"
    assert f"runs in {strangers[0]}, where perftui-agent is not installed" in done.stderr
