"""How frames are compared with their models, and with each other."""

from __future__ import annotations

import numpy as np

from astro_calib import DataQuality

#: Below the least normal float32 nothing is known of rounding errors.
LEAST = 1e-30


def assert_within(value, exact, error, what=""):
    """The value is the exact one but for rounding errors, which are known."""
    __tracebackhide__ = True
    difference = np.abs(np.asarray(value, dtype=float) - exact)
    assert np.all(difference <= error + LEAST), f"{what}\n{value}\n is not\n{exact}\n within\n{error}"


def flags_of(frame):
    """The flags, but not the remark on a divisor whose error is large: nearly all of these frames' are."""
    if frame.flags is None:
        return np.zeros(frame.shape, np.uint16)
    return frame.flags & ~np.uint16(DataQuality.UNCERTAIN_DIVISOR)


def assert_agrees(frame, model, rng):
    """Everything that a frame says of itself is what its model says."""
    __tracebackhide__ = True
    assert frame.unit == model.unit
    assert np.result_type(frame.dtype, np.float32) == model.dtype  # raw frames and their cuts stay whole numbers
    assert_within(frame.data, model.value, model.rounding * model.size, "data")
    np.testing.assert_array_equal(False if frame.mask is None else frame.mask, model.mask)
    np.testing.assert_array_equal(flags_of(frame), model.flags)
    if not model.jacobian:
        assert frame.variance is None
        return
    assert frame.variance.dtype == model.dtype
    assert_within(frame.variance, *model.variance(), "variance")
    parts = sum(part.astype(float) for part in frame.budget.variances().values())
    assert_within(parts, *model.variance(), "parts of the variance")
    for weights in (np.ones(frame.shape), rng.normal(size=frame.shape) * (rng.random(frame.shape) < 0.7)):
        assert_within(frame.budget.variance_of_sum(weights), *model.variance_of_sum(weights), "variance of a sum")


def assert_same_noise(one, other, model_of_one, model_of_other, what=""):
    """Two frames have the same values and, draw by draw, the same noise; the models tell the rounding errors."""
    __tracebackhide__ = True
    if one.unit != other.unit:
        other, model_of_other = (pair.convert_unit_to(one.unit) for pair in (other, model_of_other))
    size = model_of_one.rounding * model_of_one.size + model_of_other.rounding * model_of_other.size
    assert_within(one.data, other.data.astype(float), size, what)
    if not model_of_one.jacobian and not model_of_other.jacobian:
        return
    difference = one - other
    variance, error = (model_of_one - model_of_other).variance()
    assert_within(variance, 0, error, f"{what}: the models")
    assert_within(0 if difference.variance is None else difference.variance, 0, error, what)
