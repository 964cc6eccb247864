"""Arrays that lie in temporary files instead of in memory, from which the system reads the parts that are looked at."""

from __future__ import annotations

import mmap
import os
import tempfile
import weakref
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.io.memory import memory_of_files
from astro_calib.kernels.threads import let_go_between_blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["MappedArrays", "roomy_directory"]

#: Bytes of the first file, and of the largest; a larger array has a file of its own.
FIRST, LARGEST = 1 << 24, 1 << 28
#: Bytes that are written at a time: Linux maps into memory together what was written together.
PIECE = 1 << 16
#: Arrays that take fewer bytes are left where they are.
SMALL = 1 << 12
#: File systems that lie in memory, and where large temporary files go instead.
IN_MEMORY, INSTEAD = ("tmpfs", "ramfs"), Path("/var/tmp")  # noqa: S108  no name in it can be guessed
#: Where the kernel says which file systems there are.
MOUNTS = Path("/proc/self/mounts")


class MappedArrays:
    """
    Puts arrays into temporary files.

    The files have no name that others see, so that nothing is left behind, however the process ends. They last as long
    as an array that lies in them.

    Parameters
    ----------
    room : float
        Of what was read from the files, about this many bytes stay in memory from one block of rows to the next.

    Examples
    --------
    >>> import numpy as np
    >>> from astro_calib.io.mapped import MappedArrays
    >>> image = np.arange(1e6).reshape(1000, 1000)
    >>> moved = MappedArrays(room=1e8).moved(image)
    >>> bool(np.all(moved == image)), moved.flags.writeable
    (True, False)
    """

    def __init__(self, room: float) -> None:
        self.directory = roomy_directory()
        #: How many bytes were written.
        self.size = 0
        self._room = room + memory_of_files()
        self._file: Any = None
        self._maps: list[mmap.mmap] = []
        self._end = 0
        #: By memory, what owns that, as long as it is there, and the same array in a file.
        self._known: dict[tuple[Any, ...], tuple[weakref.ref[NDArray[Any]], NDArray[Any]]] = {}
        self._lock = Lock()
        let_go_between_blocks(self)

    def moved(self, array: NDArray[Any]) -> NDArray[Any]:
        """
        Return a read-only array of the same values that lies in a file; a small one, or one in a file, is returned.

        For views of the same memory this is the same array. A disk that is full is an OSError.
        """
        owner = _owner(array)
        if array.nbytes < SMALL or isinstance(getattr(owner.base, "obj", None), mmap.mmap):
            return array
        with self._lock:
            key = (array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str)
            known = self._known.get(key)
            if known is not None and known[0]() is owner:
                return known[1]
            result = self._written(np.ascontiguousarray(array))
            self._known[key] = weakref.ref(owner), result
        # It may have been made of others in files.
        self.let_go()
        return result

    def _written(self, array: NDArray[Any]) -> NDArray[Any]:
        start = -(-self._end // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY
        try:
            if self._file is None or start + array.nbytes > len(self._maps[-1]):
                start = 0
                self._begin(max(array.nbytes, min(max(self.size, FIRST), LARGEST)))
            self._file.seek(start)
            left = array.reshape(-1).data.cast("B")
            while left:
                left = left[self._file.write(left[:PIECE]) :]
        except OSError as error:
            msg = (
                f"{error.strerror or error}: the frames to be combined do not fit into memory_limit, nor, beside "
                f"{self.size / 1e9:.2g} GB of them, into temporary files in {self.directory}. Raise memory_limit, or "
                "let TMPDIR name a directory on a larger disk"
            )
            raise OSError(error.errno, msg) from error
        self._end = start + array.nbytes
        self.size += array.nbytes
        flat = np.frombuffer(self._maps[-1], dtype=array.dtype, count=array.size, offset=start)
        return flat.reshape(array.shape)

    def _begin(self, size: int) -> None:
        """A new file; the earlier ones last as long as they are mapped."""
        if self._file is not None:
            # A process may have few files open.
            self._file.close()
        # Without a name, or removed when it is closed. What lies in it is mapped, which outlives that.
        self._file = tempfile.TemporaryFile(dir=self.directory, buffering=0)  # noqa: SIM115  as said
        weakref.finalize(self, self._file.close)
        if hasattr(os, "posix_fallocate"):
            # The disk is full now, and not when the system gets around to writing.
            os.posix_fallocate(self._file.fileno(), 0, size)
        else:
            self._file.truncate(size)
        self._maps.append(mmap.mmap(self._file.fileno(), size, access=mmap.ACCESS_READ))

    def let_go(self) -> None:
        """Give back the memory of what was read, if it is more than there is room for; it is read again when needed."""
        taken = memory_of_files()
        # Without a figure it may be much.
        if hasattr(mmap, "MADV_DONTNEED") and (taken > self._room or not taken):
            for one in tuple(self._maps):
                one.madvise(mmap.MADV_DONTNEED)


def _owner(array: NDArray[Any]) -> NDArray[Any]:
    """The array whose memory a view looks at."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def roomy_directory() -> Path:
    """Return the directory for large temporary files: the usual one, unless that lies in memory itself."""
    usual = Path(tempfile.gettempdir())
    if _lies_in_memory(usual) and INSTEAD.is_dir() and os.access(INSTEAD, os.W_OK) and not _lies_in_memory(INSTEAD):
        return INSTEAD
    return usual


def _lies_in_memory(directory: Path) -> bool:
    """Whether what is written into a directory takes memory."""
    try:
        lines = MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    path = directory.resolve()
    # Later lines lie above earlier ones of the same place.
    kinds = {Path(line.split()[1].replace("\\040", " ")): line.split()[2] for line in lines}
    return next((kinds[place] for place in (path, *path.parents) if place in kinds), "") in IN_MEMORY
