"""What is the same noise, and what starts a new source; and that nothing happens to what is calculated with."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from astropy.nddata import StdDevUncertainty, VarianceUncertainty
from hypothesis import assume, given
from hypothesis import strategies as st

from astro_calib import CCDFrame, covariance
from tests.noise.test_identity import through_pickle
from tests.semantics.calculations import calculations, evaluated
from tests.semantics.checks import assert_same_noise
from tests.semantics.strategies import examples, pools

COPIES = {
    "copy()": CCDFrame.copy,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "pickle": through_pickle,
    "constructor": CCDFrame,
    "constructor with copy": lambda frame: CCDFrame(frame, copy=True),
    "all of it": lambda frame: frame[...],
}


@pytest.mark.long
@examples(40)
@given(st.data())
def test_a_copy_is_the_same_noise(data):
    pool = data.draw(pools())
    results = data.draw(calculations(pool))
    frames = evaluated(results)
    frame, model = frames[-1], results[-1].model
    for what, again in COPIES.items():
        same = again(frame)
        assert type(same) is CCDFrame
        assert_same_noise(same, frame, model, model, what)
        if frame.variance is None:
            continue
        np.testing.assert_array_equal(same.variance, frame.variance)
        np.testing.assert_array_equal(covariance(same, frame), covariance(frame, frame))
        for other in frames:
            if other.shape == frame.shape:
                np.testing.assert_array_equal(covariance(same, other), covariance(frame, other))
        # The same after another step, which needs the derivatives and not only their sum.
        assert_same_noise(same * frame, frame * same, model * model, model * model, what)


def write_a_pixel(frame, values):
    frame.data[0, 0] = values[0, 0]


def write_all(frame, values):
    frame.data[...] = values


def write_through_a_cut(frame, values):
    frame[-1:].data[...] = values[-1:]


def assign_data(frame, values):
    frame.data = values


def assign_the_same_data(frame, _values):
    frame.data = frame.data.copy()


WRITES = [write_a_pixel, write_all, write_through_a_cut, assign_data, assign_the_same_data]


@examples(40)
@given(st.data(), st.sampled_from(WRITES))
def test_what_is_written_into_the_data_has_its_variance_and_shares_it_with_nobody(data, write):
    pool = data.draw(pools())
    frames = evaluated(data.draw(calculations(pool)))
    frame = frames[-1].copy()
    assume(frame.variance is not None)
    variance = frame.variance.copy()
    write(frame, frame.data + 1)
    np.testing.assert_array_equal(frame.variance, variance)
    for other in frames:
        if other.shape == frame.shape:
            np.testing.assert_array_equal(covariance(frame, other), 0)
    np.testing.assert_array_equal(covariance(frame, frame), frame.variance)
    np.testing.assert_array_equal((frame - frame.copy()).variance, 0)


@examples(40)
@given(st.data(), st.sampled_from([StdDevUncertainty, VarianceUncertainty, np.asarray]))
def test_assigning_an_uncertainty_starts_a_new_source(data, kind):
    pool = data.draw(pools())
    frames = evaluated(data.draw(calculations(pool)))
    frame = frames[-1].copy()
    sigma = pool.rng.uniform(1, 2, frame.shape).astype(np.result_type(frame.dtype, np.float32))
    frame.uncertainty = kind(sigma**2 if kind is VarianceUncertainty else sigma)
    np.testing.assert_allclose(frame.variance, sigma**2, rtol=1e-6)
    for other in frames:
        if other.shape == frame.shape:
            np.testing.assert_array_equal(covariance(frame, other), 0)
    np.testing.assert_array_equal((frame - frame.copy()).variance, 0)


def state(operand):
    """All that can be seen of an operand, as it is now."""
    uncertainty = operand.uncertainty
    arrays = operand.data, operand.mask, operand.flags, None if uncertainty is None else uncertainty.array
    sources = operand.budget.terms if isinstance(operand, CCDFrame) else ()
    return [copy.deepcopy(array) for array in arrays], dict(operand.meta), operand.unit, [s.key for s, _ in sources]


@examples(40)
@given(st.data())
def test_nothing_that_is_calculated_with_is_changed(data):
    pool = data.draw(pools())
    for name, operand in pool.frames.items():
        operand.meta["OBJECT"] = name
    before = {name: state(operand) for name, operand in pool.frames.items()}
    evaluated(data.draw(calculations(pool)))
    for name, operand in pool.frames.items():
        arrays, *others = before[name]
        now, *others_now = state(operand)
        assert others == others_now
        for one, other in zip(arrays, now, strict=True):
            np.testing.assert_array_equal(one, other)
