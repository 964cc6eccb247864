"""
Compiled loops over pixels: arrays in, arrays out.

They are compiled when they are first needed, and kept on disk for the next time: `astro_calib.kernels.cache`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from numba.core import event

from astro_calib.kernels.cache import folder, say

if TYPE_CHECKING:
    from numba.core.event import Event

__all__: list[str] = []


class _Notice(event.Listener):
    """Says, once, what takes some seconds; what was compiled before, and is read from disk, does not come here."""

    said = False

    def on_start(self, event: Event) -> None:
        """Called by numba when it begins to compile any function, of another package, too."""
        if not self.said and event.data["dispatcher"].py_func.__module__.startswith(f"{__name__}."):
            self.said = True
            kept = "a few seconds" if folder() is None else "a few seconds, cached on disk"
            say("info", f"Compiling for this data type ({kept}).")

    def on_end(self, event: Event) -> None:
        """Nothing to say."""


_register: Any = event.register
_register("numba:compile", _Notice())
