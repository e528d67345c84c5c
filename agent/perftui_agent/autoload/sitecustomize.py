"""Stands in for the `.pth` file where the package lies on the PYTHONPATH and is not installed.

Any Python may come by here, an old one or one of another environment: it must be able to read this, gets the
`sitecustomize` of its own, and hears nothing else.
"""

import contextlib
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))


def _run_next_sitecustomize():  # type: () -> None
    elsewhere = [path for path in sys.path if os.path.abspath(path or ".") != _HERE]
    try:
        from importlib.machinery import PathFinder  # noqa: PLC0415 - Python 2 has none
        from importlib.util import module_from_spec  # noqa: PLC0415
    except ImportError:
        import imp  # noqa: PLC0415

        file, name, description = imp.find_module("sitecustomize", elsewhere)
        imp.load_module("sitecustomize", file, name, description)  # type: ignore[arg-type] # it is a file
        return
    spec = PathFinder.find_spec("sitecustomize", elsewhere)
    if spec is not None and spec.loader is not None:
        spec.loader.exec_module(module_from_spec(spec))


if sys.version_info >= (3, 11):  # noqa: UP036 - see above
    with contextlib.suppress(ImportError):
        import perftui_agent_autoload  # noqa: F401
try:
    _run_next_sitecustomize()
except ImportError as error:
    if "sitecustomize" not in str(error):
        raise
