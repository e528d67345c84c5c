"""What holds for all tests."""

from __future__ import annotations

import hypothesis

# A busy machine is no defect: nothing here is judged by the clock.
hypothesis.settings.register_profile("perftui", deadline=None)
hypothesis.settings.load_profile("perftui")
