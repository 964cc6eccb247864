"""Nights that are reduced with masters of other nights: their own of before, and those of other programs."""

from __future__ import annotations

import shutil
import warnings
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.io import fits
from click.testing import CliRunner

from astro_calib import CCDFrame, reduce_night, simulate
from astro_calib.cli import main
from astro_calib.errors import FrameError
from astro_calib.night import plan_night

ASPEN = Path(__file__).parents[3] / "shared" / "data" / "aspen"
QUICK = {"progress": False, "pictures": False, "stars": False}
SETTINGS = {"INSTRUME": "ZWO ASI294MC Pro", "GAIN": 120, "EGAIN": 1.5, "SET-TEMP": -20.0, "XORGSUBF": 32}


@pytest.fixture(scope="module")
def nights(tmp_path_factory):
    """Two nights of a camera, of one of which there are calibrations only, and of the other science frames only."""
    directory = tmp_path_factory.mktemp("nights")
    camera = simulate.camera((48, 64), seed=1, filters=["V"])
    simulate.night(directory / "all", seed=1, camera=camera, science=2)
    for path in (directory / "all").glob("*.fits"):
        with fits.open(path, mode="update") as hdus:
            hdus[0].header.update(SETTINGS)
            if path.name.startswith("science"):
                hdus[0].header["DATE-OBS"] = "2024-05-23T03:00:00"
    for name, pattern in (("before", "[bdf]*.fits"), ("night", "science*.fits")):
        (directory / name).mkdir()
        for path in (directory / "all").glob(pattern):
            shutil.copy(path, directory / name)
    return directory


@pytest.fixture(scope="module")
def reduced(nights, tmp_path_factory):
    """The results of all in one night, of the calibrations, and of the science frames with the masters of these."""
    out = tmp_path_factory.mktemp("reduced")
    kept = {"detector": "header", **QUICK}
    whole = reduce_night(nights / "all", out / "whole", **kept)
    reduce_night(nights / "before", out / "before", **kept)
    summary = reduce_night(nights / "night", out / "night", masters=out / "before", **kept)
    return out, whole, summary


def test_the_same_frames_as_in_one_night(reduced):
    out, whole, summary = reduced
    assert len(summary.frames) == len(whole.frames) == 2
    for frame in whole.frames:
        one = CCDFrame.read(frame.path)
        other = CCDFrame.read(out / "night" / "calibrated" / frame.path.name)
        np.testing.assert_array_equal(other.data, one.data)
        np.testing.assert_allclose(other.variance, one.variance, rtol=1e-6)


def test_the_budgets_of_two_frames_share_the_borrowed_masters(reduced):
    out, whole, _ = reduced
    paths = [frame.path for frame in whole.frames]
    same_night = CCDFrame.read(paths[0]) - CCDFrame.read(paths[1])
    borrowed = [CCDFrame.read(out / "night" / "calibrated" / path.name) for path in paths]
    np.testing.assert_allclose((borrowed[0] - borrowed[1]).variance, same_night.variance, rtol=1e-6)


def test_results_need_the_library_no_more(nights, tmp_path, reduced):
    library = tmp_path / "library"
    shutil.copytree(reduced[0] / "before" / "masters", library)
    reduce_night(nights / "night", tmp_path / "out", masters=library, detector="header", **QUICK)
    shutil.rmtree(library)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        frame = CCDFrame.read(next((tmp_path / "out" / "calibrated").glob("*.fits")))
        assert {"bias", "dark", "flat"} <= set(frame.budget.names)
        assert np.isfinite(frame.variance).all()


def test_the_summary_says_what_was_borrowed_and_how_old_it_is(reduced):
    _, _, summary = reduced
    assert [master.number for master in summary.masters] == [10, 10, 5]
    for title in ("master bias", "master dark of 120 s", "master flat for filter V"):
        (remark,) = (remark for remark in summary.remarks if remark.startswith(f"the {title} is"))
        assert "10 days before the night" in remark
    assert not any("no biases" in remark or "no darks" in remark or "no flat" in remark for remark in summary.remarks)


def test_masters_keep_what_the_camera_was_set_to(reduced):
    # Headers of frames in electrons do not, and the window of one that was cut is left out of them.
    frame = CCDFrame.read(reduced[0] / "before" / "masters" / "master-bias.fits")
    noted = frame.provenance[-1]["parameters"]
    assert noted["kind"] == "bias"
    assert noted["setup"]["GAIN"] == 120
    assert noted["setup"]["XORGSUBF"] == 32
    assert noted["setup"]["temperature"] == -20


@pytest.mark.parametrize(
    ("cards", "said", "serving"),
    [
        # What is divided by has no gain.
        ({"GAIN": 0}, "gain setting (GAIN) is 120, not 0", ["flat"]),
        ({"SET-TEMP": -10.0}, "temperature is -20 C, not -10 C", []),
        ({"XORGSUBF": 0}, "window (XORGSUBF) is 32, not 0", []),
    ],
)
def test_masters_of_another_setup_are_refused(nights, reduced, tmp_path, cards, said, serving):
    shutil.copytree(nights / "night", tmp_path / "raw")
    for path in (tmp_path / "raw").glob("*.fits"):
        for card, value in cards.items():
            fits.setval(path, card, value=value)
    summary = reduce_night(tmp_path / "raw", tmp_path / "out", masters=reduced[0] / "before", **QUICK)
    assert [master.kind for master in summary.masters] == serving
    refused = [remark for remark in summary.remarks if remark.startswith("there is no master")]
    assert [said in remark for remark in refused] == [True] * (3 - len(serving))


@pytest.mark.parametrize(
    ("card", "said", "times"),
    # A bias and a flat hardly depend on the temperature.
    [("INSTRUME", "camera", 3), ("GAIN", "gain setting", 0), ("XORGSUBF", "window", 3), ("SET-TEMP", "temperature", 1)],
)
def test_what_science_frames_do_not_tell_of_their_setup_is_said(nights, reduced, tmp_path, card, said, times):
    shutil.copytree(nights / "night", tmp_path / "raw")
    for path in (tmp_path / "raw").glob("*.fits"):
        fits.delval(path, card)
    summary = reduce_night(tmp_path / "raw", tmp_path / "out", masters=reduced[0] / "before", **QUICK)
    assert len(summary.frames) == 2
    text = f"headers of science frames do not tell {said}, in which they are taken to be like the frames of the master"
    # A gain is still told by EGAIN.
    assert sum(text in remark for remark in summary.remarks) == times
    assert not any("headers of science frames" in remark for remark in reduced[2].remarks)


def test_a_dark_is_lent_only_within_the_tolerance_of_each_science_frame(nights, reduced, tmp_path):
    shutil.copytree(nights / "night", tmp_path / "raw")
    for path, temperature in zip(sorted((tmp_path / "raw").glob("*.fits")), (-20.0, -17.0), strict=True):
        fits.setval(path, "SET-TEMP", value=temperature)
    summary = reduce_night(tmp_path / "raw", tmp_path / "out", masters=reduced[0] / "before", **QUICK)
    lent = [remark for remark in summary.remarks if "the master dark of 120 s is" in remark]
    assert len(lent) == 1
    assert lent[0].startswith("-20 C: ")


def test_gain_and_read_noise_are_those_of_the_masters_where_nothing_tells_them(nights, reduced, tmp_path):
    shutil.copytree(nights / "night", tmp_path / "raw")
    for path in (tmp_path / "raw").glob("*.fits"):
        with fits.open(path, mode="update") as hdus:
            for card in ("EGAIN", "RDNOISE"):
                del hdus[0].header[card]
    summary = reduce_night(tmp_path / "raw", tmp_path / "out", masters=reduced[0] / "before", **QUICK)
    numbers = {number.role: (number.value, number.source) for number in summary.plan.numbers}
    assert numbers == {"gain": (1.5, "masters"), "read_noise": (8.0, "masters")}


def test_a_gain_that_was_measured_is_the_same_noise_in_both_nights(nights, tmp_path):
    for name in ("all", "before", "night"):
        shutil.copytree(nights / name, tmp_path / name)
        for path in (tmp_path / name).glob("*.fits"):
            with fits.open(path, mode="update") as hdus:
                for card in ("EGAIN", "RDNOISE"):
                    del hdus[0].header[card]
    before = reduce_night(tmp_path / "before", tmp_path / "one", **QUICK)
    summary = reduce_night(tmp_path / "night", tmp_path / "two", masters=tmp_path / "one", **QUICK)
    measured, borrowed = before.plan.numbers, summary.plan.numbers
    assert [number.source for number in (*measured, *borrowed)] == ["measured"] * 2 + ["masters"] * 2
    assert [(one.value, one.uncertainty) for one in borrowed[:1]] == [
        (one.value, one.uncertainty) for one in measured[:1]
    ]
    dark = CCDFrame.read(tmp_path / "two" / "masters" / "master-dark-120s.fits")
    image = CCDFrame.read(summary.frames[0].path)
    gains = [{source.identity for source, _ in frame.budget.terms if source.name == "gain"} for frame in (dark, image)]
    assert gains[0] == gains[1] != set()


def test_masters_in_electrons_of_another_gain_are_converted_and_that_is_said(nights, reduced, tmp_path):
    summary = reduce_night(
        nights / "night", tmp_path / "out", masters=reduced[0] / "before", gain=3.0 * u.electron / u.adu, **QUICK
    )
    frame = CCDFrame.read(summary.frames[0].path)
    one = CCDFrame.read(reduced[1].frames[0].path)
    # Twice the gain makes twice the electrons of all: science frame, bias and dark.
    np.testing.assert_allclose(frame.data, 2 * one.data, rtol=1e-5, atol=1e-3)
    assert any("was made with a gain of 1.5 electron/adu, and this night's is 3" in text for text in summary.remarks)


def test_a_plan_says_what_it_borrows(nights, reduced):
    plan = plan_night(nights / "night", masters=reduced[0] / "before", headers_only=True)
    (setup,) = plan.setups
    assert [one.title for one in setup.loan.masters] == [
        "master bias",
        "master dark of 120 s",
        "master flat for filter V",
    ]
    assert setup.problem == ""


def test_a_master_that_is_damaged_is_named(nights, reduced, tmp_path):
    library = tmp_path / "library"
    shutil.copytree(reduced[0] / "before" / "masters", library)
    path = library / "master-dark-120s.fits"
    path.write_bytes(path.read_bytes()[:-3000])
    summary = reduce_night(nights / "night", tmp_path / "out", masters=library, **QUICK)
    assert len(summary.frames) == 2
    (remark,) = (text for text in summary.remarks if path.name in text and text.startswith("there is no"))
    assert remark.startswith("there is no master dark in")
    assert "truncated" in remark


@pytest.fixture(scope="module")
def amateur(tmp_path_factory):
    """
    The night of an amateur's camera without overscan: lights and the darks for them, and the same without the darks.

    The true sky is 200 electrons, the bias is at 300 adu with a pattern, the dark current 30 electrons.
    """
    directory = tmp_path_factory.mktemp("amateur")
    rng = np.random.default_rng(3)
    pattern = 300 + rng.normal(0, 4, (60, 80))
    for name in ("all", "before", "night"):
        (directory / name).mkdir()
    for number in range(7):
        kind, light = ("DARK", 30.0) if number < 5 else ("LIGHT", 230.0)
        pixels = pattern + (rng.poisson(light, pattern.shape) + rng.normal(0, 8, pattern.shape)) / 1.5
        day = "2024-05-13" if kind == "DARK" else "2024-05-14"
        cards = [("IMAGETYP", kind), ("EXPTIME", 60.0), ("INSTRUME", "DSI"), ("DATE-OBS", f"{day}T02:00:00")]
        for place in ("all", "before" if kind == "DARK" else "night"):
            path = directory / place / f"{kind.lower()}{number}.fits"
            fits.writeto(path, pixels.round().astype(np.uint16), fits.Header(cards))
    return directory


def amateur_night(raw, out, **options):
    return reduce_night(raw, out, gain=1.5, read_noise=8.0, saturation=60000, **QUICK, **options)


def test_a_dark_of_ours_in_the_place_of_a_bias(amateur, tmp_path):
    whole = amateur_night(amateur / "all", tmp_path / "whole")
    summary = amateur_night(amateur / "night", tmp_path / "out", masters=tmp_path / "whole" / "masters")
    assert [frame.path.name for frame in summary.frames] == ["light5.fits", "light6.fits"]
    for frame, other in zip(whole.frames, summary.frames, strict=True):
        one, borrowed = CCDFrame.read(frame.path), CCDFrame.read(other.path)
        np.testing.assert_array_equal(borrowed.data, one.data)
        np.testing.assert_allclose(borrowed.variance, one.variance, rtol=1e-6)


def test_a_dark_of_another_program_in_the_place_of_a_bias(amateur, tmp_path):
    darks = [fits.getdata(path) for path in sorted((amateur / "before").glob("*.fits"))]
    header = fits.getheader(next((amateur / "before").glob("*.fits")))
    header["NCOMBINE"] = 5
    master = np.mean(darks, axis=0).astype(np.float32)
    fits.writeto(tmp_path / "MasterDark_60s.fit", master, header)
    summary = amateur_night(amateur / "night", tmp_path / "out", masters=tmp_path / "MasterDark_60s.fit")
    image = CCDFrame.read(summary.frames[0].path)
    light = fits.getdata(amateur / "night" / "light5.fits")
    np.testing.assert_allclose(image.data, 1.5 * (light - master), atol=1e-2)
    # The sky without bias and dark, and how its pixels scatter.
    assert abs(np.median(image.data) - 200) < 1
    truth = np.std(image.data)
    assert abs(np.sqrt(np.median(image.variance)) / truth - 1) < 0.06
    assert any("its noise is taken to be that of a mean of 5 frames" in remark for remark in summary.remarks)
    assert any("its level is taken for that of zero light" in remark for remark in summary.remarks)


def test_a_dark_of_another_exposure_cannot_take_the_place_of_a_bias(amateur, tmp_path):
    master = fits.getdata(amateur / "before" / "dark0.fits").astype(np.float32)
    cards = [("IMAGETYP", "Master Dark"), ("EXPTIME", 30.0), ("INSTRUME", "DSI")]
    fits.writeto(tmp_path / "dark.fits", master, fits.Header(cards))
    with pytest.raises(FrameError, match="neither biases nor an overscan"):
        amateur_night(amateur / "night", tmp_path / "out", masters=tmp_path / "dark.fits")


def test_each_setup_borrows_its_own(tmp_path):
    rng = np.random.default_rng(5)
    for place in ("raw", "library"):
        (tmp_path / place).mkdir()
    for binning, level, shape in ((1, 300.0, (40, 60)), (2, 500.0, (20, 30))):
        cards = [("XBINNING", binning), ("EXPTIME", 5.0), ("FILTER", "V")]
        bias = (level + rng.normal(0, 1, shape)).astype(np.float32)
        header = fits.Header([("IMAGETYP", "Master Bias"), ("NCOMBINE", 30), *cards])
        fits.writeto(tmp_path / "library" / f"bias{binning}.fits", bias, header)
        light = (level + rng.poisson(100, shape) / 1.5 + rng.normal(0, 5, shape)).round().astype(np.uint16)
        fits.writeto(tmp_path / "raw" / f"m{binning}.fits", light, fits.Header([("IMAGETYP", "LIGHT"), *cards]))
    summary = amateur_night(tmp_path / "raw", tmp_path / "out", masters=tmp_path / "library")
    assert len(summary.frames) == len(summary.masters) == 2
    for binning in (1, 2):
        image = CCDFrame.read(tmp_path / "out" / "calibrated" / f"m{binning}.fits")
        raw = fits.getdata(tmp_path / "raw" / f"m{binning}.fits")
        bias = fits.getdata(tmp_path / "library" / f"bias{binning}.fits")
        np.testing.assert_allclose(image.data, 1.5 * (raw - bias), atol=1e-2)


@pytest.fixture(scope="module")
def aspen():
    """Three masters of another program, and a science frame."""
    if not ASPEN.is_dir():
        pytest.skip("the real frames in ../shared/data/aspen are not part of a checkout")
    return ASPEN


def test_masters_of_another_program(aspen, tmp_path):
    raw = next(aspen.glob("kelt*"))
    summary = reduce_night(
        raw, tmp_path / "out", masters=aspen, gain=1.5, read_noise=9.0, progress=False, pictures=False
    )
    image = CCDFrame.read(summary.frames[0].path)
    data = {path.name.split("_")[1].partition(".")[0]: fits.getdata(path).astype(float) for path in aspen.glob("comb*")}
    flat = data["flat"] / data["flat"].mean()
    np.testing.assert_allclose(
        image.data, 1.5 * (fits.getdata(raw) - data["bias"] - data["dark"]) / flat, rtol=1e-5, atol=1e-3
    )
    text = str(summary)
    assert "nothing says how many frames it is of. It counts as exact" in text
    assert "combined_bias.fit.gz, a master of the same night" in text


def test_masters_among_the_raw_frames(aspen, tmp_path):
    summary = reduce_night(aspen, tmp_path / "out", masters=aspen, gain=1.5, read_noise=9.0, **QUICK)
    assert len(summary.frames) == 1
    assert summary.unused == ()
    plan = plan_night(aspen, masters=aspen, headers_only=True)
    assert plan.unused == ()


def test_the_command(aspen, tmp_path):
    raw = next(aspen.glob("kelt*"))
    arguments = ["reduce", str(raw), "-o", str(tmp_path / "out"), "--no-pictures", "--gain", "1.5", "--read-noise", "9"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 1
    assert "or masters of other nights with --masters" in result.output
    result = CliRunner().invoke(main, [*arguments, "--masters", str(aspen)])
    assert result.exit_code == 0, result.output
    assert "combined_bias.fit.gz" in result.output
