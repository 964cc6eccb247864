"""That loops are compiled is said when they are, once a process, and never otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from astro_calib.kernels.cache import VARIABLE
from tests import processes

DIGEST = "import numpy as np; from astro_calib.kernels.digest import digest; "
FIRST = (
    DIGEST + "digest(np.arange(100, dtype='u2').reshape(10, 10)); digest(np.arange(100, dtype='i4').reshape(10, 10))"
)
OF_OTHERS = "import numba, astro_calib.kernels.digest; numba.njit(lambda x: x + 1)(1.5)"


@pytest.fixture
def told(tmp_path):
    """What another process tells beside its output; the loops that one compiles are there for the next."""

    def run(code):
        done = processes.run(code, env={**os.environ, VARIABLE: str(tmp_path)})
        assert (done.returncode, done.stdout) == (0, "")
        return done.stderr

    return run


def test_importing_says_nothing():
    code = "import astro_calib, astro_calib.stack.values, astro_calib.kernels.digest"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout + done.stderr == ""


def test_the_first_call_says_that_it_compiles_and_the_next_process_is_silent(told):
    assert told(FIRST).count("Compiling for this data type (a few seconds, cached on disk)") == 1
    assert told(FIRST) == ""
    # For pixels of another type there is a loop to compile again.
    assert (
        told(DIGEST + "digest(np.ones((10, 10), dtype='f8'))").count(
            "Compiling for this data type (a few seconds, cached on disk)"
        )
        == 1
    )


def test_what_others_compile_is_not_told(told):
    assert told(OF_OTHERS) == ""
