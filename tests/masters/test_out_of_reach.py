"""A frame is read, with a warning, wherever its masters cannot be: removed, forbidden, damaged, or something else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from astro_calib import CCDFrame
from astro_calib.errors import NoiseWarning
from astro_calib.io.find import Finder
from tests import processes
from tests.io.frames import Night


def removed(masters):
    shutil.rmtree(masters)


def folder_is_a_file(masters):
    shutil.rmtree(masters)
    masters.write_text("no folder")


def folder_is_a_loop(masters):
    shutil.rmtree(masters)
    masters.symlink_to(masters.name)


def file_is_a_loop(masters):
    for path in list(masters.iterdir()):
        path.unlink()
        path.symlink_to(path.name)


def file_is_a_folder(masters):
    for path in list(masters.iterdir()):
        path.unlink()
        path.mkdir()


def file_is_a_text(masters):
    for path in masters.iterdir():
        path.write_text("SIMPLE, but not FITS")


def file_is_empty(masters):
    for path in masters.iterdir():
        path.write_bytes(b"")


def file_is_cut_off(masters):
    for path in masters.iterdir():
        path.write_bytes(path.read_bytes()[:-4000])


def file_is_of_another(masters):
    for path in masters.iterdir():
        fits.writeto(path, np.ones((24, 30)), fits.Header([("BUNIT", "electron")]), overwrite=True)


def budget_is_damaged(masters):
    for path in masters.iterdir():
        path.write_bytes(path.read_bytes().replace(b'"terms"', b'"terns"').replace(b"terms:", b"terns:"))


def folder_is_forbidden(masters):
    masters.chmod(0)


def folder_may_not_be_listed(masters):
    # Its files may be read by whoever knows their names: these are others.
    for path in list(masters.iterdir()):
        path.rename(path.with_stem(f"other{path.stem}"))
    masters.chmod(0o311)


def file_is_forbidden(masters):
    for path in masters.iterdir():
        path.chmod(0)


WHATEVER = [
    *(removed, folder_is_a_file, folder_is_a_loop, file_is_a_loop, file_is_a_folder, file_is_a_text, file_is_empty),
    *(file_is_cut_off, file_is_of_another, budget_is_damaged),
]
FORBIDDEN = [folder_is_forbidden, folder_may_not_be_listed, file_is_forbidden]


def written(directory, ending):
    """A frame in one folder, its masters in another."""
    night = Night()
    for name in ("masters", "science"):
        (directory / name).mkdir()
    night.write_masters(directory / "masters", ending)
    frame = night.science()
    path = directory / "science" / f"frame.{ending}"
    frame.write(path)
    return path, frame.data.copy(), frame.variance.copy()


@pytest.fixture(scope="module", params=["fits", "asdf"])
def whole(request, tmp_path_factory):
    directory = tmp_path_factory.mktemp("whole")
    return directory, *written(directory, request.param)


@pytest.mark.parametrize("happens", WHATEVER)
def test_frame_is_read_alone_whatever_became_of_its_masters(whole, tmp_path, happens):
    directory, path, data, variance = whole
    shutil.copytree(directory, tmp_path / "copy")
    happens(tmp_path / "copy" / "masters")
    with pytest.warns(NoiseWarning, match=r"frame\..*: the masters? .* (was|were) not found") as caught:
        frame = CCDFrame.read(tmp_path / "copy" / "science" / path.name)
    assert len(caught) == 1
    np.testing.assert_array_equal(frame.data, data)
    np.testing.assert_array_equal(frame.variance, variance)
    # Of the sources that are not known, as a whole.
    np.testing.assert_allclose(sum(frame.budget.variances().values()), variance, rtol=1e-4)


SCRIPT = """
import os, sys, warnings
from astro_calib import CCDFrame
with warnings.catch_warnings():
    # What is imported for that may lie where others may not look.
    warnings.simplefilter("ignore")
    CCDFrame.read(sys.argv[1])
if os.getuid() == 0:
    os.setuid(65534)
for path in sys.argv[2:]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        frame = CCDFrame.read(path)
    print(*(f"{one.category.__name__}: {one.message}" for one in caught))
    print(float(frame.pixels.sum()), float(frame.variance.sum()))
    del frame
"""


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="another system has other permissions")
def test_frame_is_read_alone_where_its_masters_are_forbidden(whole, tmp_path):
    directory, path, data, variance = whole
    for happens in FORBIDDEN:
        shutil.copytree(directory, tmp_path / happens.__name__)
    # pytest's folders are closed to others.
    opened = [one for one in tmp_path.parents if one.stat().st_uid == os.getuid()]
    before = [one.stat().st_mode for one in opened]
    try:
        for one in [*opened, tmp_path, *tmp_path.rglob("*")]:
            one.chmod(one.stat().st_mode | 0o055)
        for happens in FORBIDDEN:
            happens(tmp_path / happens.__name__ / "masters")
        frames = [tmp_path / happens.__name__ / "science" / path.name for happens in FORBIDDEN]
        shutil.copytree(path.parent, tmp_path / "alone")
        done = processes.run(SCRIPT, tmp_path / "alone" / path.name, *frames)
    finally:
        for happens in FORBIDDEN:
            (tmp_path / happens.__name__ / "masters").chmod(0o755)
        for one, mode in zip(opened, before, strict=True):
            one.chmod(mode)
    lines = done.stdout.splitlines()
    assert len(lines) == 2 * len(FORBIDDEN), done.stderr
    for said, sums in zip(lines[::2], lines[1::2], strict=True):
        assert said.startswith(f"NoiseWarning: {path.name}: the master flat")
        assert sums == f"{float(data.sum())} {float(variance.sum())}"


@pytest.mark.parametrize("file", ["x" * 300 + ".fits", "../" + "x" * 5000 + "/flat.fits", "nul\0.fits", "", "..", "/"])
def test_name_that_no_file_has_is_not_found(tmp_path, file):
    find = Finder(tmp_path / "frame.fits")
    assert find({"identity": "frame:00", "name": "flat", "file": file}) is None


def test_one_folder_that_may_not_be_looked_at_hides_no_other(whole, monkeypatch):
    directory, path, *_ = whole
    listed = Path.iterdir

    def iterdir(self):
        if self == path.parent:
            raise PermissionError(13, "Permission denied", str(self))
        return listed(self)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    # By its name, which needs no list.
    assert set(CCDFrame.read(path).budget.names) >= {"dark", "flat"}
    assert set(CCDFrame.read(path, masters=directory / "masters").budget.names) >= {"dark", "flat"}
