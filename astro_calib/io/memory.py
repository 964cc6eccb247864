"""How much memory this process may still take: what the machine has left, and what limits leave of that."""

from __future__ import annotations

import mmap
import os
import re
from pathlib import Path

__all__ = ["SMALL", "available_memory", "memory_of_files", "memory_taken"]

#: Fewer bytes than this are taken without asking how many are free.
SMALL = 1 << 24
#: The root of the file system, below which the kernel says what is free.
ROOT = Path("/")
#: Bytes of the pieces in which memory is given out.
PAGE = mmap.PAGESIZE
#: The memory that we assume of a machine that does not tell its own.
UNKNOWN = 1 << 36


def available_memory(root: Path = ROOT) -> int:
    """
    Return how many bytes this process can take before it, or another one, gets into trouble.

    This is the least of what the machine has free (or can free by forgetting copies of files), of what the memory
    limits of the process's control groups leave (containers, batch systems), and of what ``ulimit -v`` and ``ulimit
    -d`` leave. Another ``root`` than ``/`` is for tests.
    """
    proc, groups = root / "proc", root / "sys" / "fs" / "cgroup"
    return max(0, min([_of_machine(proc), *_of_process(proc), *_of_control_groups(proc, groups)]))


def memory_taken() -> int:
    """Return how many bytes of memory this process takes; 0 where the system does not say."""
    return _resident(1)


def memory_of_files() -> int:
    """Return how many of them hold parts of files, which can be read again; 0 where the system does not say."""
    return _resident(2)


def _resident(place: int) -> int:
    # Called often: without a Path.
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123  as said
            return int(file.read().split()[place]) * PAGE
    except (OSError, ValueError, IndexError):
        return 0


def _of_machine(proc: Path) -> int:
    found = re.search(r"^MemAvailable:\s*(\d+) kB$", _text(proc / "meminfo"), re.MULTILINE)
    if found:
        return int(found[1]) * 1024
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return UNKNOWN


def _of_process(proc: Path) -> list[int]:
    """What the limits of the shell leave: on all addresses, and on those that are written to."""
    try:
        import resource
    except ImportError:  # not on Windows
        return []
    left = []
    pages = _text(proc / "self" / "statm").split()
    for kind, place in ((resource.RLIMIT_AS, 0), (resource.RLIMIT_DATA, 5)):
        limit = resource.getrlimit(kind)[0]
        if limit != resource.RLIM_INFINITY:
            left.append(limit - (int(pages[place]) * PAGE if pages else 0))
    return left


def _of_control_groups(proc: Path, groups: Path) -> list[int]:
    """What the memory limits of the process's control group, and of all groups above it, leave in both versions."""
    left = []
    for line in _text(proc / "self" / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "memory" not in controllers.split(","):
            continue
        top = groups / "memory" if controllers else groups
        limits, usage, cached = ["memory.limit_in_bytes"], "memory.usage_in_bytes", "total_inactive_file"
        if not controllers:
            # memory.high does not end a process, but slows it down to nearly nothing.
            limits, usage, cached = ["memory.max", "memory.high"], "memory.current", "inactive_file"
        group = top / path.lstrip("/")
        # In a container the path may be one of outside; the container's own group is the top then.
        for place in [place for place in (group, *group.parents) if place == top or top in place.parents]:
            known = [most for limit in limits if (most := _number(place / limit)) is not None]
            if known and (used := _number(place / usage)) is not None:
                kept = re.search(rf"^{cached} (\d+)$", _text(place / "memory.stat"), re.MULTILINE)
                left.append(min(known) - used + (int(kept[1]) if kept else 0))
    return left


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _number(path: Path) -> int | None:
    """The number in a file; None if there is no such file, or it says "max"."""
    text = _text(path).strip()
    return int(text) if text.isdigit() else None
