"""How far the variance predicted is from the truth, on average, by the model of the shot noise."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from astropy.table import Table

__all__ = ["shot_noise_bias"]


def shot_noise_bias(*, frames: int = 64, seed: int = 0) -> Table:
    """
    The bias of the variance that each model of the shot noise predicts.

    Parameters
    ----------
    frames : int
        How many frames of 128 x 128 pixels are simulated for each sky and each read noise.
    seed : int
        The same seed gives the same frames.

    Returns
    -------
    Table
        A row for each model, read noise and sky (``model``; ``read_noise`` and ``sky`` in electrons), with the mean
        variance predicted over the true one (``ratio``) and its standard error (``ratio_error``). The true variance is
        the sum of those of a sky of Poisson and a read noise of Gaussian statistics, and of rounding to whole numbers
        of electrons. With an array of the true sky the same sum is predicted, so that its ratio is 1.

    Raises
    ------
    ValueError
        If there are fewer than two frames.

    Examples
    --------
    >>> from astro_calib.validation import shot_noise_bias
    >>> table = shot_noise_bias(frames=2)
    >>> len(table), bool((abs(table["ratio"] - 1) < 0.02).all())
    (45, True)
    """
    from astropy.table import Table

    from astro_calib.validation.trials.electrons import FINE, MODELS, READ_NOISES, SKIES, draw_sky, mean_variance

    if frames < 2:
        msg = f"frames is {frames}; two or more are needed to tell how they scatter."
        raise ValueError(msg)
    rows = []
    for model, read_noise, sky in product(MODELS, READ_NOISES, SKIES):
        # The same frames for all models.
        seeds = np.random.SeedSequence(seed, spawn_key=(int(read_noise), int(sky))).spawn(frames)
        drawn = (draw_sky(np.random.default_rng(one), sky, read_noise) for one in seeds)
        predicted = [mean_variance(one, model, sky, read_noise) for one in drawn]
        ratios = np.array(predicted) / (read_noise**2 + FINE**2 / 12 + sky)
        rows.append((model, read_noise, sky, ratios.mean(), ratios.std(ddof=1) / np.sqrt(frames)))
    return Table(rows=rows, names=("model", "read_noise", "sky", "ratio", "ratio_error"))
