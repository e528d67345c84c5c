"""Found first on the path by a command that `python -m perftui_agent run` started.

Has every Starlette app instrumented as soon as `starlette.applications` is imported; imports nothing
of its own until then. Whatever fails here is no reason for the host not to start.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Sequence
from types import ModuleType

_HERE = os.path.dirname(os.path.abspath(__file__))
_APPLICATIONS = "starlette.applications"


class _AfterImport(importlib.abc.MetaPathFinder):
    """Lets the others find the module, and has a word with it once it is loaded."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find `starlette.applications`, once."""
        if fullname != _APPLICATIONS:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_instrument(module: ModuleType) -> None:
            execute(module)
            try:
                from perftui_agent.instrumentation import (  # noqa: PLC0415 - see above
                    instrument_every_app,
                )

                instrument_every_app(module.Starlette)
            except Exception as error:  # noqa: BLE001 - the host starts whatever happens
                sys.stderr.write(f"perftui_agent: not instrumented: {error}\n")

        spec.loader.exec_module = execute_and_instrument  # type: ignore[method-assign]
        return spec


def _run_next_sitecustomize() -> None:
    """Run the `sitecustomize` that this one stands in front of."""
    elsewhere = [path for path in sys.path if os.path.abspath(path or ".") != _HERE]
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))


sys.meta_path.insert(0, _AfterImport())
_run_next_sitecustomize()
