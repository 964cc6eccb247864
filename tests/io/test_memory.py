"""How much memory is free: of the machine, of a control group, of a limit of the shell."""

from __future__ import annotations

import gzip
import os
import resource

import numpy as np
import pytest
from astropy.io import fits

from astro_calib import CCDFrame
from astro_calib.errors import FrameError
from astro_calib.io import memory
from astro_calib.io.fits import header_reader, whole
from astro_calib.io.memory import available_memory

GB = 10**9


@pytest.fixture
def machine(tmp_path):
    """A machine with 8 GB free, whose process is in no group."""

    def write(files):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return tmp_path

    write({"proc/meminfo": "MemTotal:       16000000 kB\nMemAvailable:    8000000 kB\n", "proc/self/cgroup": "0::/\n"})
    return write


V2 = "sys/fs/cgroup"
V1 = "sys/fs/cgroup/memory"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, 8000000 * 1024),
        # A group of its own; one of its parents; both; no limit.
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                f"{V2}/a/b/memory.max": f"{4 * GB}\n",
                f"{V2}/a/b/memory.current": f"{GB}\n",
            },
            3 * GB,
        ),
        (
            {"proc/self/cgroup": "0::/a/b\n", f"{V2}/a/memory.max": f"{2 * GB}\n", f"{V2}/a/memory.current": f"{GB}\n"},
            GB,
        ),
        (
            {"proc/self/cgroup": "0::/a\n", f"{V2}/a/memory.max": "max\n", f"{V2}/a/memory.current": f"{GB}\n"},
            8000000 * 1024,
        ),
        # Beyond one limit the process is ended, beyond another it is slowed down.
        (
            {
                "proc/self/cgroup": "0::/a\n",
                f"{V2}/a/memory.max": f"{5 * GB}\n",
                f"{V2}/a/memory.high": f"{3 * GB}\n",
                f"{V2}/a/memory.current": f"{GB}\n",
            },
            2 * GB,
        ),
        # In a container the path is one of outside.
        ({"proc/self/cgroup": "0::/../x\n", f"{V2}/memory.max": f"{GB}\n", f"{V2}/memory.current": "0\n"}, GB),
        # Copies of files can be forgotten.
        (
            {
                f"{V2}/memory.max": f"{GB}",
                f"{V2}/memory.current": f"{GB}",
                f"{V2}/memory.stat": f"anon 3\ninactive_file {GB // 2}\n",
            },
            GB // 2,
        ),
        # More is in use than is allowed, as after the limit was lowered.
        ({f"{V2}/memory.max": f"{GB}", f"{V2}/memory.current": f"{2 * GB}"}, 0),
        # The first version, which has a path for each controller, and a limit that is none.
        (
            {
                "proc/self/cgroup": "5:cpu:/c\n4:memory:/m\n0::/\n",
                f"{V1}/m/memory.limit_in_bytes": f"{5 * GB}",
                f"{V1}/m/memory.usage_in_bytes": f"{GB}",
                f"{V1}/memory.limit_in_bytes": "9223372036854771712",
                f"{V1}/memory.usage_in_bytes": f"{GB}",
            },
            4 * GB,
        ),
    ],
)
def test_the_least_of_what_is_left_counts(machine, files, expected):
    assert available_memory(machine(files)) == expected


@pytest.mark.parametrize(("kind", "pages"), [(resource.RLIMIT_AS, 1000), (resource.RLIMIT_DATA, 300)])
def test_a_limit_of_the_shell_counts(machine, monkeypatch, kind, pages):
    root = machine({"proc/self/statm": "1000 10 10 1 0 300 0\n"})
    limits = {kind: (GB, resource.RLIM_INFINITY)}
    none = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    monkeypatch.setattr(resource, "getrlimit", lambda asked: limits.get(asked, none))
    assert available_memory(root) == GB - pages * resource.getpagesize()


def test_a_machine_that_tells_nothing_has_what_is_built_in(tmp_path):
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < available_memory(tmp_path) <= physical


@pytest.fixture
def little(monkeypatch):
    """As if 32 MiB were free."""
    monkeypatch.setattr(whole, "available_memory", lambda: 1 << 25)
    monkeypatch.setattr(memory, "available_memory", lambda: 1 << 25)


def bomb(path, *, extension=False):
    """A file of 16 MB, a few kB on disk if it is compressed, which would be three times as much while it is read."""
    hdu = (fits.ImageHDU if extension else fits.PrimaryHDU)(np.zeros((2000, 4000), np.int16))
    hdu.data[0, 0] = 1
    fits.HDUList([fits.PrimaryHDU(), hdu] if extension else [hdu]).writeto(path)
    return path


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize("extension", [False, True])
def test_what_a_compressed_file_takes_while_it_is_read_counts(tmp_path, extension):
    path = bomb(tmp_path / "a.fits.gz", extension=extension)
    with pytest.raises(FrameError, match=r"a\.fits\.gz.*160[0-9]* bytes, which take 480[0-9]* to read, but only \d+"):
        CCDFrame.read(path, unit="adu")


@pytest.mark.usefixtures("little")
def test_a_plain_file_that_fits_is_read(tmp_path):
    assert CCDFrame.read(bomb(tmp_path / "a.fits"), unit="adu").shape == (2000, 4000)


@pytest.mark.usefixtures("little")
def test_extensions_that_fit_one_by_one_but_not_together_are_refused(tmp_path):
    path = tmp_path / "a.fits"
    images = [fits.ImageHDU(np.zeros((2000, 3000), np.int16), name=f"A{number}") for number in range(3)]
    fits.HDUList([fits.PrimaryHDU(), *images]).writeto(path)
    with pytest.raises(FrameError, match=r"a\.fits.*announce 36[0-9]* bytes, but only \d+"):
        CCDFrame.read(path, unit="adu")


@pytest.mark.usefixtures("little")
def test_the_image_that_tiles_are_unpacked_to_counts(tmp_path):
    path = tmp_path / "a.fits.fz"
    data = np.zeros((3000, 6000), np.int16)
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data, compression_type="RICE_1")]).writeto(path)
    assert path.stat().st_size < 1e6
    with pytest.raises(FrameError, match=r"a\.fits\.fz.*bytes of memory are free"):
        CCDFrame.read(path, unit="adu")


@pytest.mark.usefixtures("little")
def test_headers_without_data_count_too(tmp_path):
    extension = fits.ImageHDU().header.tostring().encode()
    primary = fits.PrimaryHDU(np.ones((4, 4), np.int16))
    primary.writeto(tmp_path / "a.fits")
    # 12 MB, which are kept together with what is made of them.
    content = (tmp_path / "a.fits").read_bytes() + extension * 4500
    (tmp_path / "a.fits.gz").write_bytes(gzip.compress(content, 1))
    with pytest.raises(FrameError, match=r"a\.fits\.gz.*its headers announce \d+ bytes"):
        CCDFrame.read(tmp_path / "a.fits.gz", unit="adu")


def test_the_first_image_is_not_looked_for_without_end(tmp_path, monkeypatch):
    looked_at = []
    original = whole.announced_size
    monkeypatch.setattr(whole, "announced_size", lambda header: looked_at.append(header) or original(header))
    extension = fits.ImageHDU().header.tostring().encode()
    path = tmp_path / "a.fits.gz"
    path.write_bytes(gzip.compress(fits.PrimaryHDU().header.tostring().encode() + extension * 1000, 1))
    header_reader.header_at_beginning(path)
    assert len(looked_at) == header_reader.MANY_HEADERS
