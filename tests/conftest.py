"""Settings for all tests."""

from __future__ import annotations

import os
from functools import cache

import pytest
from hypothesis import settings

# Parallel tests share the processors: threads of linear algebra would only wait for each other. The processes that run
# the tests take it over from the one that starts them, before they import numpy.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

# The first call of a compiled function takes seconds: a deadline for each example would only measure that.
settings.register_profile("local", deadline=None)
# The same examples on every run, so that a failure is about the change and not about the draw.
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")


@pytest.fixture(scope="session", autouse=True)
def without_waiting_for_the_disk():
    """No test cuts the power: what is written need not be on the disk when the next one begins."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def schemas_that_are_parsed_once():
    """asdf parses all schemas of a file anew each time that it writes one, which takes most of the time."""
    from asdf import schema

    with pytest.MonkeyPatch.context() as patch:
        if hasattr(schema, "_make_schema_loader"):  # in asdf 6
            loader = cache(schema._make_schema_loader())
            patch.setattr(schema, "_make_schema_loader", lambda: loader)
        yield
