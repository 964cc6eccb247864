"""What the parent of the processes of the tests has imported, before any of it is used."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from numba.core.registry import cpu_target

import astro_calib

for module in pkgutil.walk_packages(astro_calib.__path__, "astro_calib."):
    if not module.name.endswith("__main__"):
        import_module(module.name)
# What numba does once a process, before it loads or compiles the first loop.
cpu_target.typing_context.refresh()
cpu_target.target_context.refresh()
