"""Run all tests: `python -m tests [options of pytest]`.

Several at once: a test with a real server mostly waits for it, and together they would take half an hour.
What tests share, and in which order they begin, is in `conftest.py`; each of them runs alone as well.
"""

from __future__ import annotations

import os
import sys

import pytest

LANES = max(4, (os.cpu_count() or 1) + 2)
"""On two processors four keep both of them busy; more wait for each other."""

if __name__ == "__main__":
    sys.exit(pytest.main(["-q", f"-n{LANES}", "--dist=loadgroup", "--no-loadscope-reorder", *sys.argv[1:]]))
