"""A folder that holds several setups of cameras: each is reduced to what its frames give alone, pixel for pixel."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from astropy.io import fits

from astro_calib.night import reduce_night
from tests.night.synthetic import Camera

LEAN = {"stars": False, "pictures": False, "progress": False}

#: Two cameras, two binnings, two temperatures.
PARTS = {
    "one": (Camera(seed=1, INSTRUME="Camera One", XBINNING=1, YBINNING=1), -20.0),
    "binned": (Camera((20, 24), seed=2, INSTRUME="Camera One", XBINNING=2, YBINNING=2), -20.0),
    "warm": (Camera(seed=3, INSTRUME="Camera One", XBINNING=1, YBINNING=1), -10.0),
    "two": (Camera(seed=4, INSTRUME="Camera Two", XBINNING=1, YBINNING=1, EGAIN=0.8), -20.0),
}


def pixels(out, part="calibrated"):
    return {
        path.name: (fits.getdata(path), fits.getdata(path, "UNCERT")) for path in sorted((out / part).glob("*.fits"))
    }


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Each part in a folder of its own, with three filters, and what it gives alone."""
    directory = tmp_path_factory.mktemp("parts")
    alone = {}
    for name, (camera, temperature) in PARTS.items():
        camera.night(directory / "raw" / name, "BVR", flats=2, biases=3, darks=2, temperature=temperature, prefix=name)
        alone |= pixels(reduce_night(directory / "raw" / name, directory / name, detector="header", **LEAN).out)
    return directory / "raw", alone


@pytest.mark.parametrize("where", ["subfolders", pytest.param("one folder", marks=pytest.mark.long)])
def test_two_cameras_three_filters_two_binnings_and_two_temperatures(parts, tmp_path, where):
    raw, alone = parts
    if where == "one folder":
        (tmp_path / "raw").mkdir()
        for path in raw.rglob("*.fits"):
            shutil.copy(path, tmp_path / "raw")
        raw = tmp_path / "raw"
    summary = reduce_night(raw, tmp_path / "out", detector="header", **LEAN)
    assert summary.unused == summary.failures == ()
    assert len(summary.plan.setups) == len(PARTS)
    together = pixels(tmp_path / "out")
    assert together.keys() == alone.keys()
    assert len(together) == 12
    for name, arrays in alone.items():
        for found, expected in zip(together[name], arrays, strict=True):
            np.testing.assert_array_equal(found, expected, err_msg=name)


def test_masters_of_several_setups_have_names_of_their_own(parts, tmp_path):
    summary = reduce_night(parts[0], tmp_path / "out", detector="header", **LEAN)
    names = [master.path.name for master in summary.masters]
    # A bias, a dark and three flats of each.
    assert len(set(names)) == len(names) == 20
    assert {master.setup for master in summary.masters} == {setup.name for setup in summary.plan.setups}
    assert all(master.setup in master.path.name for master in summary.masters)


def test_a_setup_that_lacks_something_does_not_stop_the_others(parts, tmp_path):
    raw = tmp_path / "raw"
    shutil.copytree(parts[0], raw)
    for path in (raw / "warm").glob("*"):
        if "bias" in path.name or "dark" in path.name:
            path.unlink()
    summary = reduce_night(raw, tmp_path / "out", detector="header", **LEAN)
    lost = [file for file in summary.unused if file.lost]
    assert {file.path.name for file in lost} == {f"warmlight{name}0.fits" for name in "BVR"}
    assert all("temperature is -10 C, not -20 C" in file.reason for file in lost)
    assert len(pixels(tmp_path / "out")) == 9
