"""Cosmic rays in a night's science frames, found by comparing the frames of a field."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from astro_calib import CCDFrame, DataQuality, reduce_night, simulate
from astro_calib.night.matching.neighbours import neighbours
from astro_calib.photometry.offset import offset_between

QUICK = {"progress": False, "pictures": False, "stars": False, "detector": "header", "cosmic_rays": "compare"}


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A dithered night of one field, four frames of each of two exposure times, and its reduction."""
    directory = tmp_path_factory.mktemp("compared")
    camera = simulate.camera((160, 192), seed=5, filters=["V"])
    night = simulate.night(directory / "raw", seed=5, camera=camera, science=8, biases=5, darks=4, flats=4)
    return night, reduce_night(directory / "raw", directory / "out", **QUICK)


@pytest.mark.long
def test_hits_are_found_and_stars_are_not_taken_for_hits(compared):
    night, summary = compared
    strong = found = false = pixels = 0
    for path in night.paths("science"):
        image = CCDFrame.read(summary.out / "calibrated" / path.name)
        charge = night.truths[path].cosmic_rays
        flagged = (image.flags & DataQuality.COSMIC_RAY) != 0
        assert image.mask[flagged].all()
        hit = charge > 10 * np.sqrt(image.variance)
        strong += hit.sum()
        found += (hit & flagged).sum()
        # A hit may take in the pixels beside it.
        false += (flagged & ~binary_dilation(charge > 0, np.ones((3, 3)))).sum()
        pixels += image.data.size
    assert strong > 50
    assert found > 0.9 * strong
    # Less than 5 sigma of Gaussian noise and its tails, in 245760 pixels with 1500 images of stars.
    assert false < 1e-4 * pixels
    assert not [remark for remark in summary.remarks if "L.A.Cosmic" in remark]


@pytest.mark.long
def test_the_results_say_with_what_a_frame_was_compared(compared):
    night, summary = compared
    image = CCDFrame.read(summary.out / "calibrated" / "science-001-V.fits")
    step = image.provenance[-1]
    assert step["step"] == "find_cosmic_rays"
    times = [night.truths[path].exposure_time for path in night.paths("science")]
    same = [path.name for path, time in zip(night.paths("science"), times, strict=True) if time == times[0]]
    assert sorted([*step["parameters"]["frames"], "science-001-V.fits"]) == same


@pytest.mark.long
def test_a_frame_without_another_of_its_field_is_searched_alone_which_is_said(compared, tmp_path):
    night, _ = compared
    for path in night.directory.iterdir():
        if not path.name.startswith("science") or path.name == "science-001-V.fits":
            (tmp_path / "raw").mkdir(exist_ok=True)
            (tmp_path / "raw" / path.name).symlink_to(path)
    summary = reduce_night(tmp_path / "raw", tmp_path / "out", **QUICK)
    (remark,) = [remark for remark in summary.remarks if "L.A.Cosmic" in remark]
    assert remark.startswith("science-001-V.fits: cosmic rays were searched for without comparing frames")
    image = CCDFrame.read(tmp_path / "out" / "calibrated" / "science-001-V.fits")
    assert (image.flags & DataQuality.COSMIC_RAY).any()


def raw(name, time, **options):
    given = {"object": "M 13", "filter": "V", "exposure_time": 60.0, "shape": (10, 10)} | options
    return SimpleNamespace(name=name, time=time, **given)


def names(found):
    return {key: [frame.name for frame in value] for key, value in found.items()}


def test_neighbours_are_of_the_same_field_and_exposure_and_the_nearest_in_time_first():
    frames = [
        raw("a", 1.0),
        raw("b", 9.0),
        raw("c", 2.0, exposure_time=60.1),
        raw("d", 3.5),
        raw("other", 2.5, object="M 31"),
        raw("red", 2.5, filter="R"),
        raw("short", 2.5, exposure_time=5.0),
        raw("window", 2.5, shape=(5, 10)),
    ]
    found = names(neighbours(frames))
    assert found["a"] == ["c", "d", "b"]
    assert found["d"] == ["c", "a", "b"]
    assert [found[name] for name in ("other", "red", "short", "window")] == [[]] * 4


def test_no_more_than_four_neighbours_and_without_times_those_beside_it():
    found = names(neighbours([raw(str(number), None) for number in range(9)]))
    assert sorted(found["4"]) == ["2", "3", "5", "6"]
    assert sorted(found["0"]) == ["1", "2", "3", "4"]


def test_an_offset_is_that_of_most_stars_and_chance_gives_none():
    rng = np.random.default_rng(4)
    stars = rng.uniform(0, 1000, (60, 2))
    moved = stars + np.array([17.3, -4.6]) + rng.normal(0, 0.1, stars.shape)
    # A third of each list are hits and stars that the other frame does not show.
    first, second = (
        np.concatenate([stars[:40], rng.uniform(0, 1000, (20, 2))]),
        np.concatenate([rng.uniform(0, 1000, (20, 2)), moved[:40]]),
    )
    assert offset_between(rng.permutation(first), rng.permutation(second)) == pytest.approx([17.3, -4.6], abs=0.1)
    assert offset_between(stars, rng.uniform(0, 1000, (60, 2))) is None
    assert offset_between(stars, np.empty((0, 2))) is None


def test_what_stays_on_the_detector_does_not_pass_for_stars():
    rng = np.random.default_rng(7)
    stars, fixed = rng.uniform(0, 1000, (12, 2)), rng.uniform(0, 1000, (15, 2))
    assert (
        offset_between(np.concatenate([fixed, stars]), np.concatenate([fixed, stars + np.array([30.0, 5.0])])) is None
    )
