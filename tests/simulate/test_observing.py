"""A night of files, as others read them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import ccdproc
import numpy as np
import pytest
from astropy.io import fits
from astropy.nddata import CCDData
from astropy.wcs import WCS

from astro_calib import simulate

if TYPE_CHECKING:
    from pathlib import Path

SHAPE = (128, 160)


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> simulate.Night:
    return simulate.night(tmp_path_factory.mktemp("night"), seed=3, shape=SHAPE)


def image(path: Path) -> np.ndarray:
    """Imaging area of a file, net of the level of its overscan, electron; the camera's gain is 1.5."""
    data = fits.getdata(path).astype(float)
    return (data[:, : SHAPE[1]] - data[:, SHAPE[1] :].mean()) * 1.5


def test_files_are_read_by_a_file_collection(night: simulate.Night) -> None:
    collection = ccdproc.ImageFileCollection(night.directory)
    assert len(collection.files) == 34
    for kind, number in (("BIAS", 10), ("DARK", 10), ("FLAT", 10), ("LIGHT", 4)):
        assert len(collection.files_filtered(imagetyp=kind)) == number
    flats = collection.filter(imagetyp="FLAT", filter="R").summary
    assert sorted(flats["exptime"]) == [4, 5, 6, 7, 8]
    lights = collection.filter(imagetyp="LIGHT").summary
    assert sorted(lights["exptime"]) == [60, 60, 120, 120]
    assert set(collection.filter(imagetyp="DARK").summary["exptime"]) == {120}


def test_paths_are_found_by_kind_and_filter(night: simulate.Night) -> None:
    assert night.paths() == sorted(night.directory.iterdir())
    assert [path.name for path in night.paths("science", filter="R")] == [
        "science-003-R.fits",
        "science-004-R.fits",
    ]
    for path in night.paths("flat", filter="V"):
        assert fits.getheader(path)["FILTER"] == night.truths[path].filter == "V"


def test_files_are_plain_unsigned_integers(night: simulate.Night) -> None:
    for path in night.paths():
        with fits.open(path) as hdus:
            assert len(hdus) == 1
            assert hdus[0].header["BITPIX"] == 16
            assert hdus[0].header["BZERO"] == 32768
            assert hdus[0].header["BUNIT"] == "adu"
            assert hdus[0].data.dtype == np.uint16
            assert hdus[0].data.shape == (128, 192)


def test_sections_fit_the_frames(night: simulate.Night) -> None:
    path = night.paths("flat")[0]
    raw = CCDData.read(path, unit="adu")
    trimmed = ccdproc.trim_image(raw, fits_section=raw.header["TRIMSEC"])
    assert trimmed.shape == SHAPE
    overscan = ccdproc.trim_image(raw, fits_section=raw.header["BIASSEC"])
    assert overscan.shape == (128, 32)
    level = night.truths[path].bias_level
    assert abs(overscan.data.mean() - level) < 4 * (8 / 1.5) / np.sqrt(overscan.data.size)


def test_each_file_scatters_as_its_truth_says(night: simulate.Night) -> None:
    for path, truth in night.truths.items():
        data = fits.getdata(path)[:, : SHAPE[1]]
        good = ~truth.saturated
        np.testing.assert_array_equal(data == 60000, truth.saturated)
        pull = ((data - truth.mean) * 1.5 / np.sqrt(truth.variance))[good]
        # Pixels left out are those that noise took over the saturation: some slack beside 4 standard errors.
        assert abs(pull.mean()) < 5 / np.sqrt(pull.size), path.name
        assert abs(pull.std() - 1) < 5 / np.sqrt(2 * pull.size), path.name


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    few = {"shape": (40, 50), "biases": 1, "darks": 1, "flats": 1, "science": 2}
    first, second, other = (
        simulate.night(tmp_path / name, seed=seed, **few) for name, seed in (("first", 8), ("second", 8), ("other", 9))
    )
    assert len(first.paths()) == len(second.paths()) == 8
    for a, b, c in zip(first.paths(), second.paths(), other.paths(), strict=True):
        assert a.name == b.name == c.name
        assert a.read_bytes() == b.read_bytes()
        assert a.read_bytes() != c.read_bytes()


def test_pixels_do_not_depend_on_the_number_of_frames(tmp_path: Path) -> None:
    many = simulate.night(tmp_path / "many", shape=(40, 50), biases=2, darks=2, flats=2, science=1)
    few = simulate.night(tmp_path / "few", shape=(40, 50), biases=1, darks=0, flats=1, science=1)
    for path in few.paths("science") + few.paths("bias"):
        np.testing.assert_array_equal(
            fits.getdata(path), fits.getdata(tmp_path / "many" / path.name), err_msg=path.name
        )
    assert len(many.paths()) == 10


def test_a_camera_of_ones_own(tmp_path: Path) -> None:
    camera = simulate.camera((30, 40), seed=1, filters=["SDSS r'"])
    taken = simulate.night(
        tmp_path / "a" / "b", camera=camera, biases=0, darks=0, flats=1, science=1, stars=0, progress=True
    )
    assert [path.name for path in taken.paths()] == ["flat-001-SDSS r'.fits", "science-001-SDSS r'.fits"]
    assert len(taken.truths[taken.paths("science")[0]].stars) == 0


def test_times_follow_each_other(night: simulate.Night) -> None:
    headers = [fits.getheader(path) for path in night.paths()]
    times = [datetime.fromisoformat(header["DATE-OBS"]) for header in headers]
    for header, start, following in zip(headers, times, times[1:], strict=False):
        assert (following - start).total_seconds() == header["EXPTIME"] + 15


def test_a_star_has_one_place_on_the_sky(night: simulate.Night) -> None:
    places = {}
    for path in night.paths("science"):
        wcs = WCS(fits.getheader(path))
        stars = night.truths[path].stars
        for star, position in zip(stars["id"], wcs.pixel_to_world(stars["x"], stars["y"]), strict=True):
            places.setdefault(int(star), []).append(position)
    seen_again = [positions for positions in places.values() if len(positions) == 4]
    assert len(seen_again) > 5
    for positions in seen_again:
        assert max(positions[0].separation(other).arcsec for other in positions) < 1e-6
    shifts = {WCS(fits.getheader(path)).wcs.crpix[0] for path in night.paths("science")}
    assert len(shifts) > 1


def test_fixed_pattern_is_visible_before_and_gone_after_calibration(night: simulate.Night) -> None:
    """The scatter of block means is far above that of noise, until a calibration takes the pattern out."""
    bias = np.mean([image(path) for path in night.paths("bias")], axis=0)
    dark = np.median([image(path) - bias for path in night.paths("dark")], axis=0)
    flats = [image(path) - bias for path in night.paths("flat", filter="V")]
    flat = np.mean([frame / np.median(frame) for frame in flats], axis=0)
    path = night.paths("science", filter="V")[0]
    truth = night.truths[path]
    scene = (truth.sky_rate + truth.star_rate + 0 * bias) * truth.exposure_time
    raw = image(path)
    calibrated = (raw - bias - dark) / (flat / flat.mean())

    def block_scatter(frame: np.ndarray) -> float:
        frame = np.where(truth.cosmic_ray_mask | truth.saturated | (truth.star_rate > 100), np.nan, frame)
        blocks = frame.reshape(16, 8, 20, 8).swapaxes(1, 2).reshape(16, 20, 64)
        return float(np.std(np.nanmedian(blocks, axis=2)))

    # The median of 64 values has sqrt(pi / 2) times the error of their mean.
    noise = np.sqrt(np.pi / 2 * np.median(truth.variance) / 64)
    assert block_scatter(raw - scene) > 3 * noise
    assert block_scatter(calibrated - scene) < 1.3 * noise


def test_stars_reach_from_the_limit_of_detection_to_saturation() -> None:
    camera = simulate.camera()
    stars = simulate.random_stars(camera.shape, 150, 11)
    _, truth = camera.expose("science", 60, filter="V", sky=20.0, stars=stars, rng=12)
    flux = truth.stars["flux"].value
    # CCD equation with an aperture of 5 pixels, which holds 98% of a star of 3.5 pixels.
    area = np.pi * 5**2
    snr = 0.98 * flux / np.sqrt(0.98 * flux + area * (1200 + 6 + 8**2))
    assert np.sum(snr < 5) > 5
    assert np.sum((snr > 5) & (snr < 20)) > 20
    assert np.sum(snr > 100) > 20
    assert np.sum(snr > 300) > 5
    assert 1 < truth.saturated.sum() < 300


def test_a_directory_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="is not empty; a simulated night needs a directory of its own"):
        simulate.night(tmp_path, shape=(20, 30))
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shape": (20, -30)}, "shape is"),
        ({"biases": -1}, "biases is -1; it must be a whole number"),
        ({"science": 1.5}, "science is 1.5"),
        ({"stars": -4}, "stars is -4"),
        ({"dark_exposure_time": -60}, "dark_exposure_time is -60"),
        ({"shape": (20, 30), "camera": simulate.camera((20, 30))}, "not both"),
    ],
)
def test_bad_nights_write_nothing(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        simulate.night(tmp_path / "night", **options)  # type: ignore[arg-type]  # wrong ones are the point
    assert not (tmp_path / "night").exists()


def test_a_file_is_not_overwritten_unasked(tmp_path: Path) -> None:
    frame, _ = simulate.camera((20, 30)).expose("bias", 0, rng=1)
    simulate.write_frame(tmp_path / "bias.fits", frame)
    with pytest.raises(OSError, match="already exists"):
        simulate.write_frame(tmp_path / "bias.fits", frame)
    simulate.write_frame(tmp_path / "bias.fits", frame, overwrite=True)
    np.testing.assert_array_equal(fits.getdata(tmp_path / "bias.fits"), frame.data)


def test_float_frames_are_written_as_they_are(tmp_path: Path) -> None:
    frame, _ = simulate.camera((20, 30)).expose("dark", 60, rng=1, integer=False)
    simulate.write_frame(tmp_path / "dark.fits", frame)
    data = fits.getdata(tmp_path / "dark.fits")
    np.testing.assert_array_equal(data, frame.data)
    assert data.dtype.itemsize == 4
