"""
Compiled loops, kept on disk for the next process.

numba's own cache writes beside the source, stops where it cannot write, and believes what it reads. This one writes
into the user's cache folder, goes on without where that is not possible, and checks what it reads. Processes that begin
together compile each loop once.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import stat
import sys
import tempfile
import time
from contextlib import redirect_stdout, suppress
from functools import cache
from importlib import metadata, resources
from pathlib import Path
from pickle import loads
from typing import TYPE_CHECKING, Any

import numba
import numpy as np
from astropy import log
from numba.core import caching, serialize
from numba.misc import appdirs

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["VARIABLE", "LoopCache", "folder", "say"]

#: Of numba, without types: how it takes a compiled function to pieces, and puts it together again.
PARTS: Any = caching.CompileResultCacheImpl
dumps: Any = serialize.dumps
user_cache_dir: Any = appdirs.user_cache_dir
config: Any = numba.config
#: The environment variable that names the folder to use.
VARIABLE = "ASTRO_CALIB_CACHE_DIR"
#: Bytes of the checksum that each file begins with.
CHECKSUM = hashlib.sha256().digest_size
#: Seconds to wait for another process that compiles the same loop; it may have been stopped.
PATIENCE = 60.0


def say(level: str, text: str) -> None:
    """Write one line into astropy's log, and so to standard error."""
    # What a program prints may be read by another. A full or closed standard error must not stop a reduction.
    with redirect_stdout(sys.stderr), suppress(OSError):
        getattr(log, level)(text)


@cache
def _say_once(text: str) -> None:
    say("warning", text)


@cache
def _name() -> str:
    """
    The folder's name: the version, and a digest of what else decides whether compiled code can be used again.

    Loops are compiled into those that call them, so that the sources of all of them count. Two checkouts may have one
    version number.
    """
    digest = hashlib.sha256(repr((sys.version, numba.__version__, np.__version__)).encode())
    package = resources.files("astro_calib")
    sources = [source for source in (package / "kernels").iterdir() if source.name.endswith(".py")]
    for source in [*sorted(sources, key=lambda source: source.name), package / "flags.py"]:
        digest.update(source.read_bytes())
    try:
        version = metadata.version("astro-calib")
    except metadata.PackageNotFoundError:
        version = "checkout"  # found by PYTHONPATH, and not installed
    return f"{version}-{digest.hexdigest()[:16]}"


def _candidates() -> Iterator[Path]:
    """The folders to try, the best one first."""
    if told := os.environ.get(VARIABLE) or config.CACHE_DIR:
        yield Path(told).expanduser().absolute() / f"astro_calib-{_name()}"
    else:
        yield Path(user_cache_dir("astro_calib")) / _name()
    # It is the same one for all processes of a user, so that a container compiles once.
    with suppress(OSError):
        yield Path(tempfile.gettempdir()) / f"astro_calib-{os.geteuid()}-{_name()}"


def _is_ours_alone(status: os.stat_result) -> bool:
    """Whether nobody else can have written: what is read is run."""
    return status.st_uid == os.geteuid() and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _trouble(path: Path) -> str | None:
    """Make a folder, and say what keeps us from using it."""
    if not path.is_absolute():
        return f"{path.parent} is no absolute path"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir(mode=0o700, exist_ok=True)
        # A link might lead to a folder of somebody else later on.
        if not _is_ours_alone(path.lstat()):
            return f"{path} belongs to another user, or others can write into it"
        tempfile.TemporaryFile(dir=path).close()
    except OSError as error:
        return f"{error.filename or path}: {error.strerror}"
    return None


@cache
def folder() -> Path | None:
    """
    The folder where compiled loops are kept, made if need be; None where there is none.

    Returns
    -------
    pathlib.Path or None
        The first that works of: a folder in that which the environment variable ``ASTRO_CALIB_CACHE_DIR`` or
        ``NUMBA_CACHE_DIR`` names, else in the user's cache folder; one among the temporary files.
    """
    troubles: list[str] = []
    try:
        for path in _candidates():
            trouble = _trouble(path)
            if trouble is None:
                if troubles:
                    _say_once(f"Compiled code is kept in {path}, because of {troubles[0]}. {_ADVICE}")
                return path
            troubles.append(trouble)
    except OSError as error:
        # No source, no way to know whether what was compiled is of this version.
        troubles.append(f"{error.filename}: {error.strerror}")
    _say_once(f"Compiled code is not kept, and each run compiles anew: {'; '.join(troubles)}. {_ADVICE}")
    return None


_ADVICE = f"To choose a folder, set the environment variable {VARIABLE}."


def _read(path: Path) -> Any:
    """What a file of the cache holds; None if there is none, or not a whole one that we have written."""
    try:
        with path.open("rb") as file:
            if not _is_ours_alone(os.fstat(file.fileno())):
                return None
            content = file.read()
    except OSError:
        return None
    checksum, payload = content[:CHECKSUM], content[CHECKSUM:]
    if hashlib.sha256(payload).digest() != checksum:
        return None
    try:
        return loads(payload)  # noqa: S301  nobody else can have written it
    except Exception:  # noqa: BLE001  what it refers to may be gone
        return None


def _write(path: Path, content: Any) -> None:
    """Write a file of the cache in one move, so that no other process ever finds a part of it."""
    payload = dumps(content)
    try:
        handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(hashlib.sha256(payload).digest() + payload)
            Path(temporary).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(temporary).unlink()
            raise
    except OSError as error:
        _say_once(f"Compiled code is not kept in {path.parent}: {error.strerror}. {_ADVICE}")


@cache
def _lock_file(folder: Path) -> int:
    """The open file whose bytes stand for the loops of a folder."""
    return os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _place(path: Path) -> int:
    """The byte that stands for a loop."""
    return int.from_bytes(hashlib.sha256(path.name.encode()).digest()[:7])


def _wait_for_turn(path: Path) -> None:
    """Wait while another process compiles the same loop; not for ever, and not where files cannot be locked."""
    with suppress(OSError):
        lock, end = _lock_file(path.parent), time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, _place(path))
            except (BlockingIOError, PermissionError):
                time.sleep(0.02)
            else:
                return


def _end_turn(path: Path) -> None:
    """Let another process go on that waits for the loop."""
    with suppress(OSError):
        fcntl.lockf(_lock_file(path.parent), fcntl.LOCK_UN, 1, _place(path))


class LoopCache:
    """
    The cache of one function, in the place of numba's.

    Parameters
    ----------
    function : callable
        The function that is compiled.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        #: How the names of its files begin.
        self._called = f"{function.__module__.rpartition('.')[2]}.{function.__qualname__}"
        self._enabled = True

    @property
    def cache_path(self) -> str | None:
        """The folder, as numba asks for it."""
        path = folder()
        return None if path is None else str(path)

    def _path(self, signature: Any, codegen: Any) -> Path | None:
        """The file of the function for one signature and processor."""
        path = folder() if self._enabled else None
        if path is None:
            return None
        key = hashlib.sha256(repr((signature, codegen.magic_tuple())).encode())
        return path / f"{self._called}-{key.hexdigest()[:32]}.loop"

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Return the compiled function for a signature, None if it is not there."""
        target_context.refresh()
        path = self._path(sig, target_context.codegen())
        if path is None:
            return None
        parts = _read(path)
        if parts is None:
            # Until `save_overload` the turn is ours: processes that begin together need the same loops.
            _wait_for_turn(path)
            parts = _read(path)
        if parts is None:
            return None
        _end_turn(path)
        try:
            return PARTS.rebuild(None, target_context, parts)
        except Exception:  # noqa: BLE001  whatever is wrong with it, it can be compiled again
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep a compiled function."""
        path = self._path(sig, data.codegen)
        if path is None:
            return
        # Code that holds addresses of this process is of no use to another.
        if not data.library.has_dynamic_globals:
            _write(path, PARTS.reduce(None, data))
        _end_turn(path)

    def enable(self) -> None:
        """Read and write from now on."""
        self._enabled = True

    def disable(self) -> None:
        """Neither read nor write from now on."""
        self._enabled = False

    def flush(self) -> None:
        """Forget the function."""
        path = folder()
        if path is not None:
            for file in path.glob(f"{self._called}-*.loop"):
                file.unlink(missing_ok=True)
