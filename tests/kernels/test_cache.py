"""Compiled loops are kept in the user's cache folder; nothing that is wrong there stops a calculation."""

from __future__ import annotations

import ast
import errno
import os
import pickle
import runpy
import shutil
import stat
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

import numba
import numpy as np
import pytest

import astro_calib
from astro_calib.kernels import cache
from astro_calib.kernels.options import compiled
from tests import processes

PACKAGE = Path(astro_calib.__file__).parent
#: A user who is not the one that runs the tests.
OTHER = os.geteuid() + 1
MACOS = sys.platform == "darwin"
#: The caches of a user whose home is to be filled in.
CACHES = "{}/Library/Caches" if MACOS else "{}/.cache"
RUN = (
    "import numpy as np; from astro_calib.kernels.checksum import sum_of_swapped; "
    "print(sum_of_swapped(np.arange(1, 101, dtype='>u4').view(np.uint32)))"
)


@pytest.fixture
def told(monkeypatch):
    """The lines that are said, and a process that has not yet chosen a folder."""

    def forget():
        for function in (cache.folder, cache._say_once, cache._name):
            function.cache_clear()

    lines = []
    monkeypatch.setattr(cache, "say", lambda level, text: lines.append(f"{level}: {text}"))
    monkeypatch.setattr(numba.config, "CACHE_DIR", "")
    forget()
    yield lines
    forget()


@pytest.fixture
def kept(told, tmp_path, monkeypatch):  # noqa: ARG001  `told` comes first
    """A folder that the environment names."""
    folder = tmp_path / "kept"
    monkeypatch.setenv(cache.VARIABLE, str(folder))
    return folder


def one_more(value):
    return value + 1


def anew():
    """A function as another process has it; whether it was read from disk."""
    loop = compiled()(one_more)
    assert loop(41) == 42
    return sum(loop.stats.cache_hits.values()) == 1


def only_file(folder):
    (path,) = folder.rglob("*.loop")
    return path


class Harm:
    """What somebody else might put there: reading it makes a directory."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def replace_by_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "one byte": lambda path: path.write_bytes(b"\x80"),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "last byte missing": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "a byte more": lambda path: path.write_bytes(path.read_bytes() + b"\0"),
    "checksum alone": lambda path: path.write_bytes(path.read_bytes()[: cache.CHECKSUM]),
    "one bit": flip,
    "zeros": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "text": lambda path: path.write_text("not code"),
    "another pickle": lambda path: path.write_bytes(pickle.dumps(Harm(str(path.parent / "harm")))),
    "gone": lambda path: path.unlink(),
    "a broken link": lambda path: (path.unlink(), path.symlink_to("nowhere")),
    "others may write": lambda path: path.chmod(0o666),
    "a folder": replace_by_folder,
}


def test_the_first_process_compiles_and_the_next_reads(kept, told):
    assert not anew()
    assert anew()
    assert stat.S_IMODE(only_file(kept).parent.stat().st_mode) == 0o700
    assert told == []


@pytest.mark.parametrize("damage", DAMAGES)
def test_damaged_file_is_compiled_again_and_replaced(damage, kept, told):
    anew()
    path = only_file(kept)
    DAMAGES[damage](path)
    assert not anew()
    assert not (path.parent / "harm").exists()
    if damage == "a folder":
        assert told == [f"warning: Compiled code is not kept in {path.parent}: Is a directory. {cache._ADVICE}"]
    else:
        assert anew()
        assert told == []
    assert {*path.parent.iterdir()} == {path, path.parent / "lock"}, "no temporary file stays"


def test_what_cannot_be_loaded_is_compiled_again(kept, told):
    anew()
    path = only_file(kept)
    # The checksum is right, and the content is not what numba takes.
    cache._write(path, ("of", "another", "numba"))
    assert not anew()
    assert anew()
    assert told == []


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS])
def test_where_nothing_can_be_written_it_is_said_once(code, kept, told, monkeypatch):
    def full(*_, **__):
        raise OSError(code, os.strerror(code))

    cache.folder()
    monkeypatch.setattr(cache.os, "replace", full)
    assert not anew()
    assert not anew()
    (line,) = told
    assert os.strerror(code) in line
    assert cache.VARIABLE in line
    assert list(kept.rglob("*.*")) == list(kept.iterdir()), "no temporary file stays"


def test_limit_of_the_size_of_files(tmp_path):
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); {RUN}"
    done = processes.run(limited, env={"HOME": str(tmp_path)})
    assert (done.returncode, done.stdout) == (0, "5050\n"), done.stderr
    assert done.stderr.count("File too large") == 1


def place(folder):
    """The folder that is used inside the one that is named."""
    return folder / f"astro_calib-{cache._name()}"


def with_mode(mode):
    def make(folder):
        place(folder).mkdir(parents=True)
        place(folder).chmod(mode)

    return make


def link(folder):
    folder.mkdir()
    (folder / "elsewhere").mkdir(mode=0o700)
    place(folder).symlink_to(folder / "elsewhere")


REFUSED = {
    "a file in its place": lambda folder: folder.write_text(""),
    "a file inside": lambda folder: (folder.mkdir(), place(folder).write_text("")),
    "others may write": with_mode(0o777),
    "the group may write": with_mode(0o770),
    "a link": link,
}


@pytest.mark.parametrize("how", REFUSED)
def test_temporary_folder_is_used_where_the_named_one_is_of_no_use(how, kept, told, tmp_path, monkeypatch):
    REFUSED[how](kept)
    before = sorted(tmp_path.rglob("*"))
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()

    assert not anew()
    assert anew(), "the next process finds it"

    (folder,) = (tmp_path / "temporary").iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [path for path in before if path not in tmp_path.rglob("*")] == []
    assert not list(kept.rglob("*.loop"))
    (line,) = told
    assert line.startswith(f"warning: Compiled code is kept in {folder}, because of {kept}")
    assert cache.VARIABLE in line


def test_folder_of_another_user_is_refused(kept, told, tmp_path, monkeypatch):
    with_mode(0o755)(kept)
    monkeypatch.setattr(cache.os, "geteuid", lambda: OTHER)
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path))
    assert not anew()
    assert not list(tmp_path.rglob("*.loop")), "what is made now belongs to the wrong user, too"
    (line,) = told
    assert line.startswith("warning: Compiled code is not kept, and each run compiles anew: ")
    assert line.count("belongs to another user") == 2


def test_file_of_another_user_is_not_read(kept, told, monkeypatch):
    anew()
    kept = cache.folder()
    monkeypatch.setattr(cache.os, "geteuid", lambda: OTHER)
    assert cache._read(only_file(kept)) is None
    assert told == []


def test_without_any_folder_it_compiles_and_says_so_once(kept, told, monkeypatch):
    def none():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found", "/tmp")  # noqa: S108  the words of tempfile

    kept.write_text("")
    monkeypatch.setattr(cache.tempfile, "gettempdir", none)
    assert not anew()
    assert not anew()
    (line,) = told
    assert line.startswith("warning: Compiled code is not kept, and each run compiles anew: ")
    assert cache.folder() is None


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HOME": "{}"}, f"{CACHES}/astro_calib"),
        ({"HOME": "{}", "XDG_CACHE_HOME": "{}/xdg"}, f"{CACHES if MACOS else '{}/xdg'}/astro_calib"),
        ({"HOME": "{}", cache.VARIABLE: ""}, f"{CACHES}/astro_calib"),
        ({"HOME": "{}", cache.VARIABLE: "{}/told"}, "{}/told"),
        ({"HOME": "{}", cache.VARIABLE: "~/told"}, "{}/told"),
        ({"HOME": "{}", cache.VARIABLE: "{}/told", "NUMBA_CACHE_DIR": "{}/numba"}, "{}/told"),
        ({"HOME": "{}", "NUMBA_CACHE_DIR": "{}/numba"}, "{}/numba"),
    ],
    ids=["home", "XDG", "empty", "variable", "home in the variable", "both variables", "numba's variable"],
)
def test_where_it_is_kept(variables, expected, told, tmp_path, monkeypatch):
    for name in ("HOME", "XDG_CACHE_HOME", cache.VARIABLE):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        if name == "NUMBA_CACHE_DIR":
            monkeypatch.setattr(numba.config, "CACHE_DIR", value.format(tmp_path))
        else:
            monkeypatch.setenv(name, value.format(tmp_path))
    folder = cache.folder()
    assert folder.parent == Path(expected.format(tmp_path))
    assert astro_calib.__version__ in folder.name
    assert told == []


def test_relative_cache_folder_makes_none_where_one_happens_to_work(told, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(cache.VARIABLE, raising=False)
    # As with XDG_CACHE_HOME=caches.
    monkeypatch.setattr(cache, "user_cache_dir", lambda name: f"caches/{name}")
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(cache.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    assert cache.folder().parent == tmp_path / "temporary"
    assert [path.name for path in tmp_path.iterdir()] == ["temporary"]
    assert len(told) == 1


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("changed", ["kernels/usable.py", "kernels/new.py", "flags.py", None])
def test_other_source_has_another_folder(changed, tmp_path, monkeypatch):
    # Loops are compiled into those that call them, from other modules, too.
    before = cache._name()
    copy = tmp_path / "astro_calib"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "resources"))
    if changed:
        with (copy / changed).open("a") as file:
            file.write("\n# another\n")
    monkeypatch.setattr(resources, "files", lambda _: copy)
    cache._name.cache_clear()
    assert (cache._name() == before) == (changed is None)


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("library", ["numba.__version__", "numpy.__version__", "sys.version"])
def test_another_version_of_what_compiles_has_another_folder(library, monkeypatch):
    before = cache._name()
    monkeypatch.setattr(library, "another")
    cache._name.cache_clear()
    assert cache._name() != before


def test_types_that_need_other_code_have_other_files(kept):
    last = compiled()(lambda values: values[0])
    arrays = [np.zeros((4, 4), dtype) for dtype in ("f4", "f8", "i4")]
    arrays += [arrays[0].T, arrays[0][::2, ::2], np.zeros(4, "f4"), np.broadcast_to(np.float32(0), (4, 4))]
    for values in arrays:
        last(values)
    assert len(list(kept.rglob("*.loop"))) == len(arrays)


def test_nothing_is_written_beside_the_source_and_the_folder_is_safe_with_two_at_once(tmp_path):
    before = set(PACKAGE.rglob("*.nb?"))
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(processes.run, RUN, env={"HOME": str(tmp_path)}) for _ in range(2)]
    for done in both:
        assert (done.result().returncode, done.result().stdout) == (0, "5050\n"), done.result().stderr
    assert set(PACKAGE.rglob("*.nb?")) == before
    assert [path.name[:23] for path in tmp_path.rglob("*.loop")] == ["checksum.sum_of_swapped"]


def compile_until_told(path, connection, made):
    """Be the process that compiles a loop, and that makes its file if there is another to make it of."""
    cache._wait_for_turn(path)
    connection.send("mine")
    connection.recv()
    if made is not None:
        made.rename(path)
        cache._end_turn(path)


@contextmanager
def hold(path, made=None):
    """Another process that compiles a loop, until something is sent."""
    here, there = processes.context().Pipe()
    process = processes.start(compile_until_told, path, there, made)
    there.close()
    assert here.recv() == "mine"
    yield here
    process.join()
    assert process.exitcode == 0


def test_of_two_processes_that_begin_together_one_compiles(kept, told):
    anew()
    path = only_file(kept)
    made = path.rename(kept / "made")
    with hold(path, made) as other:
        threading.Timer(0.3, other.send, ["go on"]).start()
        assert anew(), "it waited, and read what the other had made"
    assert told == []


def test_nobody_waits_for_ever(kept, told, monkeypatch):
    monkeypatch.setattr(cache, "PATIENCE", 0.1)
    anew()
    path = only_file(kept)
    path.unlink()
    with hold(path) as other:
        assert not anew()
        other.send("go on")
    assert only_file(kept) == path
    assert told == []


def test_every_loop_is_compiled_by_the_one_decorator():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                options = {keyword.arg for keyword in node.keywords}
                text = ast.unparse(node.func)
                assert "cache" not in options or "jit" not in text, f"{path.name}: @compiled() or @inner() instead"


def test_loops_of_others_keep_the_cache_of_numba():
    from numba.core.caching import FunctionCache, NullCache

    assert type(numba.njit(lambda x: x)._cache) is NullCache
    assert type(numba.njit(cache=True)(resources.files)._cache) is FunctionCache


def test_without_a_compiler_the_loops_are_functions(monkeypatch):
    monkeypatch.setattr(numba.config, "DISABLE_JIT", True)
    assert compiled()(anew) is anew


def unknown(*_, **__):
    msg = "Could not determine home directory."
    raise RuntimeError(msg)


def forbidden(*_, **__):
    raise PermissionError(errno.EACCES, "Permission denied")


@pytest.mark.parametrize(
    ("method", "trouble", "home"),
    [("home", unknown, "/"), ("stat", forbidden, "/"), (None, None, "/home/somebody")],
    ids=["unknown", "forbidden", "known"],
)
def test_home_is_the_root_where_there_is_none(method, trouble, home, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("HOME", "/home/somebody")
        if method:
            patch.setattr(Path, method, trouble)
        runpy.run_path(str(PACKAGE / "home.py"))
        assert os.environ["HOME"] == home
