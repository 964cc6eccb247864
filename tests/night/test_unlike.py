"""Calibration frames that are not like the others: they are left out, and named, and the right ones are not."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from astro_calib.characterize.tones import cautious_error
from astro_calib.night import reduce_night
from tests.night.synthetic import GAIN, READ_NOISE, Camera

SHAPE = (96, 128)
LEAN = {"stars": False, "pictures": False, "progress": False}


def reduced(raw, **options):
    return reduce_night(raw, raw.parent / "out", **{**LEAN, **options})


def left_out(summary):
    return {file.path.name: file.reason for file in summary.unused}


def level_of(summary, kind):
    """The mean of a master, electron or, for flats, relative."""
    (master,) = [one for one in summary.masters if one.kind == kind]
    return fits.getdata(master.path).mean()


def with_light(camera, electrons):
    light = camera.rng.poisson(electrons * camera.response("V")) / GAIN
    return np.round(camera.pixels("BIAS", 0) + light).astype(np.uint16)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("electrons", [3000, 21_000])
@pytest.mark.parametrize("detector", ["auto", "header"])
def test_light_in_one_bias_changes_nothing(tmp_path, electrons, detector):
    camera = Camera(SHAPE, seed=3)
    raw = camera.night(tmp_path / "raw", flats=5)
    camera.write(raw / "odd.fits", "BIAS", pixels=with_light(camera, electrons))
    summary = reduced(raw, detector=detector)
    assert "does not look like the other biases" in left_out(summary)["odd.fits"]
    assert any(remark.startswith("odd.fits: it does not look like") for remark in summary.remarks)
    assert fits.getdata(summary.frames[0].path).mean() == pytest.approx(camera.truth(30).mean(), abs=2)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("electrons", [3000, 21_000])
def test_one_of_two_biases_with_light_does_not_stop_the_night(tmp_path, electrons):
    # Nothing tells which of them is right; but the numbers of the headers are there.
    camera = Camera(SHAPE, seed=4)
    raw = camera.night(tmp_path / "raw", biases=1)
    camera.write(raw / "odd.fits", "BIAS", pixels=with_light(camera, electrons))
    summary = reduced(raw, detector="auto")
    gain, noise = summary.plan.numbers
    assert (gain.source, noise.source) == ("header", "header")


@pytest.mark.parametrize("kind", ["bias", "dark", "flat"])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_a_master_among_raw_frames_that_says_nothing(tmp_path, kind, dtype):
    camera = Camera(SHAPE, seed=5)
    raw = camera.night(tmp_path / "raw", biases=6, darks=6, flats=6)
    seconds, name = {"bias": (0, ""), "dark": (30, ""), "flat": (2, "V")}[kind]
    mean = np.mean([camera.pixels(kind.upper(), seconds, name) for _ in range(20)], axis=0)
    mean = np.round(mean).astype(dtype) if dtype is np.uint16 else mean.astype(dtype)
    camera.write(raw / "odd.fits", kind.upper(), seconds, name, pixels=mean)
    summary = reduced(raw, detector="auto")
    assert left_out(summary).keys() == {"odd.fits"}
    assert "a master" in left_out(summary)["odd.fits"]
    assert not any(number.alarm for number in summary.plan.numbers)
    assert abs(summary.plan.numbers[1].value / READ_NOISE - 1) < 0.03


@pytest.mark.parametrize("seed", range(6))
def test_right_frames_stay(tmp_path, seed):
    # Twilight flats of levels that differ by ten, and as few frames of each kind as tell something.
    camera = Camera(SHAPE, seed=100 + seed)
    number = 3 + seed
    raw = camera.night(tmp_path / "raw", biases=number, darks=number, flats=0, lights=1)
    for index, light in enumerate(np.geomspace(0.1, 1, number)):
        electrons = camera.rng.poisson(60_000 * light * camera.response("V"))
        camera.write(raw / f"flat{index}.fits", "FLAT", 2, "V", pixels=with_light(camera, 60_000 * light))
        assert electrons.max() < 65_535 * GAIN
    summary = reduced(raw, detector="header")
    assert summary.unused == ()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("lit", [2, 3])
def test_many_biases_with_light_leave_the_headers_numbers(tmp_path, lit):
    camera = Camera(SHAPE, seed=6)
    raw = camera.night(tmp_path / "raw", biases=2)
    for index in range(lit):
        camera.write(raw / f"odd{index}.fits", "BIAS", pixels=with_light(camera, 3000 + 9000 * index))
    summary = reduced(raw, detector="auto")
    assert summary.plan.numbers[0].source == "header"
    assert len(summary.frames) == 1


def test_a_power_that_was_hardly_drawn_has_no_certain_error():
    # The chi-squared distribution of next to no degrees of freedom has nearly all of its values at 0.
    assert cautious_error(1e-3) == np.inf
    assert 1 < cautious_error(1.0) < 100


@pytest.mark.parametrize(
    ("name", "card", "value"),
    [
        ("odd", "IMCMB001", "dark0.fits"),
        ("odd", "HISTORY", "ImageIntegration.numberOfImages: 20"),
        ("odd", "HISTORY", "imcombine: 20 images"),
        ("MasterDark_30", "OBSERVER", "me"),
        ("masterDarks", "OBSERVER", "me"),
        ("dark-master", "OBSERVER", "me"),
        ("DarkMaster_2024", "OBSERVER", "me"),
        ("superdark", "OBSERVER", "me"),
    ],
)
def test_a_master_among_raw_frames_that_its_header_or_name_tells(tmp_path, name, card, value):
    camera = Camera(seed=7)
    raw = camera.night(tmp_path / "raw")
    camera.write(raw / f"{name}.fits", "DARK", 30, **{card: value})
    summary = reduced(raw, detector="header")
    assert left_out(summary).keys() == {f"{name}.fits"}
    assert "no raw frame, for it is a " in left_out(summary)[f"{name}.fits"]


@pytest.mark.parametrize("name", ["mastery", "paymaster", "stacking", "superb_1", "masterpiece"])
def test_names_that_only_begin_like_those_of_masters(tmp_path, name):
    camera = Camera(seed=7)
    raw = camera.night(tmp_path / "raw")
    camera.write(raw / f"{name}.fits", "DARK", 30, HISTORY="combined focus of three stars")
    assert reduced(raw, detector="header").unused == ()


def test_darks_that_are_all_no_whole_numbers_are_used_and_said(tmp_path):
    camera = Camera(SHAPE, seed=8)
    raw = camera.night(tmp_path / "raw", darks=0)
    mean = np.mean([camera.pixels("DARK", 30) for _ in range(20)], axis=0).astype(np.float32)
    camera.write(raw / "dark.fits", "DARK", 30, pixels=mean)
    summary = reduced(raw, detector="header")
    assert summary.unused == ()
    assert any(remark.startswith("dark.fits: its numbers are no whole ones") for remark in summary.remarks)


@pytest.mark.parametrize("kind", ["bias", "dark"])
def test_a_master_beside_one_raw_frame_is_told_by_its_noise(tmp_path, kind):
    camera = Camera(SHAPE, seed=9)
    camera.bias /= 2
    numbers = {"biases": 2, "darks": 2} | {{"bias": "biases", "dark": "darks"}[kind]: 1}
    raw = camera.night(tmp_path / "raw", **numbers)
    seconds = 0 if kind == "bias" else 30
    mean = np.mean([camera.pixels(kind.upper(), seconds) for _ in range(20)], axis=0)
    camera.write(raw / "odd.fits", kind.upper(), seconds, pixels=np.round(mean).astype(np.uint16))
    summary = reduced(raw, detector="auto")
    assert left_out(summary).keys() == {"odd.fits"}
    assert "it may be a master" in left_out(summary)["odd.fits"]
    assert not any(number.alarm for number in summary.plan.numbers)


@pytest.mark.parametrize("seed", range(4))
def test_two_raw_frames_of_a_strong_pattern_stay(tmp_path, seed):
    camera = Camera(SHAPE, seed=200 + seed)
    camera.bias = camera.rng.normal(0, 60, SHAPE)
    raw = camera.night(tmp_path / "raw", biases=2, darks=2, flats=2)
    assert reduced(raw, detector="header").unused == ()


def test_biases_of_two_levels_are_not_said_to_be_light_in_darks(tmp_path):
    # Half of the biases have 40 adu more: the pattern of what is rejected is in darks and flats alike.
    raw = Camera(SHAPE, seed=10, pedestal=500.0).night(tmp_path / "raw", biases=3)
    for index in range(3):
        Camera(SHAPE, seed=10, pedestal=540.0).write(raw / f"other{index}.fits", "BIAS")
    summary = reduced(raw, detector="header")
    assert any("of the values of its frames were rejected" in remark for remark in summary.remarks)
    assert not any("light of" in remark for remark in summary.remarks)


def test_the_error_of_the_gain_does_not_make_a_flat_faint(tmp_path):
    # Three flats of 30,000 electrons: each pixel is known to 0.33%, the gain of such small frames to several per cent.
    camera = Camera((64, 64), seed=12)
    raw = camera.night(tmp_path / "raw", biases=2, flats=3)
    for path in raw.iterdir():
        fits.delval(path, "EGAIN")
    summary = reduced(raw, detector="auto")
    assert summary.plan.numbers[0].uncertainty > 0.03 * summary.plan.numbers[0].value
    (flat,) = [master for master in summary.masters if master.kind == "flat"]
    assert flat.sigma > 0.03 * flat.level
    assert flat.pixel_sigma == pytest.approx(flat.level / np.sqrt(3 * 30_000), rel=0.1)
    assert not any("brighter" in remark for remark in summary.remarks)
