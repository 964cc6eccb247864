"""A night from raw files to results: against the truth of a simulated night, and on a real one."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData, VarianceUncertainty
from astropy.table import QTable
from matplotlib.image import imread

from astro_calib import DataQuality, simulate
from astro_calib.errors import FrameError
from astro_calib.io.fits import write as fits_writer
from astro_calib.night import reduce_night
from astro_calib.night.tasks import make
from tests.quickly import without_pictures_and_empty_apertures

SHAPE = (160, 192)


def digests(directory):
    return {path: hashlib.blake2b(path.read_bytes()).digest() for path in directory.rglob("*.fits")}


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """A simulated night: 8 biases, 4 darks, 3 flats and 1 science frame in each of two filters."""
    directory = tmp_path_factory.mktemp("night") / "raw"
    return simulate.night(directory, seed=5, shape=SHAPE, biases=8, darks=4, flats=3, science=1, stars=25)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A night of as few and small frames as can be, for tests of what is done with files."""
    directory = tmp_path_factory.mktemp("small") / "raw"
    return simulate.night(directory, seed=6, shape=(64, 80), biases=2, darks=2, flats=2, science=1, stars=5)


@pytest.fixture(scope="module")
def reduced(night, tmp_path_factory):
    """Its reduction, and the checksums of the raw files before it."""
    before = digests(night.directory)
    out = tmp_path_factory.mktemp("reduced") / "out"
    return reduce_night(night.directory, out, progress=False), before


def test_masters_and_frames_are_made(reduced):
    summary, _ = reduced
    assert [(master.path.name, master.number) for master in summary.masters] == [
        ("master-bias.fits", 8),
        ("master-dark-120s.fits", 4),
        ("master-flat-R.fits", 3),
        ("master-flat-V.fits", 3),
    ]
    assert [frame.path.name for frame in summary.frames] == ["science-001-V.fits", "science-002-R.fits"]
    assert summary.failures == ()
    assert summary.unused == ()


def test_every_file_is_there_and_nothing_else(reduced):
    summary, _ = reduced
    found = sorted(str(path.relative_to(summary.out)) for path in summary.out.rglob("*") if path.is_file())
    expected = ["journal.jsonl", "summary.txt", "summary.json", "report.html"]
    for master in summary.masters:
        stem = master.path.stem
        expected += [f"masters/{stem}.fits", f"pictures/{stem}-master.png"]
    for frame in summary.frames:
        stem = frame.path.stem
        expected += [f"calibrated/{stem}.fits", f"tables/{stem}.ecsv"]
        expected += [f"pictures/{stem}-{kind}.png" for kind in ("frames", "histogram", "snr")]
    assert found == sorted(expected)


def test_raw_files_are_left_as_they_were(night, reduced):
    assert digests(night.directory) == reduced[1]


def test_calibrated_frames_are_the_truth_within_their_error_bars(night, reduced):
    summary, _ = reduced
    for frame in summary.frames:
        truth = next(truth for path, truth in night.truths.items() if path.name == frame.path.name)
        image = CCDData.read(frame.path)
        assert image.unit == u.electron
        assert image.shape == SHAPE
        assert image.data.dtype.newbyteorder("=") == np.float32
        assert isinstance(image.uncertainty, VarianceUncertainty)
        expected = (truth.sky_rate + truth.star_rate) * truth.exposure_time
        good = ~image.mask & ~truth.cosmic_ray_mask & ~truth.saturated
        assert good.mean() > 0.95
        residual = (image.data - expected)[good]
        sigma = np.sqrt(image.uncertainty.array[good])
        # 30000 pixels: the standard error of the robust scatter is 0.7%, flat and bias are common to both filters.
        pull = residual / sigma
        assert 1.4826 * np.median(np.abs(pull - np.median(pull))) == pytest.approx(1.0, abs=0.03)
        # The sky of 1000 electrons and more is right to the normalisation of the flat over its good pixels.
        assert abs(np.median(residual)) < 0.005 * np.median(expected)


def test_sky_noise_of_the_summary_is_right(reduced):
    for frame in reduced[0].frames:
        # 30 blocks of 1024 pixels.
        assert frame.sky.ratio == pytest.approx(1.0, abs=0.03)


def test_calibration_lets_more_of_the_stars_light_count(reduced):
    for frame in reduced[0].frames:
        assert frame.stars >= 5
        table = QTable.read(frame.table)
        assert len(table) == frame.stars
        assert np.isfinite(frame.snr_after)
        assert frame.snr_after > 3


def test_pictures_are_pictures(reduced):
    for path in (reduced[0].out / "pictures").iterdir():
        pixels = imread(path)
        assert min(pixels.shape[:2]) > 300
        assert np.ptp(pixels[..., :3]) > 0.5


def test_without_pictures_all_else_is_the_same(reduced, night, tmp_path):
    whole = reduced[0]
    summary = reduce_night(night.directory, tmp_path / "out", pictures=False, progress=False)
    assert not list((tmp_path / "out").rglob("*.png"))
    assert "\n  pictures " not in str(summary)
    assert "\n  pictures " in str(whole)
    assert [frame.snr_after for frame in summary.frames] == [frame.snr_after for frame in whole.frames]
    for one, other in zip(summary.frames, whole.frames, strict=True):
        np.testing.assert_array_equal(fits.getdata(one.path), fits.getdata(other.path))


def test_without_stars_the_calibrated_frames_are_the_same(reduced, night, tmp_path):
    whole = reduced[0]
    summary = reduce_night(night.directory, tmp_path / "out", stars=False, progress=False)
    assert not list((tmp_path / "out" / "tables").iterdir())
    assert {path.name.rsplit("-", 1)[1] for path in (tmp_path / "out" / "pictures").iterdir()} == {
        "master.png",
        "frames.png",
    }
    text = str(summary)
    assert "SNR" in str(whole)
    assert not any(word in text for word in ("SNR", "star tables", "noise over predicted", " nan"))
    for one, other in zip(summary.frames, whole.frames, strict=True):
        assert one.table is None
        assert (one.saturated, one.bad) == (other.saturated, other.bad)
        np.testing.assert_array_equal(fits.getdata(one.path), fits.getdata(other.path))


def test_summary_file_is_what_is_printed(reduced):
    summary, _ = reduced
    text = (summary.out / "summary.txt").read_text(encoding="utf-8")
    assert text == f"{summary}\n"
    for name in (
        "master-flat-V.fits",
        "science-002-R.fits",
        "ratio",
        "SNR before / after",
        "4 masters and 2 science frames",
    ):
        assert name in text
    for frame in summary.frames:
        assert f"{frame.sky.ratio:.3f}" in text


def test_saturated_pixels_are_those_of_the_frame(night, reduced):
    for frame in reduced[0].frames:
        truth = next(truth for path, truth in night.truths.items() if path.name == frame.path.name)
        assert frame.saturated == np.count_nonzero(truth.saturated)
        flags = fits.getdata(frame.path, "FLAGS")
        assert ((flags[truth.saturated] & DataQuality.SATURATED) != 0).all()


@pytest.mark.usefixtures("quick")
def test_one_failure_does_not_stop_the_others_and_leaves_nothing_half_written(small, tmp_path, monkeypatch):
    original = make.reduce_science

    def fail_for_one(frame, *arguments, **options):
        if frame.name == "science-001-V":
            msg = "science-001-V.fits: the dog ate it"
            raise FrameError(msg)
        return original(frame, *arguments, **options)

    monkeypatch.setattr(make, "reduce_science", fail_for_one)
    summary = reduce_night(small.directory, tmp_path / "out", progress=False)
    assert [frame.path.name for frame in summary.frames] == ["science-002-R.fits"]
    (failure,) = summary.failures
    assert "the dog ate it" in str(failure)
    assert "FAILED" in str(summary)
    assert not list((tmp_path / "out").rglob("science-001-V*"))


@pytest.mark.usefixtures("quick")
def test_a_frame_that_cannot_be_written_does_not_stop_the_next_and_leaves_nothing_beside_it(
    small, tmp_path, monkeypatch
):
    original = fits_writer.write_hdus

    def fail_for_one(hdus, path):
        if path.name.endswith("science-001-V.fits"):
            path.write_bytes(b"SIMPLE")
            raise OSError(28, "No space left on device")
        original(hdus, path)

    monkeypatch.setattr(fits_writer, "write_hdus", fail_for_one)
    summary = reduce_night(small.directory, tmp_path / "out", progress=False)
    assert [frame.path.name for frame in summary.frames] == ["science-002-R.fits"]
    assert [failure.path.name for failure in summary.failures] == ["science-001-V.fits"]
    assert "No space left" in str(summary.failures[0])
    assert not list((tmp_path / "out").rglob("*science-001-V*"))


@pytest.mark.long
@pytest.mark.usefixtures("quick")
def test_old_results_of_a_frame_that_cannot_be_written_are_left_over(night, reduced, tmp_path, monkeypatch):
    out = tmp_path / "out"
    shutil.copytree(reduced[0].out, out)
    original = fits_writer.write_hdus

    def fail_for_one(hdus, path):
        if path.name.endswith("science-001-V.fits"):
            raise OSError(28, "No space left on device")
        original(hdus, path)

    monkeypatch.setattr(fits_writer, "write_hdus", fail_for_one)
    summary = reduce_night(night.directory, out, overwrite=True, progress=False)
    (remark,) = [remark for remark in summary.remarks if "left over from an earlier reduction" in remark]
    left = sorted(path.relative_to(out) for path in out.rglob("science-001-V*"))
    assert len(left) == 5
    assert remark == f"left over from an earlier reduction: {', '.join(map(str, left))}"


def test_a_full_disk_leaves_no_half_written_file(small, tmp_path, monkeypatch):
    def fail(path, data):
        with path.open("wb") as file:
            file.write(data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(OSError, match="No space left"):
        reduce_night(small.directory, tmp_path / "out", progress=False)
    assert not [path for path in (tmp_path / "out").rglob("*") if path.suffix == ".png" or path.name[0] == "."]
    assert not (tmp_path / "out" / "summary.txt").exists()


@pytest.mark.usefixtures("quick")
def test_results_are_replaced_only_if_asked_for(night, reduced, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(reduced[0].out, out)
    before = digests(out)
    with pytest.raises(FileExistsError, match="holds results already"):
        reduce_night(night.directory, out, progress=False)
    assert digests(out) == before
    (out / "calibrated" / "older.fits").write_bytes(b"")
    summary = reduce_night(night.directory, out, overwrite=True, progress=False)
    assert "left over from an earlier reduction: calibrated/older.fits" in summary.remarks


def test_bad_input_writes_nothing(night, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for path in night.paths("science"):
        data, header = fits.getdata(path, header=True)
        # With an overscan they could be reduced.
        del header["BIASSEC"]
        fits.writeto(raw / path.name, data, header)
    with pytest.raises(FrameError, match="only science frames"):
        reduce_night(raw, tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_results_do_not_go_into_the_raw_directory(night):
    before = sorted(night.directory.iterdir())
    with pytest.raises(FileExistsError, match="lies where the results would be written"):
        reduce_night(night.directory, night.directory, overwrite=True, progress=False)
    assert sorted(night.directory.iterdir()) == before


@pytest.mark.usefixtures("quick")
def test_without_overscan_darks_and_flats(night, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    columns = SHAPE[1]
    for path in night.paths("bias") + night.paths("science", filter="V"):
        data, header = fits.getdata(path, header=True)
        for keyword in ("BIASSEC", "DATASEC", "TRIMSEC"):
            del header[keyword]
        fits.writeto(raw / path.name, data[:, :columns], header)
    summary = reduce_night(raw, tmp_path / "out", progress=False)
    (frame,) = summary.frames
    assert any("no flat for filter V: reduced without one" in remark for remark in summary.remarks)
    assert any("no darks" in remark for remark in summary.remarks)
    truth = night.truths[night.paths("science", filter="V")[0]]
    # The level of the bias drifts by 2 adu, 3 electrons, from frame to frame.
    assert np.median(fits.getdata(frame.path) - truth.electrons) == pytest.approx(0, abs=10)


@pytest.mark.usefixtures("quick")
def test_a_flat_without_light_is_named_and_not_used(night, tmp_path):
    raw = tmp_path / "raw"
    shutil.copytree(night.directory, raw)
    bias = fits.getdata(night.paths("bias")[0])
    header = fits.getheader(night.paths("flat", filter="V")[0])
    # Below the level of the bias, as a camera gives it whose shutter did not open.
    dark = bias.copy()
    dark[:, : SHAPE[1]] -= 20
    fits.writeto(raw / "flat-closed.fits", dark, header)
    saturated = bias.copy()
    saturated[:, : SHAPE[1]] = 65535
    fits.writeto(raw / "flat-full.fits", saturated, header)
    summary = reduce_night(raw, tmp_path / "out", progress=False)
    reasons = {file.path.name: file.reason for file in summary.unused}
    assert "there is no light in it" in reasons["flat-closed.fits"]
    assert "only 0% of the pixels of this flat can be used" in reasons["flat-full.fits"]
    flat = next(master for master in summary.masters if master.path.name == "master-flat-V.fits")
    assert flat.number == 3


@pytest.mark.usefixtures("quick")
def test_a_calibration_frame_that_cannot_be_used_does_not_stop_the_night(night, tmp_path):
    raw = tmp_path / "raw"
    shutil.copytree(night.directory, raw)
    full = np.full_like(fits.getdata(night.paths("bias")[0]), 65535)
    for number, path in enumerate([night.paths("bias")[0], *night.paths("flat", filter="V")]):
        full[0, 0] -= 1  # Or they would be copies of each other.
        fits.writeto(raw / path.name, full, fits.getheader(path), overwrite=True)
        assert number < 4
    summary = reduce_night(raw, tmp_path / "out", progress=False)
    bias = next(master for master in summary.masters if master.path.name == "master-bias.fits")
    assert bias.number == 7
    assert sorted(file.kind for file in summary.unused) == ["bias", "flat", "flat", "flat"]
    assert "no flat for filter V can be used: reduced without one: science-001-V.fits" in summary.remarks
    assert len(summary.frames) == 2


@pytest.mark.usefixtures("quick")
def test_dark_of_another_exposure_is_scaled_and_bias_by_overscan_alone(night, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for path in night.paths("dark") + night.paths("flat", filter="R") + night.paths("science", filter="R"):
        shutil.copy(path, raw)
    summary = reduce_night(raw, tmp_path / "out", progress=False)
    assert "there are no biases: their pattern stays in the frames" in summary.remarks
    assert [master.path.name for master in summary.masters] == ["master-dark-120s.fits", "master-flat-R.fits"]
    assert len(summary.frames) == 1


@pytest.mark.usefixtures("quick")
def test_without_science_frames_masters_are_made(night, tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    for path in night.paths("bias") + night.paths("dark"):
        shutil.copy(path, raw)
    summary = reduce_night(raw, tmp_path / "out", progress=False)
    assert "there are no science frames: only masters are made" in summary.remarks
    assert (summary.frames, len(summary.masters)) == ((), 2)
    # Bias of 8 frames: read noise 8 e and digitisation of 1.5 e, with what the rejection of 3 sigma costs (1.04).
    bias = CCDData.read(summary.masters[0].path)
    expected = np.sqrt(1.04 * (8**2 + 1.5**2 / 12) / 8)
    assert summary.masters[0].sigma == pytest.approx(expected, rel=0.01)
    assert bias.meta["NCOMBINE"] == 8


@pytest.mark.usefixtures("quick")
def test_a_saturated_exposure_is_a_failure_and_no_more(small, tmp_path):
    raw = tmp_path / "raw"
    shutil.copytree(small.directory, raw)
    data, header = fits.getdata(small.paths("science")[0], header=True)
    fits.writeto(raw / "full.fits", np.full_like(data, 65535), header)
    summary = reduce_night(raw, tmp_path / "out", progress=False)
    (failure,) = summary.failures
    assert failure.path.name == "full.fits"
    assert len(summary.frames) == 2
    assert not list((tmp_path / "out").rglob("full*"))


@pytest.mark.long
def test_names_that_are_no_text(small, tmp_path):
    raw = tmp_path / "raw"
    shutil.copytree(small.directory, raw)
    odd = raw / os.fsdecode(b"m13-\xe9.fits")
    (raw / "science-001-V.fits").rename(odd)
    for path in raw.glob("flat-*-V.fits"):
        path.unlink()
    summary = reduce_night(raw, tmp_path / "out", progress=False)
    assert summary.failures == ()
    assert {frame.path.name for frame in summary.frames} == {"m13-_.fits", "science-002-R.fits"}
    assert "m13-?.fits" in (tmp_path / "out" / "summary.txt").read_text(encoding="utf-8")


@pytest.mark.usefixtures("quick")
def test_a_frame_whose_picture_fails_leaves_nothing_behind(small, tmp_path, monkeypatch):
    from astro_calib.night import science

    def fail(*_):
        msg = "cannot be drawn"
        raise ValueError(msg)

    monkeypatch.setattr(science, "before_after_picture", fail)
    summary = reduce_night(small.directory, tmp_path / "out", progress=False)
    assert [failure.reason for failure in summary.failures] == ["cannot be drawn"] * 2
    assert not list((tmp_path / "out").rglob("science*"))


@pytest.mark.usefixtures("quick")
def test_names_from_headers_stay_in_the_directory(small, tmp_path):
    raw = tmp_path / "raw"
    shutil.copytree(small.directory, raw)
    for path in raw.glob("*-V.fits"):
        fits.setval(path, "FILTER", value="../../V 'x'")
    (raw / "science-001-V.fits").rename(raw / "science 001;V.fits")
    summary = reduce_night(raw, tmp_path / "out" / "deep", progress=False)
    assert summary.failures == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "raw"]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["deep"]
    assert {path.name for path in (tmp_path / "out" / "deep" / "calibrated").iterdir()} == {
        "science-002-R.fits",
        "science_001_V.fits",
    }


@pytest.fixture(scope="module")
def nickel_summary(nickel, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        # Pictures and empty apertures are looked at above.
        without_pictures_and_empty_apertures(patch)
        out = tmp_path_factory.mktemp("nickel") / "out"
        return reduce_night(nickel, out, profile="nickel", progress=False)


@pytest.mark.long
def test_nickel_night_is_reduced(nickel_summary):
    masters = [(master.path.name, master.number) for master in nickel_summary.masters]
    assert masters == [("master-bias.fits", 10), ("master-flat-V.fits", 3)]
    assert len(nickel_summary.frames) == 6
    assert nickel_summary.failures == nickel_summary.unused == ()
    for frame in nickel_summary.frames:
        image = CCDData.read(frame.path)
        assert image.shape == (1024, 1024)
        assert image.unit == u.electron
        assert image.uncertainty.array.shape == image.mask.shape == (1024, 1024)
        flags = fits.getdata(frame.path, "FLAGS")
        assert ((flags[:, 256] & DataQuality.BAD) != 0).all()
        assert image.mask[:, 256].all()
        assert len(QTable.read(frame.table)) == frame.stars > 0


@pytest.mark.long
def test_nickel_saturated_pixels_are_flagged(nickel, nickel_summary):
    raw = fits.getdata(nickel / "d1048.fits.gz")[:, :1024]
    frame = next(frame for frame in nickel_summary.frames if frame.path.name == "d1048.fits")
    flags = fits.getdata(frame.path, "FLAGS")
    # The dark column 256, and others, are saturated all along.
    assert frame.saturated == np.count_nonzero((raw >= 65000) & ((flags & DataQuality.BAD) == 0))
    assert ((flags[raw >= 65000] & DataQuality.SATURATED) != 0).all()


@pytest.mark.long
def test_nickel_gain_and_read_noise_are_measured(nickel_summary):
    gain, noise = nickel_summary.plan.numbers
    assert gain.source == noise.source == "measured"
    # From pairs of flats: 1.78 +- 0.03 electron/adu. GAIN in the headers is 1.
    assert abs(gain.value - 1.78) < 0.05
    # From differences of biases with astropy's sigma-clipped standard deviation: 5.2 adu.
    assert 9.0 < noise.value < 10.5
    # The science frames were read out with more, as their own overscan tells: without it the ratios are up to 1.08.
    ratios = {frame.path.stem: frame.sky.ratio for frame in nickel_summary.frames if "NGC_6205" not in frame.object}
    assert all(0.97 < ratio < 1.04 for ratio in ratios.values()), ratios
    for master in nickel_summary.masters:
        assert 0.97 < master.noise_ratio < 1.03
        assert 0 < master.rejected < 0.01
    shares = nickel_summary.frames[0].shares
    assert sum(shares.values()) == pytest.approx(1, abs=0.01)
    assert 0.3 < shares["read noise"] < 0.6
    assert str(nickel_summary).splitlines()[0].startswith("19 raw frames")


@pytest.mark.long
def test_nickel_sky_noise_is_as_predicted(nickel_summary):
    ratios = {frame.path.stem: frame.sky.ratio for frame in nickel_summary.frames}
    # M 13 fills the frame.
    crowded = ratios.pop("d1059")
    assert crowded > 1.12
    assert all(0.95 < ratio < 1.12 for ratio in ratios.values()), ratios


def test_headers_say_nothing_that_holds_for_the_raw_frame_only(reduced, night):
    raw = fits.getheader(night.paths("science")[0])
    assert {"BIASSEC", "TRIMSEC", "GAIN", "SATURATE"} <= set(raw)
    for path in [frame.path for frame in reduced[0].frames] + [master.path for master in reduced[0].masters]:
        header = fits.getheader(path)
        assert header["BUNIT"] == "electron"
        assert header["GAIN"] == 1
        assert not {"BIASSEC", "TRIMSEC", "DATASEC", "SATURATE"} & set(header)
        # What the gain was is told.
        assert any("1.5" in line for line in header["HISTORY"])
