"""
How far the median, the clipped and the trimmed mean of Gaussian values scatter, compared with their plain mean.

Each factor is a variance in units of that of a mean of independent values, sigma^2 / n: of all N for the median,
of the n that are left for the means. If sigma is not known, the same factor times s^2 / n estimates the variance,
where s^2 is the scatter (N - 1) of the sample before anything is left out, whose expectation is sigma^2. `Estimator`
is what `astro_calib.combine` asks of an estimator, yours included.
"""

from __future__ import annotations

from astro_calib.estimators.clipped import clipped_mean_variance_factor
from astro_calib.estimators.estimator import Estimator
from astro_calib.estimators.median import (
    median_probabilities,
    median_variance,
    median_variance_exact,
    median_variance_factor,
    median_variance_factors,
)
from astro_calib.estimators.trimmed import trimmed_mean_variance_factor

__all__ = [
    "Estimator",
    "clipped_mean_variance_factor",
    "median_probabilities",
    "median_variance",
    "median_variance_exact",
    "median_variance_factor",
    "median_variance_factors",
    "trimmed_mean_variance_factor",
]
