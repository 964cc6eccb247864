"""Raw files of several amplifiers: every pixel says where on its chip it belongs."""

import gzip
import os
from pathlib import Path
from string import ascii_uppercase

import astropy.units as u
import ccdproc
import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from astro_calib import CCDFrame, Detector, calibrate, read_mosaic
from astro_calib.errors import FrameError
from astro_calib.io.fits.unit_rows import UnitRows
from tests.io.mosaic_judge import FILES
from tests.io.raw_mosaics import (
    OVERSCAN,
    Amp,
    amplifier_image,
    detector,
    expected_overscan,
    hdu_list,
    section,
    sinistro,
)


def written(tmp_path, images, *, compressed=False, name="raw.fits", **primary):
    path = tmp_path / name
    hdu_list(images, primary, compressed=compressed).writeto(path)
    return path


def check(chip, truth, amps):
    assert chip.raw.dtype == np.uint16
    np.testing.assert_array_equal(chip.frame.pixels, truth)
    assert chip.shape == truth.shape
    for number, (amp, overscan) in enumerate(zip(amps, chip.overscans, strict=True)):
        np.testing.assert_array_equal(overscan.pixels, expected_overscan(amp, number))
        assert chip.amplifiers[number].data_section == section(amp.x, amp.y)
    assert chip.raw.mask is None or not chip.frame.mask


@pytest.mark.parametrize("compressed", [False, True])
def test_quadrants_that_are_stored_as_they_were_read(tmp_path, compressed):
    amps, truth, images = sinistro()
    read = read_mosaic(written(tmp_path, images, compressed=compressed))
    (chip,) = read.chips
    check(chip, truth, amps)
    assert [one.corner for one in chip.amplifiers] == ["lower left", "lower right", "upper right", "upper left"]
    assert [one.gain.value for one in chip.amplifiers] == [1.0, 1.1, 1.2, 1.3]
    assert [one.saturation.value for one in chip.amplifiers] == [60000, 60001, 60002, 60003]
    assert chip.amplifiers[0].keywords == {"gain": "GAIN", "read_noise": "RDNOISE", "saturation": "SATURATE"}
    # What amplifiers have in common is left of their headers, and nothing of what only one of them has.
    header = chip.header
    assert header["CRYOTEMP"] == -110.0
    assert header["OBJECT"] == "field"
    assert not {"GAIN", "RDNOISE", "SATURATE", "DETSEC", "BIASSEC", "EXTVER"} & set(header)
    assert header["DATASEC"] == chip.trim == "[1:48,1:40]"


def test_chips_for_focus_and_guiding_are_told_apart(tmp_path):
    judged = FILES["DECam"]()
    for number, position in ((2, "FS2"), (3, "GN1")):
        judged.hdus[number].header["DETPOS"] = position
    read = read_mosaic(judged.write(tmp_path / "raw.fits"))
    assert [(chip.name, chip.kind) for chip in read.chips] == [("S1", "science"), ("N2", "science")]
    assert [(chip.name, chip.kind) for chip in read.others] == [("FS2", "focus"), ("GN1", "guide")]
    np.testing.assert_array_equal(read["FS2"].frame.pixels, judged.chips["S2"])
    assert read["S1"].amplifiers[1].keywords["saturation"] == "SATURATB"
    with pytest.raises(KeyError, match="has no chip 'S2', but 'S1', 'N2', 'FS2', 'GN1'"):
        read["S2"]
    # The frame of all chips is that of the sky.
    (whole,) = read_mosaic(tmp_path / "raw.fits", one_frame=True).chips
    assert len(whole.amplifiers) == 4


def test_rows_in_the_middle_that_were_not_read_are_masked(tmp_path):
    ny, nx = 10, 12
    truth = detector(2 * ny + 1, nx)
    amps = [Amp((0, nx), (0, ny), pre=0), Amp((0, nx), (ny + 1, 2 * ny + 1), flip_y=True, pre=0)]
    images = []
    for number, amp in enumerate(amps):
        pixels, cards = amplifier_image(truth, amp, number)
        cards |= {"DETSEC": section(amp.x, amp.y, back_y=amp.flip_y), "BUNIT": "adu"}
        images.append((pixels, fits.Header(cards)))
    (chip,) = read_mosaic(written(tmp_path, images)).chips
    lost = chip.frame.mask
    assert lost[ny].all()
    assert lost.sum() == nx
    np.testing.assert_array_equal(chip.frame.pixels[~lost], truth[~lost])
    # Every pixel has an amplifier, so that the frame can be calibrated.
    assert [one.data_section for one in chip.amplifiers] == [f"[1:{nx},1:{ny + 1}]", f"[1:{nx},{ny + 2}:{2 * ny + 1}]"]
    assert chip.overscans[0].shape == (ny + 1, 6)
    assert chip.overscans[0].mask[ny].all()
    np.testing.assert_array_equal(chip.overscans[0].pixels[:ny], expected_overscan(amps[0], 0))


def test_each_chip_is_read_by_itself(tmp_path, monkeypatch):
    seen = []
    plain = UnitRows.blocks
    monkeypatch.setattr(UnitRows, "blocks", lambda self, *args: seen.append(self._number) or plain(self, *args))
    judged = FILES["Mosaic-3"]()
    read = read_mosaic(judged.write(tmp_path / "raw.fits"), unit="adu")
    assert read.chips[1].header["CCDNAME"] == "CCD1"
    assert seen == []
    np.testing.assert_array_equal(read.chips[1].frame.pixels, judged.chips["CCD1"])
    assert len(read.chips[1].overscans) == 4
    assert sorted(seen) == [5, 6, 7, 8]


def test_a_file_that_is_compressed_as_a_whole(tmp_path):
    amps, truth, images = sinistro()
    plain = written(tmp_path, images)
    packed = tmp_path / "raw.fits.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    (chip,) = read_mosaic(packed).chips
    check(chip, truth, amps)


def test_cuts_of_a_chip_know_which_pixels_they_are(tmp_path):
    _, _, images = sinistro()
    (chip,) = read_mosaic(written(tmp_path, images)).chips
    cut = chip.frame[3:9, 30:40]
    assert cut.origin.raw.identity() == chip.raw.origin.raw.identity() == chip.overscans[2].origin.raw.identity()
    assert cut.origin.window == ((3, 1), (30, 1))
    # The overscan of the third amplifier lies beside its rows.
    assert chip.overscans[2].origin.window[0] == (20, 1)
    assert np.shares_memory(chip.frame.pixels, chip.raw.pixels)


def sky(hdu):
    return WCS(hdu.header)


WCS_CARDS = {
    "CTYPE1": "RA---TAN",
    "CTYPE2": "DEC--TAN",
    "CRVAL1": 150.0,
    "CRVAL2": 2.0,
    "CD1_1": -1e-4,
    "CD1_2": 2e-6,
    "CD2_1": 3e-6,
    "CD2_2": 1e-4,
}


def test_the_wcs_of_a_mirrored_amplifier_becomes_that_of_the_chip(tmp_path):
    _, truth, images = sinistro()
    # Only the third has one, which is mirrored on both axes.
    pixels, header = images[2]
    header.update(WCS_CARDS | {"CRPIX1": 5.0, "CRPIX2": 7.0})
    path = written(tmp_path, images)
    frame = read_mosaic(path).chips[0].frame
    of_file = WCS(fits.getheader(path, 3))
    for value in truth[25, 30], truth[39, 24], truth[20, 47]:
        ((y, x),) = np.argwhere(pixels == value)
        ((row, column),) = np.argwhere(truth == value)
        at, there = of_file.pixel_to_world(x, y), frame.wcs.pixel_to_world(column, row)
        assert at.separation(there).arcsec < 1e-6
    assert "CTYPE1" not in frame.meta


def one_amplifier(tmp_path, **cards):
    """Two amplifiers, of which the right one has other cards than is said."""
    ny, nx = 8, 10
    truth = detector(ny, 2 * nx)
    images = []
    for number, flip in enumerate((False, True)):
        amp = Amp((number * nx, (number + 1) * nx), (0, ny), flip_x=flip)
        pixels, sections = amplifier_image(truth, amp, number)
        header = sections | {"DETSEC": section(amp.x, amp.y), "BUNIT": "adu"}
        if number == 1:
            header |= cards
        images.append((pixels, fits.Header({key: value for key, value in header.items() if value is not None})))
    return written(tmp_path, images), truth


def test_placeholders_say_nothing(tmp_path):
    _, truth, images = sinistro()
    for _, header in images:
        header["CCDSEC"] = header["AMPSEC"] = "UNKNOWN"
        header["TRIMSEC"] = "N/A"
    (chip,) = read_mosaic(written(tmp_path, images)).chips
    np.testing.assert_array_equal(chip.frame.pixels, truth)


@pytest.mark.parametrize(
    "cards",
    [
        {"DETSEC": "[20:11,1:8]"},
        {"DATASEC": "[13:4,1:8]"},
        {"CCDSEC": "[20:11,1:8]", "DETSEC": "[20:11,1:8]"},
        {"LTM1_1": -1.0, "LTV1": 24.0},
        {"CCDSEC": "[11:20,1:8]", "LTM1_1": -1.0, "LTM2_2": 1.0, "ATM1_1": -1.0},
        {"CCDSEC": "[20:11,1:8]", "DETSEC": "[20:11,1:8]", "LTM1_1": -1.0, "DTM1_1": 1.0, "AMPSEC": "[10:1,1:8]"},
        {"CCDSEC": "[11:20,1:8]", "DETSEC": "[20:11,1:8]", "LTM1_1": 1.0, "DTM1_1": -1.0},
    ],
    ids=["DETSEC", "DATASEC", "CCDSEC", "LTM", "LTM and ATM", "all", "DTM"],
)
def test_mirrored_images_however_the_header_says_so(tmp_path, cards):
    path, truth = one_amplifier(tmp_path, **cards)
    (chip,) = read_mosaic(path).chips
    np.testing.assert_array_equal(chip.frame.pixels, truth)


@pytest.mark.parametrize(
    ("cards", "named"),
    [
        ({"CCDSEC": "[20:11,1:8]", "LTM1_1": 1.0}, ["CCDSEC='[20:11,1:8]'", "LTM1_1=1.0", "DATASEC"]),
        ({"CCDSEC": "[20:11,1:8]"}, ["CCDSEC", "DETSEC", "DTM1_1"]),
        ({"DETSEC": "[20:11,1:8]", "LTM1_1": 1.0, "DTM1_1": 1.0}, ["DETSEC", "LTM1_1", "DTM1_1"]),
        ({"AMPSEC": "[20:11,1:8]", "ATM1_1": 1.0}, ["AMPSEC", "ATM1_1"]),
        ({"CCDSUM": "2 1"}, ["CCDSUM='2 1'", "DETSEC", "DATASEC"]),
        ({"CCDSUM": "two"}, ["CCDSUM='two'", "binning"]),
        ({"DETSEC": "[11:21,1:8]"}, ["DETSEC='[11:21,1:8]'", "DATASEC"]),
        ({"DETSEC": "[10:19,1:8]"}, ["both read pixels", "DETSEC"]),
        ({"DETSEC": "11-20"}, ["DETSEC='11-20'", "expected a section"]),
        ({"DETSEC": None}, ["extension 2", "DETSEC", "amplifiers"]),
        ({"DATASEC": "[4:130,1:8]"}, ["DATASEC", "130", "21 columns"]),
        ({"BIASSEC": "[10:19,1:8]"}, ["DATASEC", "BIASSEC", "overlap"]),
        ({"DETSEC": "[999999990:999999999,1:8]"}, ["span 999999999 x 8 pixels"]),
        ({"LTM1_2": 1.0}, ["LTM1_2", "turns"]),
        ({"CCDNAME": "left"}, ["which chip", "extension 1"]),
    ],
)
def test_contradictions_are_named(tmp_path, cards, named):
    path, _ = one_amplifier(tmp_path, **cards)
    if cards == {"DETSEC": None}:
        with pytest.warns(UserWarning, match="extension 2 have neither DETSEC nor CCDSEC"):
            read_mosaic(path)
        return
    with pytest.raises(FrameError) as caught:
        read_mosaic(path)
    assert str(caught.value).startswith("raw.fits cannot be read: ")
    for word in named:
        assert word in str(caught.value)


def test_the_detector_of_a_chip(tmp_path):
    _, _, images = sinistro()
    (chip,) = read_mosaic(written(tmp_path, images)).chips
    camera = chip.detector(gain_uncertainty=0.01 * u.electron / u.adu)
    assert [one.gain.value for one in camera.amplifiers] == [1.0, 1.1, 1.2, 1.3]
    assert [one.read_noise.value for one in camera.amplifiers] == [8, 9, 10, 11]
    assert [one.corner for one in camera.amplifiers] == ["lower left", "lower right", "upper right", "upper left"]
    assert camera.amplifiers[2].overscan_section == chip.amplifiers[2].overscan_section
    assert camera.amplifiers[3].saturation == 60003 * u.adu
    assert camera.name == "camera"


def test_a_gain_that_nobody_states_is_asked_for(tmp_path):
    path = FILES["two amplifiers by LTM"]().write(tmp_path / "raw.fits")
    (chip,) = read_mosaic(path, unit="adu").chips
    with pytest.raises(
        FrameError, match=r"raw.fits: its header does not say the gain of extension 1 AMP1, extension 2"
    ):
        chip.detector()
    camera = chip.detector(gain=[1.6, 1.7] * u.electron / u.adu, read_noise=4 * u.electron)
    assert camera.amplifiers[1].gain.value == 1.7
    with pytest.raises(TypeError, match=r"gain is .*; expected a Quantity, or 2"):
        chip.detector(gain=[1.6, 1.7, 1.8] * u.electron / u.adu, read_noise=4 * u.electron)


def test_reading_a_single_frame_of_it_says_what_to_call(tmp_path):
    _, _, images = sinistro()
    path = written(tmp_path, images)
    with pytest.raises(FrameError, match=r"holds 4 images of amplifiers.*read_mosaic.*hdu=1 reads one"):
        CCDFrame.read(path)
    assert CCDFrame.read(path, hdu=2).shape == (20, 32)


def test_tables_where_headers_do_not_tell_the_layout(tmp_path):
    """Two amplifiers in the primary HDU with their overscans between them, the right one mirrored."""
    ny, nx, width = 6, 9, 4
    truth = detector(ny, 2 * nx)
    rows = np.arange(ny, dtype=np.uint16)[:, None]
    image = np.hstack(
        [truth[:, :nx], np.repeat(1000 + rows, width, 1), np.repeat(2000 + rows, width, 1), truth[:, : nx - 1 : -1]]
    )
    path = tmp_path / "one.fits"
    fits.PrimaryHDU(image, fits.Header({"BUNIT": "adu"})).writeto(path)
    tables = [
        {"data": "[1:9,1:6]", "overscan": "[10:13,1:6]", "gain": 1.5, "read_noise": 5, "gain_uncertainty": 0.01},
        {
            "extension": 0,
            "data": "[18:26,1:6]",
            "overscan": "[14:17,1:6]",
            "placed": "[18:10,1:6]",
            "corner": "lower left",
            "gain": 1.6,
            "read_noise": 6,
            "saturation": 60000,
        },
    ]
    (chip,) = read_mosaic(path, amplifiers=tables).chips
    np.testing.assert_array_equal(chip.frame.pixels, truth)
    np.testing.assert_array_equal(chip.overscans[0].pixels, np.repeat(1000 + rows, width, 1))
    np.testing.assert_array_equal(chip.overscans[1].pixels, np.repeat(2000 + rows, width, 1))
    camera = chip.detector()
    assert camera.amplifiers[0].gain_uncertainty.value == 0.01
    assert camera.amplifiers[1].corner == "lower left"


def test_tables_for_a_cube(tmp_path):
    amps, truth, images = sinistro()
    path = tmp_path / "cube.fits"
    cube = np.stack([pixels for pixels, _ in images])
    fits.PrimaryHDU(cube, fits.Header({"BUNIT": "adu"})).writeto(path)
    with pytest.raises(FrameError, match=r"extension 0 has 3 axes \(32, 20, 4\).*amplifiers"):
        read_mosaic(path)
    tables = [
        {
            "plane": number + 1,
            "data": "[1:24,1:20]",
            "overscan": "[27:32,1:20]",
            "placed": section(amp.x, amp.y, back_x=amp.flip_x, back_y=amp.flip_y),
        }
        for number, amp in enumerate(amps)
    ]
    (chip,) = read_mosaic(path, amplifiers=tables).chips
    check(chip, truth, amps)


def test_tables_of_odd_and_even_columns(tmp_path):
    truth = detector(5, 12)
    path = tmp_path / "odd.fits"
    fits.PrimaryHDU(np.hstack([truth, truth[:, :4]]), fits.Header({"BUNIT": "adu"})).writeto(path)
    tables = [
        {"data": "[1:11:2,1:5]", "overscan": "[13:15:2,1:5]"},
        {"data": "[2:12:2,1:5]", "overscan": "[14:16:2,1:5]"},
    ]
    (chip,) = read_mosaic(path, amplifiers=tables).chips
    np.testing.assert_array_equal(chip.frame.pixels, truth)
    assert [one.data_section for one in chip.amplifiers] == ["[1:11:2,1:5]", "[2:12:2,1:5]"]
    np.testing.assert_array_equal(chip.overscans[1].pixels, truth[:, 1:4:2])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"data": "[1:512]"}, r"amplifiers\[1\].data is '\[1:512\]'; expected a section"),
        ({"dta": "[1:5,1:5]"}, r"unknown key 'dta'; did you mean 'data'"),
        ({"gain": -1}, r"amplifiers\[1\].gain is -1; it must be a number above 0"),
        ({"gain": "high"}, r"amplifiers\[1\].gain is 'high'"),
        ({"gain_uncertainty": 0.1}, r"gain_uncertainty is 0.1; it needs a gain"),
        ({"corner": "left"}, r"corner is 'left'; it must be one of lower left"),
        ({"extension": 1.5}, r"extension is 1.5; it must be the number or the name"),
        ({"extension": 7}, r"extension is 7; the file has no such image, but extension 0"),
        ({"data": "[1:500,1:5]"}, r"amplifiers\[1\].data goes to column 500 and row 5; its image has 20 columns"),
        ({"data": "[1:5,1:5]", "placed": "[1:6,1:5]"}, "placed='\\[1:6,1:5\\]' has not as many"),
        ({"data": "[1:5,1:5]", "overscan": "[5:9,1:5]"}, "overlaps"),
        ({"plane": 2}, "plane is 2; extension 0 has the shape"),
    ],
)
def test_tables_that_mean_nothing(tmp_path, table, message):
    path = tmp_path / "raw.fits"
    fits.PrimaryHDU(detector(10, 20), fits.Header({"BUNIT": "adu"})).writeto(path)
    with pytest.raises(ValueError, match=message):
        read_mosaic(path, amplifiers=[table])


def test_too_many_images_are_refused(tmp_path):
    path = tmp_path / "many.fits"
    one = fits.ImageHDU(np.zeros((2, 2), np.int16), fits.Header({"DETSEC": "[1:2,1:2]"}))
    content = fits.PrimaryHDU().header.tostring().encode()
    body = one.header.tostring().encode() + one.data.tobytes() + bytes(2872)
    path.write_bytes(content + 1001 * body)
    with pytest.raises(FrameError, match="it has 1001 images; expected 1000 at most"):
        read_mosaic(path)


def test_a_frame_with_its_budget_is_left_to_its_own_reader(tmp_path):
    CCDFrame(np.ones((3, 4)), unit="adu", uncertainty=np.ones((3, 4))).write(tmp_path / "ours.fits")
    with pytest.raises(FrameError, match=r"ours.fits cannot be read: it holds a frame with its budget"):
        read_mosaic(tmp_path / "ours.fits")


def test_more_amplifiers_than_any_camera_has_are_refused(tmp_path):
    cards = {f"{key}{letter}": "[1:2,1:2]" for key in ("DATASEC", "DETSEC") for letter in ascii_uppercase}
    images = [(np.zeros((2, 2), np.uint16), fits.Header(cards))] * 40
    with pytest.raises(FrameError, match="its headers tell of 1040 amplifiers; expected 1000 at most"):
        read_mosaic(written(tmp_path, images))


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    _, _, images = sinistro()
    path = written(tmp_path, images)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(FrameError, match="truncated"):
        read_mosaic(path)


def test_a_file_that_was_changed_meanwhile_is_refused(tmp_path):
    _, _, images = sinistro()
    path = written(tmp_path, images)
    (chip,) = read_mosaic(path).chips
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(1, 1))
    with pytest.raises(FrameError, match="was changed"):
        _ = chip.frame


def test_blank_pixels_are_masked(tmp_path):
    _, _, images = sinistro()
    for _, header in images:
        header["BLANK"] = -32768
    images[1][0][3, 4] = 0
    (chip,) = read_mosaic(written(tmp_path, images)).chips
    expected = chip.frame.pixels == 0
    np.testing.assert_array_equal(chip.frame.mask, expected)
    assert expected[3, 48 - 5]


def simulated(seed=1):
    """Four quadrants with gains, read noises and levels of their own, under the same light of 2000 electrons."""
    rng = np.random.default_rng(seed)
    amps, _, images = sinistro()
    for number, (pixels, header) in enumerate(images):
        gain, read_noise, level = [(1.5, 5, 900), (1.7, 6, 1000), (2.0, 8, 1100), (2.4, 10, 1300)][number]
        electrons = rng.normal(0, read_noise, pixels.shape)
        electrons[:, :24] += rng.poisson(2000, (20, 24))
        pixels[...] = np.round(level + electrons / gain)
        header["GAIN"], header["RDNOISE"] = gain, float(read_noise)
    return amps, images


def test_a_chip_is_calibrated_as_its_amplifiers_would_be_one_by_one(tmp_path):
    amps, images = simulated()
    path = written(tmp_path, images)
    (chip,) = read_mosaic(path).chips
    camera = chip.detector(gain_uncertainty=0.02 * u.electron / u.adu)
    whole = calibrate(chip.raw, camera, overscan=camera.overscan_sections(), overscan_axis=(0, 1), trim=chip.trim)
    # The frame without the overscans, which are given beside it, is the same.
    same = calibrate(chip.frame, camera, overscan=list(chip.overscans), overscan_axis=(0, 1))
    np.testing.assert_array_equal(same.pixels, whole.pixels)
    np.testing.assert_array_equal(same.variance, whole.variance)
    for number, amp in enumerate(amps):
        alone = calibrate(
            CCDFrame.read(path, hdu=number + 1),
            Detector(
                gain=camera.amplifiers[number].gain,
                read_noise=camera.amplifiers[number].read_noise,
                gain_uncertainty=0.02 * u.electron / u.adu,
            ),
            overscan="[27:32,1:20]",
            overscan_axis=(0, 1),
            trim="[1:24,1:20]",
        )
        turned = (slice(None, None, -1 if amp.flip_y else 1), slice(None, None, -1 if amp.flip_x else 1))
        part = whole[amp.y[0] : amp.y[1], amp.x[0] : amp.x[1]]
        np.testing.assert_allclose(part.pixels, alone.pixels[turned], rtol=1e-6)
        np.testing.assert_allclose(part.variance, alone.variance[turned], rtol=1e-4)
        # No step at the borders: the light is the same everywhere.
        noise = camera.amplifiers[number].read_noise.value
        error = np.sqrt((2000 + noise**2) / 480 + noise**2 / 120)
        assert abs(part.pixels.mean() - 2000) < 3 * error


@pytest.mark.parametrize("axis", [1, (0, 1)])
def test_a_chip_with_a_row_that_was_not_read_is_calibrated_without_a_remark(tmp_path, axis):
    ny, nx = 10, 12
    rng = np.random.default_rng(3)
    images = []
    for number, flip in enumerate((False, True)):
        first = number * (ny + 1)
        amp = Amp((0, nx), (first, first + ny), flip_y=flip, pre=0)
        pixels, cards = amplifier_image(np.zeros((2 * ny + 1, nx), np.uint16), amp, 0)
        pixels[...] = rng.normal(1000, 5, pixels.shape)
        cards |= {"DETSEC": section(amp.x, amp.y, back_y=flip), "BUNIT": "adu", "GAIN": 2.0 + number, "RDNOISE": 10.0}
        images.append((pixels, fits.Header(cards)))
    (chip,) = read_mosaic(written(tmp_path, images)).chips
    camera = chip.detector()
    result = calibrate(chip.raw, camera, overscan=camera.overscan_sections(), overscan_axis=axis, trim=chip.trim)
    assert result.mask[ny].all()
    assert result.mask.sum() == nx
    assert np.isfinite(result.variance[~result.mask]).all()


@pytest.mark.parametrize(
    ("ccdsum", "fits_it"), [("2 1", True), ("2 1 2 1", True), ("2 1 1 1", False), ("2 1 2", False)]
)
def test_binning_in_two_or_four_numbers(tmp_path, ccdsum, fits_it):
    judged = FILES["GMOS Hamamatsu, 2x1"]()
    for hdu in judged.hdus[1:]:
        hdu.header["CCDSUM"] = ccdsum
    path = judged.write(tmp_path / "raw.fits")
    if not fits_it:
        with pytest.raises(FrameError, match=f"CCDSUM='{ccdsum}'; expected a binning"):
            read_mosaic(path)
        return
    chip = read_mosaic(path, unit="adu").chips[2]
    np.testing.assert_array_equal(chip.frame.pixels, judged.chips[chip.name])


@pytest.mark.parametrize("flip", [False, True])
def test_overscans_above_the_data_go_above_those_of_the_chip(tmp_path, flip):
    """Two amplifiers side by side, each with rows of overscan behind those of the image."""
    ny, nx, height = 6, 5, 2
    truth = detector(ny, 2 * nx)
    over = detector(height, 2 * nx, seed=9) + np.uint16(OVERSCAN)
    images = []
    for number in range(2):
        columns = slice(number * nx, (number + 1) * nx)
        turn = -1 if number and flip else 1
        pixels = np.vstack([truth[:, columns], over[:, columns]])[:, ::turn]
        cards = {
            "DATASEC": f"[1:{nx},1:{ny}]",
            "BIASSEC": f"[1:{nx},{ny + 1}:{ny + height}]",
            "DETSEC": section((columns.start, columns.stop), (0, ny), back_x=turn < 0),
            "BUNIT": "adu",
        }
        images.append((pixels, fits.Header(cards)))
    (chip,) = read_mosaic(written(tmp_path, images)).chips
    np.testing.assert_array_equal(chip.raw.pixels, np.vstack([truth, over]))
    assert chip.raw.mask is None
    assert [one.overscan_section for one in chip.amplifiers] == ["[1:5,7:8]", "[6:10,7:8]"]
    np.testing.assert_array_equal(chip.overscans[1].pixels, over[:, nx:])


def test_a_frame_of_one_image_is_a_chip_of_one_amplifier():
    path = Path(ccdproc.__file__).parent / "tests" / "data" / "a8280271.fits"
    stored = CCDFrame.read(path, unit="adu")
    (chip,) = read_mosaic(path, unit="adu").chips
    np.testing.assert_array_equal(chip.frame.pixels, stored.pixels[:, 16:528])
    np.testing.assert_array_equal(chip.overscans[0].pixels, stored.pixels[:, 3:13])
    assert chip.detector().amplifiers[0].gain.value == 1.9


def test_a_wcs_that_cannot_be_used_is_said_once_where_it_is_asked_for(tmp_path):
    _, truth, images = sinistro()
    for _, header in images:
        header.update(WCS_CARDS | {"CTYPE1": "RA---TNX", "CTYPE2": "DEC--TNX", "CRPIX1": 1.0, "CRPIX2": 1.0})
        header["WAT0_001"] = "system=image"
        header["WAT1_001"] = 'wtype=tnx axtype=ra lngcor = "3. 4. 4. 2. -0.05 0.05 -0.1 0.1 0.0 0.0 0.0"'
    (chip,) = read_mosaic(written(tmp_path, images)).chips
    with pytest.warns(UserWarning, match=r"raw.fits: its WCS is left out") as caught:
        frame = chip.frame
    assert [Path(one.filename).name for one in caught] == ["test_mosaic.py"]
    assert frame.wcs is None
    assert "CTYPE1" not in frame.meta
    np.testing.assert_array_equal(frame.pixels, truth)


def test_chips_that_do_not_stand_in_a_grid_are_calibrated_one_by_one(tmp_path):
    judged = FILES["Mosaic, upside down"]()
    del judged.hdus[3]
    path = judged.write(tmp_path / "raw.fits")
    (whole,) = read_mosaic(path, unit="adu", one_frame=True).chips
    assert whole.frame.mask.sum() == 40 * 40
    with pytest.raises(FrameError, match=r"raw.fits: its amplifiers do not stand in a grid.*chip by chip"):
        whole.detector()


@pytest.mark.parametrize(
    ("dtype", "compressed"),
    [
        *((dtype, False) for dtype in ("uint8", "int16", "int32", "uint32", "float32", "float64")),
        # Floats are compressed with a loss.
        *((dtype, True) for dtype in ("uint8", "int16", "int32", "uint32")),
    ],
)
def test_pixels_keep_their_type(tmp_path, dtype, compressed):
    _, truth, images = sinistro()
    images = [((pixels % 251).astype(dtype), header) for pixels, header in images]
    (chip,) = read_mosaic(written(tmp_path, images, compressed=compressed)).chips
    assert chip.raw.dtype == dtype
    np.testing.assert_array_equal(chip.frame.pixels, truth % 251)


def test_pixels_that_are_no_number_are_masked(tmp_path):
    _, truth, images = sinistro()
    images = [(pixels.astype(np.float32), header) for pixels, header in images]
    images[1][0][3, 4] = np.nan
    (chip,) = read_mosaic(written(tmp_path, images)).chips
    assert np.argwhere(chip.frame.mask).tolist() == [[3, 48 - 5]]
    assert np.isnan(chip.frame.pixels[3, 48 - 5])
    good = ~chip.frame.mask
    np.testing.assert_array_equal(chip.frame.pixels[good], truth[good])


def test_damaged_tiles_are_found_when_their_chip_is_read(tmp_path):
    judged = FILES["DECam"]()
    path = judged.write(tmp_path / "raw.fits.fz", compressed=True)
    with fits.open(path) as hdus:
        place = hdus[2].fileinfo()["datLoc"] + 3000
    content = bytearray(path.read_bytes())
    content[place : place + 8] = b"\xff" * 8
    path.write_bytes(content)
    with fits.open(path, disable_image_compression=True, mode="update") as hdus:
        hdus[2].header["DATASUM"] = "1"
    mosaic = read_mosaic(path)
    np.testing.assert_array_equal(mosaic["S1"].frame.pixels, judged.chips["S1"])
    with pytest.raises(FrameError, match=r"raw.fits.fz\[S2\] cannot be read: .*DATASUM"):
        _ = mosaic["S2"].frame
