"""Frames that others refer to: each is itself, however much another looks like it."""

from __future__ import annotations

import numpy as np
import pytest

from astro_calib import CCDFrame, NoiseSource, UncertaintyBudget, flat_correct

SHAPE = (200, 200)


def flat(value):
    """One everywhere, but for a block of pixels that a sparse sample would not see."""
    data = np.ones(SHAPE)
    data[101:103, 101:103] = value
    return data


@pytest.mark.parametrize("written", [(0,), (0, 1)])
def test_flats_that_differ_in_a_few_pixels_are_two_flats_also_after_they_were_written(written, tmp_path):
    flats = [CCDFrame(flat(value), unit="adu") for value in (1.5, 4.0)]
    for number in written:
        flats[number].write(tmp_path / f"{number}.fits")
    image = CCDFrame(np.full(SHAPE, 10.0), unit="electron", uncertainty=np.ones(SHAPE))
    for one in flats:
        result = flat_correct(image, one)
        norm = one.data.mean()
        np.testing.assert_allclose(result.data, 10 / (one.data / norm), rtol=1e-12)
        np.testing.assert_allclose(result.variance, (norm / one.data) ** 2, rtol=1e-12)
        np.testing.assert_allclose((image * one).variance, one.data**2, rtol=1e-12)


def test_frames_of_the_same_pixels_and_sources_with_other_coefficients_do_not_cancel():
    source = NoiseSource("bias", 9.0)
    coefficients = [np.full(SHAPE, 1.0), np.full(SHAPE, 3.0)]
    masters = [
        CCDFrame(np.ones(SHAPE), unit="adu", budget=UncertaintyBudget(SHAPE, [(source, one)])) for one in coefficients
    ]
    image = CCDFrame(np.full(SHAPE, 10.0), unit="adu")
    results = [flat_correct(image, one, norm_value=1.0) for one in masters]
    # z = s / f: dz/df = -10, once with the coefficient 1, once with 3.
    np.testing.assert_allclose((results[0] - results[1]).variance, 9.0 * (10 * (3 - 1)) ** 2, rtol=1e-6)


def test_what_is_kept_of_a_snapshot_is_made_anew_after_the_data_were_written_into():
    frame = CCDFrame(np.ones(SHAPE), unit="adu")

    def level():
        snapshot = frame.snapshot()
        return snapshot.cached("level", (), lambda: float(snapshot.pixels.mean()))

    assert level() == 1
    frame.data[...] = 5
    assert level() == 5


def test_a_frame_made_of_a_snapshot_notices_when_the_shared_data_are_written_into():
    frame = CCDFrame(np.ones(SHAPE), unit="adu", uncertainty=np.ones(SHAPE))
    snapshot = frame.snapshot()
    result = snapshot.replace(snapshot.pixels, snapshot.known_budget)
    before = result.budget.terms[0][0].identity
    frame.data[...] = 0
    assert result.budget.terms[0][0].identity != before
