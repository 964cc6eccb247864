"""Find cosmic rays in one frame, and replace them by an estimate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData

from astro_calib.arguments import check_positive, check_switch
from astro_calib.dtypes import floating
from astro_calib.flags import DataQuality
from astro_calib.frame.rebuild import as_frame, with_quality
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.source import NoiseSource

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["cosmicray_lacosmic"]

#: Side of the box around a repaired pixel from which its error is estimated.
BOX = 5


def cosmicray_lacosmic(
    ccd: CCDFrame, sigclip: float = 4.5, objlim: float = 5.0, *, repair: bool = True, **kwargs: Any
) -> CCDFrame:
    r"""
    Repair cosmic rays found by L.A.Cosmic, or mask them only.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        A calibrated frame in electrons. Where it has a variance, that is what the detection compares with.
    sigclip, objlim : float
        Detection limit in standard deviations, and the contrast between a cosmic ray and the object beneath it.
    repair : bool
        False to leave values and noise as they are: hit pixels are flagged and masked only.
    **kwargs
        More arguments of `ccdproc.cosmicray_lacosmic`, which does the detection.

    Returns
    -------
    CCDFrame
        With hit pixels flagged `DataQuality.COSMIC_RAY` and masked, so that `combine` leaves them out, and replaced
        unless they are not to be.

    Raises
    ------
    astropy.units.UnitConversionError
        If the frame is not in electrons.

    Notes
    -----
    The variance of a replacement is the mean variance of the n good pixels in the 5 x 5 box around it times
    :math:`\pi/(2n)`, that of their median, plus their scatter squared: the truth may lie anywhere in their range. It is
    a source of its own ("cosmic ray repair"); the sources of the pixel that was hit are taken out.

    References
    ----------
    van Dokkum 2001, PASP 113, 1420 (doi:10.1086/323894); McCully et al. 2018, astroscrappy
    (doi:10.5281/zenodo.1482019).

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from astro_calib import CCDFrame, cosmicray_lacosmic
    >>> pixels = (
    ...     np.random.default_rng(3).normal(100, 10, (50, 50)).astype("float32")
    ... )
    >>> pixels[20, 30] = 5000
    >>> image = CCDFrame(
    ...     pixels,
    ...     unit="electron",
    ...     uncertainty=StdDevUncertainty(np.full((50, 50), 10.0)),
    ... )
    >>> repaired = cosmicray_lacosmic(image)
    >>> int(repaired.flags[20, 30]), bool(repaired.data[20, 30] < 200)
    (8, True)
    """
    ccd = as_frame(ccd)
    if ccd.unit != u.electron:
        msg = f"{ccd.name} is in {ccd.unit}; cosmic rays are looked for in electrons. Apply gain_correct first."
        raise u.UnitConversionError(msg)
    import ccdproc

    repair = check_switch("repair", repair)
    sigclip, objlim = check_positive("sigclip", sigclip), check_positive("objlim", objlim)
    data = floating(ccd.pixels)
    finite = np.where(np.isfinite(data), data, 0).astype(np.float32)
    variance = ccd.variance
    if variance is not None:
        kwargs.setdefault("invar", np.where(np.isfinite(variance), variance, 0).astype(np.float32))
        # With a variance given, these serve only as the floor and do not count twice.
        kwargs.setdefault("inbkg", np.zeros_like(finite))
    # As a CCDData, because only of that the mask is heeded: a dead column makes its neighbours look like hits.
    masked = np.zeros(ccd.shape, dtype=bool) if ccd.mask is None else ccd.mask
    plain = CCDData(finite, unit=u.electron, mask=masked.copy())
    found = ccdproc.cosmicray_lacosmic(plain, sigclip=sigclip, objlim=objlim, gain_apply=False, **kwargs)
    hit = np.asarray(found.mask, dtype=bool) & ~masked
    cleaned = found.data
    if not (hit.any() and repair):
        return with_quality(ccd, hit, DataQuality.COSMIC_RAY)
    repaired = data.copy()
    repaired[hit] = np.asarray(cleaned)[hit]
    budget = None if ccd.known_budget is None else _repaired_budget(ccd.known_budget, hit, ccd.mask, repaired)
    return with_quality(ccd.replace(repaired, budget), hit, DataQuality.COSMIC_RAY)


def _repaired_budget(
    budget: UncertaintyBudget, hit: NDArray[np.bool_], mask: NDArray[np.bool_] | None, data: NDArray[Any]
) -> UncertaintyBudget:
    good = ~hit if mask is None else ~(hit | mask)
    good &= np.isfinite(data)
    variance = np.zeros(data.shape, dtype=budget.dtype)
    before = budget.variance()
    for row, column in zip(*np.nonzero(hit), strict=True):
        box = (
            slice(max(row - BOX // 2, 0), row + BOX // 2 + 1),
            slice(max(column - BOX // 2, 0), column + BOX // 2 + 1),
        )
        around = good[box]
        number = np.count_nonzero(around)
        if number < 2:
            variance[row, column] = np.nanmax(before[box])
            continue
        scatter = np.var(data[box][around], ddof=1, dtype=np.float64)
        variance[row, column] = np.pi / 2 / number * np.mean(before[box][around], dtype=np.float64) + scatter
    untouched = (~hit).astype(budget.dtype)
    terms = [(source, coefficient.times(untouched)) for source, coefficient in budget.terms]
    terms.append((NoiseSource("cosmic ray repair", variance), Coefficient(1.0)))
    return UncertaintyBudget(budget.shape, terms, budget.dtype, data)
