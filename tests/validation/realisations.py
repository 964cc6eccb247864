"""What the tests of trials share: the comparison of a few realisations."""

from __future__ import annotations

import numpy as np

from astro_calib.validation.comparison import Comparison
from astro_calib.validation.trial import Sums


def compare(realisations):
    """Errors and variances of each realisation, compared."""
    sums = [Sums.of(errors, variances) for errors, variances in realisations]
    return Comparison.of(*np.reshape(sums, (-1, 3)).T)


def compared(trial, seeds):
    """The comparison of the realisations of a trial that these seeds give."""
    return compare([trial.reduce(trial.draw(np.random.default_rng(seed))) for seed in seeds])
