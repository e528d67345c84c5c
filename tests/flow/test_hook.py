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
    with running(write_app(tmp_path, APP), workers=2, before=before) as service:
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
