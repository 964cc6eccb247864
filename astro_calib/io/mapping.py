"""
Files that are mapped into memory, so that arrays which are asked for later, if ever, stay in them.

Each takes a descriptor, of which a process has few: 256 on some systems. So only some files are mapped at a time, and
of any other the arrays are read at once.
"""

from __future__ import annotations

import mmap
import weakref
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["note", "room"]

#: How many files may be mapped at a time.
MAPPED = 16
_mapped: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()


def room() -> bool:
    """Whether one more file may be mapped."""
    return len(_mapped) < MAPPED


def note(arrays: Iterable[Any]) -> None:
    """Take note of the files that arrays are in, for as long as anybody has one of them."""
    for array in arrays:
        base = array
        while base is not None and not isinstance(base, mmap.mmap):
            base = getattr(base, "base", None)
        if base is not None:
            _mapped.add(base)
