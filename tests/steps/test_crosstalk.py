"""Crosstalk between amplifiers that read at the same time, judged by plain NumPy and by chance."""

from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest

from astro_calib import Amplifier, CCDFrame, Crosstalk, DataQuality, Detector, calibrate, combine, subtract_crosstalk
from astro_calib.errors import FrameError
from astro_calib.steps import apply_steps, calibration_steps

SIDE = 24
LEVELS = (1000.0, 1020.0, 980.0, 1010.0)
GAINS = (1.5, 1.8, 2.1, 1.2)
READ_NOISE = 4.0
SATURATION = 60000.0
CORNERS = ("lower left", "lower right", "upper left", "upper right")
MATRIX = np.array([[0, 8e-4, 3e-4, -2e-4], [1e-3, 0, 1e-4, 5e-4], [2e-4, 6e-4, 0, 9e-4], [-3e-4, 4e-4, 7e-4, 0]])
UNCERTAINTY = np.where(MATRIX != 0, 6e-5, 0.0)


def halves(index):
    """Rows and columns of an amplifier, of the four that read from the corners of the chip."""
    return tuple(
        slice(part * SIDE, (part + 1) * SIDE) for part in ("upper" in CORNERS[index], "right" in CORNERS[index])
    )


def as_read(image, index):
    part = image[..., *halves(index)]
    turns = (-1 if name in CORNERS[index] else 1 for name in ("upper", "right"))
    return part[..., *(slice(None, None, turn) for turn in turns)]


def section(index):
    rows, columns = halves(index)
    return f"[{columns.start + 1}:{columns.stop}, {rows.start + 1}:{rows.stop}]"


def camera(saturation=SATURATION):
    amplifiers = [
        Amplifier(
            gain=gain * u.electron / u.adu,
            read_noise=READ_NOISE * u.electron,
            data_section=section(k),
            corner=CORNERS[k],
        )
        for k, gain in enumerate(GAINS)
    ]
    return Detector(amplifiers=amplifiers, saturation=None if saturation is None else saturation * u.adu)


def with_ghosts(clean, matrix):
    """What amplifiers read that have of each other what the matrix says; everything net of the levels, in adu."""
    result = clean.copy()
    for victim in range(4):
        for aggressor in range(4):
            as_read(result, victim)[...] += matrix[victim, aggressor] * as_read(clean, aggressor)
    return result


def levels():
    image = np.zeros((2 * SIDE, 2 * SIDE))
    for k, level in enumerate(LEVELS):
        image[halves(k)] = level
    return image


def of_gains():
    image = np.zeros((2 * SIDE, 2 * SIDE))
    for k, gain in enumerate(GAINS):
        image[halves(k)] = gain
    return image


#: Where the stars are in the order of the read-out, one in each amplifier, and their flux in electrons a pixel.
STARS = ((5, 6, 20000.0), (5, 16, 40000.0), (16, 6, 60000.0), (16, 16, 30000.0))


def sky_and_stars(brightness=1.0):
    image = np.full((2 * SIDE, 2 * SIDE), 200.0)
    for k, (row, column, flux) in enumerate(STARS):
        as_read(image, k)[row - 1 : row + 2, column - 1 : column + 2] += flux * brightness
    return image


def test_ghosts_are_taken_away_where_they_are_read():
    clean = sky_and_stars() / of_gains()
    frame = CCDFrame(with_ghosts(clean, MATRIX), unit="adu")
    found = subtract_crosstalk(frame, Crosstalk(MATRIX), camera(None))
    # What is left is of second order.
    np.testing.assert_allclose(found.data, clean, atol=4 * 3 * 1e-6 * clean.max())
    expected = frame.data - (with_ghosts(frame.data, MATRIX) - frame.data)
    np.testing.assert_allclose(found.data, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_one_pass_gives_what_the_steps_give_one_by_one(dtype):
    raw = CCDFrame(np.round(with_ghosts(sky_and_stars() / of_gains(), MATRIX) + 1000).astype(dtype), unit="adu")
    steps = calibration_steps(camera(), pedestal=1000, crosstalk=Crosstalk(MATRIX, UNCERTAINTY), trim="[3:46, 5:44]")
    together, apart = (apply_steps(raw, steps, fused=fused) for fused in (True, False))
    assert together.data.dtype == np.float32
    np.testing.assert_allclose(together.data, apart.data, rtol=1e-5, atol=1e-3)
    np.testing.assert_allclose(together.variance, apart.variance, rtol=1e-5)
    np.testing.assert_allclose(together.variance, together.budget.variance(), rtol=1e-4)
    np.testing.assert_array_equal(together.flags, apart.flags)


def test_interleaved_columns_read_together():
    amplifiers = [
        Amplifier(gain=2 * u.electron / u.adu, read_noise=5 * u.electron, data_section=columns)
        for columns in ("[1:7:2, 1:3]", "[2:8:2, 1:3]")
    ]
    clean = np.arange(24.0).reshape(3, 8)
    ghosts = clean.copy()
    ghosts[:, 1::2] += 1e-2 * clean[:, ::2]
    found = subtract_crosstalk(
        CCDFrame(ghosts, unit="adu"), Crosstalk([[0, 0], [1e-2, 0]]), Detector(amplifiers=amplifiers)
    )
    np.testing.assert_allclose(found.data, clean, rtol=1e-12)


def test_sections_of_unequal_length_and_pixels_that_nobody_reads():
    numbers = {"gain": 2 * u.electron / u.adu, "read_noise": 5 * u.electron}
    left = Amplifier(data_section="[1:4, 1:3]", **numbers)
    right = Amplifier(data_section="[5:7, 1:2]", corner="lower right", **numbers)
    clean = np.arange(1.0, 28.0).reshape(3, 9)
    ghosts = clean.copy()
    ghosts[:2, 6:3:-1] += 1e-2 * clean[:2, :3]
    ghosts[:2, :3] += 2e-2 * clean[:2, 6:3:-1]
    matrix = np.array([[0, 2e-2], [1e-2, 0]])
    found = subtract_crosstalk(CCDFrame(ghosts, unit="adu"), Crosstalk(matrix), Detector(amplifiers=[left, right]))
    np.testing.assert_allclose(found.data, clean, atol=2e-4 * 28)
    np.testing.assert_array_equal(found.data[:, 7:], clean[:, 7:])


def test_ghosts_of_saturated_pixels_are_flagged_and_kept():
    clean = sky_and_stars() / of_gains()
    as_read(clean, 2)[10, 10] = 70000.0
    raw = CCDFrame(np.minimum(with_ghosts(clean, MATRIX) + 1000, 65535).astype(np.uint16), unit="adu")
    found = calibrate(raw, camera(), pedestal=1000, crosstalk=Crosstalk(MATRIX))
    is_ghost = (found.flags & DataQuality.CROSSTALK) != 0
    for k in range(4):
        expected = np.zeros((SIDE, SIDE), dtype=bool)
        expected[10, 10] = MATRIX[k, 2] != 0
        np.testing.assert_array_equal(as_read(is_ghost, k), expected)
    assert not found.mask[is_ghost].any()
    # A ghost far below the noise is no reason for a flag.
    faint = calibrate(raw, camera(), pedestal=1000, crosstalk=Crosstalk(MATRIX * 1e-4))
    assert not (faint.flags & DataQuality.CROSSTALK).any()


def test_what_is_no_number_has_no_ghost_and_a_flag():
    image = np.full((2 * SIDE, 2 * SIDE), 100.0)
    as_read(image, 0)[3, 4] = np.nan
    found = subtract_crosstalk(CCDFrame(image, unit="adu"), Crosstalk(MATRIX), camera(None))
    assert np.isfinite(found.data).sum() == image.size - 1
    flags = (found.flags & DataQuality.CROSSTALK) != 0
    assert [int(as_read(flags, k).sum()) for k in range(4)] == [0, 1, 1, 1]


def test_one_pixel_that_is_no_number_takes_the_error_from_no_other():
    matrix = np.array([[0, 1e-3], [1e-3, 0]])
    image = np.random.default_rng(1).normal(100, 3, (20, 40))
    image[3, 4] = np.nan
    numbers = {"gain": 2 * u.electron / u.adu, "read_noise": 5 * u.electron}
    left = Amplifier(data_section="[1:20, 1:20]", **numbers)
    right = Amplifier(data_section="[21:40, 1:20]", corner="lower right", **numbers)
    result = subtract_crosstalk(
        CCDFrame(image, unit="adu"), Crosstalk(matrix, matrix / 10), Detector(amplifiers=[left, right])
    )
    lost = np.argwhere(np.isnan(np.asarray(result.variance)))
    assert len(lost) <= 2
    assert all(tuple(place) in {(3, 4), (3, 35)} for place in lost)


def test_errors_say_what_is_wrong():
    frame, detector = CCDFrame(np.full((2 * SIDE, 2 * SIDE), 100.0), unit="adu"), camera()
    with pytest.raises(FrameError, match="before trimming"):
        subtract_crosstalk(frame[2:], Crosstalk(MATRIX), detector)
    with pytest.raises(u.UnitConversionError, match="before the gain"):
        subtract_crosstalk(CCDFrame(frame.data, unit="electron"), Crosstalk(MATRIX), detector)
    with pytest.raises(ValueError, match="2 amplifiers, and the detector has 4"):
        subtract_crosstalk(frame, Crosstalk([[0, 1e-3], [0, 0]]), detector)
    with pytest.raises(ValueError, match="give overscan="):
        calibrate(frame, detector, bias=frame, crosstalk=Crosstalk(MATRIX))
    with pytest.raises(FrameError, match="raw frame of whole numbers"):
        subtract_crosstalk(CCDFrame(frame.data.astype(np.uint16), unit="adu"), Crosstalk(MATRIX), detector)


def raw_frame(light, matrix, rng):
    """A frame of this light in adu, which is clipped before it comes over to the other amplifiers."""
    light = np.minimum(light, 65535 - levels())
    raw = with_ghosts(light, matrix) + levels() + rng.normal(0, READ_NOISE, light.shape) / of_gains()
    return CCDFrame(np.clip(np.round(raw), 0, 65535).astype(np.uint16), unit="adu")


def overscans(rng):
    return [
        CCDFrame(np.round(rng.normal(level, READ_NOISE / gain, (SIDE, 60))).astype(np.uint16), unit="adu")
        for level, gain in zip(LEVELS, GAINS, strict=True)
    ]


def ghosts():
    """Where each victim has the ghost of each aggressor."""
    marks = {}
    for victim in range(4):
        for aggressor, (row, column, _) in enumerate(STARS):
            if victim != aggressor:
                where = np.zeros((2 * SIDE, 2 * SIDE), dtype=bool)
                as_read(where, victim)[row - 1 : row + 2, column - 1 : column + 2] = True
                marks[victim, aggressor] = where
    return marks


def calibrated(rng):
    """A frame whose true matrix is another one each time, and its truth."""
    truth = sky_and_stars()
    true = MATRIX + UNCERTAINTY * rng.normal(size=(4, 4))
    frame = raw_frame(rng.poisson(truth) / of_gains(), true, rng)
    crosstalk = Crosstalk(MATRIX, UNCERTAINTY)
    return calibrate(frame, camera(), overscan=overscans(rng), overscan_axis=(0, 1), crosstalk=crosstalk), truth


def pulls_of(number, seed, with_sums):
    """Errors over predicted errors: of the pixels of ghosts, of other pixels, and of the sum over a ghost."""
    rng, marks = np.random.default_rng(seed), ghosts()
    of_ghosts, others, of_sums = [], [], []
    for _ in range(number):
        found, truth = calibrated(rng)
        pulls = (found.data - truth) / np.sqrt(found.variance)
        of_ghosts.append([pulls[where] for where in marks.values()])
        others.append(pulls[~np.logical_or.reduce([*marks.values(), truth > 1000])])
        for where in marks.values() if with_sums else ():
            rows, columns = np.nonzero(where)
            part = found[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
            of_sums.append((found.data - truth)[where].sum() / np.sqrt(part.sum().variance.item()))
    return np.std(of_ghosts), np.std(others), np.std(of_sums) if with_sums else None


@pytest.mark.long
def test_predicted_error_of_ghosts_is_about_that_of_chance():
    of_ghosts, others, _ = pulls_of(60, 4, with_sums=False)
    assert abs(of_ghosts - 1) < 0.03
    assert abs(others - 1) < 0.01


@pytest.mark.long
def test_predicted_error_of_ghosts_is_that_of_chance():
    of_ghosts, others, of_sums = pulls_of(500, 20, with_sums=True)
    assert abs(of_ghosts - 1) < 0.01
    assert abs(others - 1) < 0.01
    assert abs(of_sums - 1) < 0.02


def test_error_of_a_coefficient_does_not_average_down():
    rng = np.random.default_rng(8)
    frames = [calibrated(rng)[0] for _ in range(10)]
    where = ghosts()[1, 0]
    stack = combine(frames)
    alone, together = (
        [
            source.variance.evaluate() * np.square(coefficient.evaluate()[where].mean())
            for source, coefficient in frame.budget.terms
            if source.name == "crosstalk"
        ]
        for frame in (frames[0], stack)
    )
    assert len(together) == len(alone) == 12
    assert sum(together) == pytest.approx(sum(alone), rel=0.02)
    # No array of the stack's size is there for this.
    terms = [coefficient for source, coefficient in stack.budget.terms if source.name == "crosstalk"]
    assert sum(coefficient.nbytes for coefficient in terms) < 12 * stack.data.nbytes / 4


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
def test_files_hold_the_errors_of_the_coefficients(tmp_path, suffix):
    found, _ = calibrated(np.random.default_rng(3))
    path = tmp_path / f"frame.{suffix}"
    found.write(path)
    again = CCDFrame.read(path)
    np.testing.assert_array_equal(again.variance, found.variance)
    for frame in (found, again):
        part = frame[4:7, 4:7].sum()
        assert part.variance.item() == pytest.approx(found[4:7, 4:7].sum().variance.item(), rel=1e-5)
    # One noise, wherever it is: the difference of the two has none of it.
    left = [np.abs(c.evaluate()).max() for s, c in (again - found).budget.terms if s.name == "crosstalk"]
    assert max(left, default=0) < 1e-6 * 65535 * max(GAINS)


@pytest.mark.parametrize("suffix", ["fits", "asdf"])
def test_a_frame_without_ghosts_can_be_written(tmp_path, suffix):
    empty = CCDFrame(np.full((2 * SIDE, 2 * SIDE), 1100, dtype=np.uint16), unit="adu")
    image = calibrate(empty, camera(), pedestal=1000, crosstalk=Crosstalk(MATRIX, UNCERTAINTY))
    for number, frame in enumerate((image, image[::2, 1::2])):
        path = tmp_path / f"{number}.{suffix}"
        frame.write(path)
        again = CCDFrame.read(path)
        # The level of 100 in all four, in electrons of the first amplifier.
        expected = (100 * GAINS[0]) ** 2 * np.sum(UNCERTAINTY[0] ** 2)
        np.testing.assert_allclose(again.budget.variances()["crosstalk"][0, 0], expected, rtol=1e-5)
        assert not np.any((again - frame).variance > 1e-6)


def test_numbers_come_back_from_a_table_and_from_a_file(tmp_path):
    crosstalk = Crosstalk(MATRIX, UNCERTAINTY, name='a "left" camera')
    crosstalk.write(tmp_path / "crosstalk.toml")
    for again in (Crosstalk.read(tmp_path / "crosstalk.toml"), Crosstalk.from_table(crosstalk.as_table())):
        np.testing.assert_array_equal(again.matrix, MATRIX)
        np.testing.assert_array_equal(again.uncertainty, UNCERTAINTY)
        assert again.name == crosstalk.name
        assert again.identity(1, 0) == crosstalk.identity(1, 0)
    (tmp_path / "crosstalk.toml").write_text("matrix = [[0, 1], [0, 0]]")
    with pytest.raises(FrameError, match=r"crosstalk\.toml: .*0\.14 at most"):
        Crosstalk.read(tmp_path / "crosstalk.toml")


@pytest.mark.parametrize(
    ("matrix", "uncertainty"),
    [([[0, 1e-3]], None), ([[1, 0], [0, 0]], None), ([[0, 0.2], [0, 0]], None), ([[0, np.nan], [0, 0]], None),
     ([[0, 1e-3], [0, 0]], [[0, -1e-5], [0, 0]]), ("much", None)],
)  # fmt: skip
def test_matrices_that_are_none(matrix, uncertainty):
    with pytest.raises(ValueError, match="crosstalk"):
        Crosstalk(matrix, uncertainty)
