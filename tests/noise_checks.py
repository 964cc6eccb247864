"""What the tests of errors share: frames of known noise, and scatter compared with its prediction."""

from __future__ import annotations

import astropy.units as u
import numpy as np
from astropy.nddata import StdDevUncertainty

from astro_calib import CCDFrame


def make_frame(rng, value, sigma, shape=(300, 300), *, unit=u.electron, dtype=np.float64, **kwargs):
    """A frame of Gaussian noise that is its own: `value` and `sigma` are numbers or arrays."""
    data = rng.normal(value, sigma, shape).astype(dtype)
    sigmas = StdDevUncertainty(np.broadcast_to(np.asarray(sigma, dtype=dtype), shape).copy())
    return CCDFrame(data, unit=unit, uncertainty=sigmas, **kwargs)


def varied_frame(rng, value, sigma, unit="electron", shape=(3, 4), dtype=float):
    """A frame with one number for its sigma; its pixels differ, so that it can be told from others."""
    values = rng.uniform(0.8, 1.2, shape) * value
    sigmas = StdDevUncertainty(np.full(shape, sigma, dtype))
    return CCDFrame(values.astype(dtype), unit=unit, uncertainty=sigmas)


def ratio_of_scatter(errors, variance):
    """
    Root mean square error over the root of the mean predicted variance, with its standard error.

    The standard error comes from the scatter of the squared errors, so that it holds for other than Gaussian noise.
    """
    squares = np.square(np.asarray(errors, dtype=np.float64)).ravel()
    ratio = np.sqrt(squares.mean() / np.mean(variance, dtype=np.float64))
    return ratio, ratio * squares.std() / squares.mean() / np.sqrt(squares.size) / 2


def assert_scatters_as_predicted(errors, variance, tolerance=0.01):
    """The judge of error bars: scatter about the truth, with a standard error of at most a third of the tolerance."""
    assert np.mean(variance) > 0, "no error predicted"
    ratio, standard_error = ratio_of_scatter(errors, variance)
    assert 3 * standard_error <= tolerance * max(ratio, 1), "too few draws to tell"
    assert abs(ratio - 1) < tolerance, f"observed over predicted: {ratio:.4f} +- {standard_error:.4f}"
