"""Files tell how they were made, in words and as a tree."""

from __future__ import annotations

import re
from importlib.metadata import version

import asdf
import pytest
from astropy.io import fits
from astropy.time import Time
from ccdproc import ImageFileCollection

from astro_calib import CCDFrame, reduce_night, simulate
from astro_calib.masters.provenance import record
from tests import processes
from tests.io.frames import Night


@pytest.fixture(scope="module")
def reduced(tmp_path_factory):
    directory = tmp_path_factory.mktemp("night")
    camera = simulate.camera((96, 128), seed=1, filters=["V"])
    simulate.night(directory / "raw", seed=1, camera=camera, science=2)
    summary = reduce_night(directory / "raw", directory / "reduced", progress=False)
    return directory / "reduced", summary


def test_header_of_a_reduced_frame_tells_its_masters_with_identity_and_checksum(reduced):
    directory, summary = reduced
    header = fits.getheader(summary.frames[0].path)
    history = "".join(header["HISTORY"])
    for kind, name in (("BIAS", "master-bias"), ("DARK", "master-dark-120s"), ("FLAT", "master-flat-V")):
        identity = fits.getheader(directory / "masters" / f"{name}.fits")["CALID"]
        assert header[f"{kind}FILE"] == f"{name}.fits"
        assert header[f"{kind}ID"] == identity
        assert identity in history
    assert f"astro-calib {version('astro-calib')}: calibrate" in history
    assert "checksum " in history
    assert "checksum unknown" not in history
    assert f"astropy {version('astropy')}" in history
    assert header["CALVERS"] == f"astro-calib {version('astro-calib')}"
    # As the FITS standard wants it.
    written = Time(header["CALDATE"], format="fits", scale="utc")
    assert abs((Time.now() - written).sec) < 600
    # Nothing is broken in the middle by the length of a card.
    assert len(re.findall(r"^    frame:\w+, checksum \w+:96x128$", "\n".join(header["HISTORY"]), re.MULTILINE)) == 3
    assert "  read_noise = 8 electron" in list(header["HISTORY"])


def test_tree_of_a_reduced_frame_tells_the_same(reduced):
    _, summary = reduced
    header, (step,) = fits.getheader(summary.frames[0].path), CCDFrame.read(summary.frames[0].path).provenance
    assert step["step"] == "calibrate"
    assert [entry["kind"] for entry in step["masters"]] == ["bias", "dark", "flat"]
    assert [entry["file"] for entry in step["masters"]] == [header[f"{kind}FILE"] for kind in ("BIAS", "DARK", "FLAT")]
    assert all(entry["checksum"].endswith(f":{header['NAXIS2']}x{header['NAXIS1']}") for entry in step["masters"])
    assert {"gain", "read_noise", "trim"} <= step["parameters"].keys()
    assert step["versions"]["astro-calib"] == version("astro-calib")


def test_masters_tell_what_they_were_made_of(reduced):
    directory, summary = reduced
    for master in summary.masters:
        header = fits.getheader(master.path)
        assert header["NCOMBINE"] == master.number
        calibrated, combined = CCDFrame.read(master.path).provenance
        assert (calibrated["step"], combined["step"]) == ("calibrate", "combine")
        assert len(combined["parameters"]["frames"]) == master.number
        assert all((directory.parent / "raw" / name).exists() for name in combined["parameters"]["frames"])
        assert combined["parameters"]["method"] == "mean"
    assert fits.getheader(directory / "masters" / "master-flat-V.fits")["BIASFILE"] == "master-bias.fits"


def test_frames_that_used_a_master_are_found_by_their_headers(reduced):
    directory, summary = reduced
    identity = fits.getheader(directory / "masters" / "master-flat-V.fits")["CALID"]
    found = ImageFileCollection(directory / "calibrated").files_filtered(FLATID=identity)
    assert sorted(found) == sorted(frame.path.name for frame in summary.frames)


def test_reduced_frames_share_the_noise_of_their_masters_after_reading(reduced):
    _, summary = reduced
    one, other = (CCDFrame.read(frame.path) for frame in summary.frames)
    assert {"bias", "dark", "flat"} <= set(one.budget.names)
    assert one.budget.covariance(other.budget).min() > 0
    # Where nothing is in memory, the masters' files and those of their own masters are looked up.
    code = (
        "import sys, warnings; warnings.simplefilter('error'); from astro_calib import CCDFrame, covariance;"
        "print(covariance(*map(CCDFrame.read, sys.argv[1:])).sum())"
    )
    done = processes.run(code, *(frame.path for frame in summary.frames))
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) == pytest.approx(float(one.budget.covariance(other.budget).sum()), rel=1e-5)


@pytest.mark.parametrize("ending", ["fits", "asdf"])
def test_history_is_told_once_however_often_a_frame_is_written(tmp_path, ending):
    night = Night()
    night.write_masters(tmp_path, ending)
    frame = night.science()
    record(frame, "calibrate", masters={"flat": night.flat, "dark": None}, parameters={"trim": "[1:30, 1:24]"})
    for name in ("one", "two"):
        frame.write(tmp_path / f"{name}.{ending}")
    again = CCDFrame.read(tmp_path / f"two.{ending}")
    again.write(tmp_path / f"three.{ending}")
    first, third = (CCDFrame.read(tmp_path / f"{name}.{ending}") for name in ("one", "three"))
    assert list(third.meta["HISTORY"]) == list(first.meta["HISTORY"])
    assert "  trim = [1:30, 1:24]" in list(first.meta["HISTORY"])
    assert third.provenance == first.provenance
    assert "HISTORY" not in frame.meta
    assert first.meta["FLATFILE"] == f"flat.{ending}"


def test_tree_in_asdf_is_plain(tmp_path):
    frame = Night().bias
    record(frame, "combine", parameters={"method": "mean"})
    frame.write(tmp_path / "bias.asdf")
    text = (tmp_path / "bias.asdf").read_bytes().partition(b"\n...")[0].decode()
    assert "step: combine" in text
    assert "parameters: {method: mean}" in text
    with asdf.open(tmp_path / "bias.asdf") as file:
        assert file["frame"].provenance[-1]["parameters"] == {"method": "mean"}
