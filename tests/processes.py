"""
Other processes for the tests, forked from one that has imported all and used nothing.

A new interpreter takes seconds to import the package and what it needs. What another process finds in files does not
depend on that; only tests of importing and of how an interpreter begins and ends start a new one.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from functools import cache
from multiprocessing import forkserver
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@cache
def context():
    """Processes as those of `multiprocessing`; their parent is started with the first."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["tests.imported", __name__])
    with pytest.MonkeyPatch.context() as patch:
        # It begins where the test is, and `tests` may lie elsewhere.
        patch.setenv("PYTHONPATH", str(ROOT), prepend=os.pathsep)
        forkserver.ensure_running()
    return made


def start(function, *arguments):
    """Start a process that calls a function of a module."""
    process = context().Process(target=function, args=arguments)
    process.start()
    return process


def _execute(code, arguments, environment, streams):
    for number, path in enumerate(streams, start=1):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["-c", *arguments]
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102  the tests' own code, as python -c would run it


def run(code, *arguments, env=None, timeout=300):
    """
    Run code in another process, as ``python -c`` does.

    Parameters
    ----------
    code : str
        The code.
    *arguments : object
        What it finds in `sys.argv`.
    env : dict, optional
        Its environment; that of this process by default.
    timeout : float
        Seconds after which it counts as stuck.

    Returns
    -------
    subprocess.CompletedProcess
        Its status, and what it has written as text.
    """
    with tempfile.TemporaryDirectory() as directory:
        streams = [Path(directory, name) for name in ("stdout", "stderr")]
        environment = dict(os.environ if env is None else env)
        process = start(_execute, code, [*map(str, arguments)], environment, streams)
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(code, timeout)
        written = [path.read_text(encoding="utf-8") for path in streams]
    return subprocess.CompletedProcess(code, process.exitcode, *written)
