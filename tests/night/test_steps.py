"""Steps beside the usual: those that options and ``[steps]`` of a profile ask for, compared with plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from astro_calib import CCDFrame, DataQuality
from astro_calib.characterize import fringe_map, shutter_map
from astro_calib.errors import FrameError, ProfileError
from astro_calib.night import load_profile, reduce_night

SHAPE = (64, 96)
GAIN, NOISE, LEVEL, SKY = 2.0, 6.0, 1000.0, 800.0
QUIET = {"progress": False, "pictures": False, "stars": False, "gain": GAIN, "read_noise": NOISE}


@pytest.fixture
def rng():
    return np.random.default_rng(4711)


@pytest.fixture
def take(raw, rng):
    """Write a raw frame of so many electrons; return their true mean."""

    def written(name, kind, electrons=0.0, **cards):
        values = rng.poisson(np.broadcast_to(electrons, SHAPE)) + rng.normal(0, NOISE, SHAPE)
        header = fits.Header([("IMAGETYP", kind), ("EXPTIME", 0.0 if kind == "BIAS" else 30.0)])
        header.update(cards)
        fits.writeto(raw / name, np.rint(values / GAIN + LEVEL).astype(np.uint16), header)

    return written


@pytest.fixture
def night(take):
    for number in range(5):
        take(f"b{number}.fits", "BIAS")
    for number in range(4):
        take(f"f{number}.fits", "FLAT", 40000.0, FILTER="I")
    return take


def reduced(raw, tmp_path, **options):
    summary = reduce_night(raw, tmp_path / "out", **QUIET | options)
    return CCDFrame.read(summary.frames[0].path), summary


def test_a_sky_that_slopes_is_subtracted_with_its_error(raw, tmp_path, night):
    night("m13.fits", "OBJECT", SKY + 2.0 * np.arange(SHAPE[1]), FILTER="I")
    image, _ = reduced(raw, tmp_path, sky=1)
    assert abs(image.data.mean()) < 3 * np.sqrt(SKY / image.data.size) + 0.5
    assert np.std(image.data / np.sqrt(image.variance)) == pytest.approx(1, abs=0.03)
    assert any(source.name == "sky" for source, _ in image.budget.terms)


def test_a_sky_of_one_level_is_asked_for_by_0(raw, tmp_path, night):
    night("m13.fits", "OBJECT", SKY, FILTER="I")
    image, summary = reduced(raw, tmp_path, sky=0)
    assert abs(image.data.mean()) < 1
    assert summary.to_dict()["setups"][0]["steps"] == ["sky: 0"]


def test_pixels_are_added_up_with_the_noise_of_their_sum(raw, tmp_path, night):
    night("m13.fits", "OBJECT", SKY, FILTER="I")
    image, _ = reduced(raw, tmp_path, bin=2)
    assert image.shape == (SHAPE[0] // 2, SHAPE[1] // 2)
    assert np.mean(image.data) == pytest.approx(4 * SKY, rel=0.01)
    assert np.std(image.data) == pytest.approx(np.sqrt(4 * (SKY + NOISE**2)), rel=0.06)
    assert np.mean(np.sqrt(image.variance)) == pytest.approx(np.sqrt(4 * (SKY + NOISE**2)), rel=0.06)


def test_cosmic_rays_are_masked(raw, tmp_path, night):
    struck = np.full(SHAPE, SKY)
    struck[30, 40:43] += 20000.0
    night("m13.fits", "OBJECT", struck, FILTER="I")
    image, _ = reduced(raw, tmp_path, cosmic_rays="mask")
    assert np.all(image.flags[30, 40:43] & DataQuality.COSMIC_RAY)
    assert np.all(image.mask[30, 40:43])


def test_planes_of_a_colour_sensor_are_written_beside_the_mosaic(raw, tmp_path, take):
    light = np.ones(SHAPE)
    light[1::2, 1::2] = 0.5
    for number in range(5):
        take(f"b{number}.fits", "BIAS", BAYERPAT="RGGB")
    for number in range(4):
        # A lamp of red light.
        red = np.full(SHAPE, 10000.0)
        red[::2, ::2] = 40000.0
        take(f"f{number}.fits", "FLAT", red, BAYERPAT="RGGB")
    take("m42.fits", "OBJECT", SKY * light, BAYERPAT="RGGB")
    summary = reduce_night(raw, tmp_path / "out", **QUIET, colours=True)
    assert not any("different colours" in remark for remark in summary.remarks)
    for colour, level in {"R": 1.0, "G1": 1.0, "G2": 1.0, "B": 0.5}.items():
        plane = CCDFrame.read(tmp_path / "out" / "calibrated" / f"m42-{colour}.fits")
        assert plane.shape == (SHAPE[0] // 2, SHAPE[1] // 2)
        # Three standard errors of its mean.
        assert np.mean(plane.data) == pytest.approx(SKY * level, abs=3 * np.sqrt(SKY / plane.data.size) + 2)
        assert np.std(plane.data) == pytest.approx(np.sqrt(np.mean(plane.variance)), rel=0.06)


def test_fringes_of_a_file_are_subtracted_from_the_frames_of_its_filter(raw, tmp_path, rng, night):
    x = np.arange(SHAPE[1])
    pattern = np.broadcast_to(0.1 * np.cos(x * 2 * np.pi / 24), SHAPE)
    skies = []
    for _ in range(8):
        values = rng.poisson(20000 * (1 + pattern)).astype(np.float32)
        skies.append(CCDFrame(values, unit="electron", uncertainty=np.sqrt(values)))
    fringe_map(skies).write(tmp_path / "fringe-I.fits")
    night("m13.fits", "OBJECT", SKY * (1 + pattern), FILTER="I")
    profile = tmp_path / "mine.toml"
    profile.write_text('[steps]\nfringe = { I = "fringe-I.fits" }\n', encoding="utf-8")
    image, _ = reduced(raw, tmp_path, profile=profile)
    columns = image.data.mean(axis=0)
    # Before, columns scatter by 57 electrons. Their own noise is 3.6, and a map has no pattern of a large scale.
    assert np.std(columns) < 57 / 5
    assert any(source.name.startswith("fringe") for source, _ in image.budget.terms)


def test_the_shutter_is_corrected_in_flats_and_science_frames(raw, tmp_path, rng, night):
    delay = np.broadcast_to(np.linspace(-0.5, 0.5, SHAPE[1]), SHAPE)

    def exposed(seconds):
        values = rng.poisson(5000 * (seconds + delay), SHAPE).astype(np.float32)
        return CCDFrame(values, unit="electron", uncertainty=np.sqrt(values), meta={"EXPTIME": seconds})

    short, long = [exposed(2.0) for _ in range(6)], [exposed(60.0) for _ in range(6)]
    shutter_map(short, long, lamp=0.001).write(tmp_path / "shutter.fits")
    for number in range(4):
        # The flats have the pattern, too, of 30 s.
        (raw / f"f{number}.fits").unlink()
        night(f"f{number}.fits", "FLAT", 40000.0 * (1 + delay / 30), FILTER="I")
    night("m13.fits", "OBJECT", SKY * (1 + delay / 2), FILTER="I", EXPTIME=2.0)
    profile = tmp_path / "mine.toml"
    profile.write_text('[steps]\nshutter = "shutter.fits"\n', encoding="utf-8")
    image, _ = reduced(raw, tmp_path, profile=profile)
    left, right = image.data[:, :24].mean(), image.data[:, -24:].mean()
    # Without the correction the ends differ by 300 electrons.
    assert abs(left - right) < 8


@pytest.mark.parametrize("step", ["fringe", "shutter", "crosstalk"])
def test_a_file_that_cannot_be_read_is_named_before_anything_is_made(raw, tmp_path, night, step):
    night("m13.fits", "OBJECT", SKY, FILTER="I")
    profile = tmp_path / "mine.toml"
    profile.write_text(f'[steps]\n{step} = "none.fits"\n', encoding="utf-8")
    with pytest.raises(FrameError, match=r"none\.fits cannot be read: No such file or directory.*\[steps\]"):
        reduce_night(raw, tmp_path / "out", **QUIET, profile=profile)
    assert not (tmp_path / "out").exists()


def test_the_summary_tells_the_steps(raw, tmp_path, night):
    night("m13.fits", "OBJECT", SKY, FILTER="I")
    _, summary = reduced(raw, tmp_path, sky=1, cosmic_rays="mask")
    assert "steps beside the usual: sky: 1; cosmic rays: mask" in summary.text()
    assert summary.to_dict()["setups"][0]["steps"] == ["sky: 1", "cosmic rays: mask"]


@pytest.mark.parametrize("step", [{"cosmic_rays": "repair"}, {"sky": 1}])
def test_steps_that_look_at_neighbours_refuse_a_mosaic_of_colours(raw, tmp_path, night, step):
    night("m42.fits", "OBJECT", SKY, BAYERPAT="RGGB", FILTER="I")
    with pytest.raises(FrameError, match=f"BAYERPAT='RGGB'.*reduce it without {next(iter(step)).replace('_', ' ')}"):
        reduce_night(raw, tmp_path / "out", **QUIET, **step)


@pytest.mark.parametrize(("cards", "found"), [({}, "its header has no BAYERPAT"), ({"BAYERPAT": "CYGM"}, "'CYGM'")])
def test_colours_that_no_header_tells_are_missed_with_a_remark(raw, tmp_path, night, cards, found):
    night("m42.fits", "OBJECT", SKY, FILTER="I", **cards)
    _, summary = reduced(raw, tmp_path, colours=True)
    assert any(found in remark and "no planes of colours are written" in remark for remark in summary.remarks)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('cosmic_rays = "kill"', r"steps\.cosmic_rays is 'kill'; it must be one of repair, mask"),
        ("bin = 1", r"steps\.bin is 1; it must be a whole number from 2 to 64"),
        ("sky = true", r"steps\.sky is True"),
        ("fringe = {}", r"steps\.fringe is \{\}; it must be the path of a master"),
        ("fringes = 3", r"\[steps\] has unknown key 'fringes'; allowed are crosstalk"),
        ("bin = 2\ncolours = true", "different colours"),
    ],
)
def test_a_step_that_makes_no_sense_is_refused(tmp_path, text, said):
    profile = tmp_path / "mine.toml"
    profile.write_text(f"[steps]\n{text}\n", encoding="utf-8")
    with pytest.raises(ProfileError, match=said):
        load_profile(profile)


@pytest.mark.parametrize(("text", "options"), [("colours = true", {"bin": 2}), ("bin = 2", {"colours": True})])
def test_a_step_of_the_profile_that_forbids_one_of_the_options_is_refused(raw, tmp_path, night, text, options):
    night("m13.fits", "OBJECT", SKY, FILTER="I")
    profile = tmp_path / "mine.toml"
    profile.write_text(f"[steps]\n{text}\n", encoding="utf-8")
    with pytest.raises(ValueError, match="different colours"):
        reduced(raw, tmp_path, profile=profile, **options)
