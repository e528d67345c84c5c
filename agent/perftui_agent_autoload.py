"""Imported at start-up by each Python that a command of `python -m perftui_agent run` becomes.

Has every Starlette app instrumented as soon as `starlette.applications` is imported; imports nothing of its
own until then. What fails here is no reason for the host not to start.

It comes by a `.pth` file beside the package, which the interpreters of this environment alone read: a
`sitecustomize` on the PYTHONPATH is one of several that other tools put there, of which Python imports the
first, and it follows into interpreters that are none of ours.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from _thread import get_ident
from collections.abc import Sequence
from types import ModuleType

_APPLICATIONS = "starlette.applications"


class _AfterImport(importlib.abc.MetaPathFinder):
    """Lets the others find the module, and has a word with it once it is loaded.

    It stays until then: who only asks whether there is such a module (`importlib.util.find_spec`) loads none.
    """

    _asking = 0
    """The thread that is asking the others."""

    def find_spec(
        self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Find `starlette.applications`."""
        if fullname != _APPLICATIONS or self._asking == get_ident():
            return None
        self._asking = get_ident()
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._asking = 0
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_instrument(module: ModuleType) -> None:
            execute(module)
            # One loader may be that of all modules in an archive.
            if module.__name__ == _APPLICATIONS:
                with contextlib.suppress(ValueError):
                    sys.meta_path.remove(self)
                _instrument(module)

        spec.loader.exec_module = execute_and_instrument  # type: ignore[method-assign]
        return spec


def _instrument(module: ModuleType) -> None:
    try:
        from perftui_agent.instrumentation import instrument_every_app  # noqa: PLC0415 - see above

        instrument_every_app(module.Starlette)
    except Exception as error:  # noqa: BLE001 - the host starts whatever happens
        sys.stderr.write(f"perftui_agent: not instrumented: {error}\n")


if _APPLICATIONS in sys.modules:  # another tool's start-up hook was here before
    _instrument(sys.modules[_APPLICATIONS])
else:
    sys.meta_path.insert(0, _AfterImport())
