"""Settings for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# The first call of a compiled function takes seconds: a deadline for each example would only measure that.
settings.register_profile("local", deadline=None)
# The same examples on every run, so that a failure is about the change and not about the draw.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")
