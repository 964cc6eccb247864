"""What a frame gives to other packages: its errors as they take them, and a word on what they leave behind."""

from __future__ import annotations

from copy import deepcopy
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.nddata import CCDData, InverseVariance, StdDevUncertainty, VarianceUncertainty

from astro_calib.arguments import described
from astro_calib.errors import FrameError, NoiseWarning, warn
from astro_calib.frame.askers import adds_up_errors, asks_for_deviations, takes_pixels
from astro_calib.frame.base import UNNAMED, BaseFrame
from astro_calib.noise.covariance_matrix import covariance_matrix, is_white

if TYPE_CHECKING:
    from astropy.io import fits
    from astropy.nddata import Covariance, Cutout2D, NDUncertainty
    from numpy.typing import NDArray

__all__ = ["Exports"]

#: The kinds of uncertainty that a plain CCDData can have of a frame.
KINDS = (StdDevUncertainty, VarianceUncertainty, InverseVariance)
#: A matrix of covariances of more pixels than these, each with each, is not made: 50 x 50.
MOST_PIXELS = 2500
#: The side of a square of pixels, about as large as an aperture, on which shared noise is looked at.
SIDE = 10
#: Shared noise that changes the error of a sum by a smaller part is not worth a word.
NEGLIGIBLE = 0.02


class Exports(BaseFrame):
    """A frame that other packages can use."""

    @property
    def sigma(self) -> NDArray[Any] | None:
        """
        The standard deviation of each pixel, in the frame's unit; read-only; None for a frame that counts as exact.

        Found once, and kept until the frame's noise changes.

        Examples
        --------
        >>> import numpy as np
        >>> from astro_calib import CCDFrame
        >>> CCDFrame(
        ...     [[100.0, 90.0]], unit="electron", uncertainty=np.array([[5.0, 4.0]])
        ... ).sigma
        array([[5., 4.]])
        """
        budget = self.known_budget
        return None if budget is None else self.cached("sigma", (), lambda: _root(budget.variance()))

    @property
    def uncertainty(self) -> NDUncertainty | None:
        """
        The variance as astropy has it; assigning any kind of uncertainty starts a new source of noise.

        Functions of photutils ignore variances, and so they are given the standard deviations. Where a function of
        photutils or specreduce treats pixels as independent, and that makes a difference, a warning says so, once for a
        frame.
        """
        if self.known_budget is None:
            return None
        if asking := adds_up_errors():
            package, remedy = asking
            self.cached(f"remark to {package}", (), lambda: self._warn_of_sums(package, remedy))
        if asks_for_deviations():
            return StdDevUncertainty(self.sigma, unit=self.unit, copy=False)
        return super().uncertainty

    @uncertainty.setter
    def uncertainty(self, value: Any) -> None:
        vars(BaseFrame)["uncertainty"].fset(self, value)

    def _warn_of_sums(self, package: str, remedy: str) -> None:
        """Say by how much the errors of sums are wrong if they forget the noise that pixels share."""
        excess = self._excess_of_sums()
        if abs(excess - 1) > NEGLIGIBLE:
            msg = (
                f"{self.name}: {package} adds up the errors of pixels as if they were independent, but these share "
                f"noise: the error of a sum over {SIDE} x {SIDE} pixels in the middle is {excess:.2f} times what it "
                f"says. {remedy}."
            )
            warn(msg, NoiseWarning)

    def _excess_of_sums(self) -> float:
        """The error of a sum over a square in the middle, in units of what it would be if pixels shared no noise."""
        budget = self.known_budget
        assert budget is not None
        if is_white(budget):
            return 1.0
        middle = tuple(slice(max(0, n // 2 - SIDE // 2), n // 2 - SIDE // 2 + SIDE) for n in self.shape)
        part = budget[middle]
        known = np.isfinite(part.variance())
        alone = float(np.sum(part.variance(), where=known, dtype=np.float64))
        return float(np.sqrt(part.variance_of_sum(known.astype(np.float64)) / alone)) if alone > 0 else 1.0

    def to_ccddata(self, uncertainty: type[NDUncertainty] = StdDevUncertainty) -> CCDData:
        """
        A plain CCDData, for code that refuses frames or ignores their variance.

        Parameters
        ----------
        uncertainty : type
            The class of its uncertainty: `~astropy.nddata.StdDevUncertainty`, `~astropy.nddata.VarianceUncertainty` or
            `~astropy.nddata.InverseVariance`.

        Returns
        -------
        CCDData
            With arrays and a header of its own. It has data, unit, mask, flags, header, WCS, PSF and the total error;
            what the error is made of stays behind.

        Raises
        ------
        TypeError
            If the class is another one.

        Examples
        --------
        >>> import numpy as np
        >>> from astropy.nddata import VarianceUncertainty
        >>> from astro_calib import CCDFrame
        >>> frame = CCDFrame(
        ...     [[100.0, 90.0]], unit="electron", uncertainty=np.array([[5.0, 4.0]])
        ... )
        >>> frame.to_ccddata().uncertainty
        StdDevUncertainty([[5., 4.]])
        >>> frame.to_ccddata(VarianceUncertainty).uncertainty
        VarianceUncertainty([[25., 16.]])
        """
        if uncertainty not in KINDS:
            names = " or ".join(kind.__name__ for kind in KINDS)
            msg = f"{self.name}: the uncertainty is to be {described(uncertainty)}; expected the class {names}."
            raise TypeError(msg)
        error = None
        if uncertainty is StdDevUncertainty and self.sigma is not None:
            error = StdDevUncertainty(self.sigma, unit=self.unit, copy=True)
        elif self.variance is not None:
            error = VarianceUncertainty(self.variance, unit=self.unit**2, copy=True).represent_as(uncertainty)
        return CCDData(
            np.array(self.pixels),
            unit=self.unit,
            uncertainty=error,
            **{name: deepcopy(getattr(self, name)) for name in ("mask", "flags", "meta", "wcs", "psf")},
        )

    def covariance_of(self, cutout: Cutout2D | tuple[slice, ...]) -> Covariance:
        """
        The covariances of the pixels of a cutout, each with each.

        Parameters
        ----------
        cutout : Cutout2D or tuple of slice
            Which pixels: a cutout of this frame, or slices as in ``frame[10:20, 5:15]``.

        Returns
        -------
        astropy.nddata.Covariance
            Of the pixels in the order of the flattened cutout, with its shape as ``data_shape``, in the square of the
            frame's unit. Masked pixels are in it.

        Raises
        ------
        FrameError
            If the frame has no noise yet, or more than 2500 pixels have noise in common.
        TypeError
            If the argument is no cutout.

        Examples
        --------
        Read noise of sigma 5, and one level of sigma 2 that was subtracted from all pixels:

        >>> from astro_calib import CCDFrame, NoiseSource, UncertaintyBudget
        >>> sources = [
        ...     NoiseSource("read noise", 25.0),
        ...     NoiseSource("overscan", 4.0, axes=()),
        ... ]
        >>> budget = UncertaintyBudget(
        ...     (9, 9), [(source, 1.0) for source in sources]
        ... )
        >>> frame = CCDFrame([[100.0] * 9] * 9, unit="electron", budget=budget)
        >>> frame.covariance_of((slice(2, 3), slice(4, 6))).to_dense()
        array([[29.,  4.],
               [ 4., 29.]])
        """
        from astropy.nddata import Covariance
        from scipy.sparse import diags_array

        slices = getattr(cutout, "slices_original", cutout)
        if (
            not isinstance(slices, tuple)
            or len(slices) != self.ndim
            or not all(isinstance(one, slice) for one in slices)
        ):
            msg = f"{self.name}: the cutout is {described(cutout)}; expected a Cutout2D or {self.ndim} slices."
            raise TypeError(msg)
        budget = self.budget[slices]
        number = prod(budget.shape)
        if is_white(budget):
            matrix = diags_array(budget.variance().ravel().astype(np.float64)).tocsr()
        elif number > MOST_PIXELS:
            msg = (
                f"{self.name}: the cutout has {number} pixels, and each shares noise with others; the matrix of all is "
                f"made of up to {MOST_PIXELS}. For sums over pixels frame.budget.variance_of_sum(weights) needs none."
            )
            raise FrameError(msg)
        else:
            matrix = covariance_matrix(budget)
        return Covariance(matrix, data_shape=budget.shape, assume_symmetric=True, unit=self.unit**2)

    def to_hdu(self, *args: Any, **kwargs: Any) -> fits.HDUList:
        """
        The frame as the HDUs of a FITS file, with the total variance.

        A warning says what they leave out: flags, unless ``hdu_flags`` names an HDU for them, and what the noise is
        made of. ``frame.write`` keeps all.

        Parameters
        ----------
        *args, **kwargs
            As for `astropy.nddata.CCDData.to_hdu`.

        Returns
        -------
        astropy.io.fits.HDUList
            Image, mask, variance and PSF, as far as there are any.

        Examples
        --------
        >>> import numpy as np
        >>> from astro_calib import CCDFrame
        >>> frame = CCDFrame(
        ...     [[100.0, 90.0]], unit="electron", uncertainty=np.array([[5.0, 4.0]])
        ... )
        >>> [hdu.name for hdu in frame.to_hdu()]
        ['PRIMARY', 'UNCERT']
        """
        result = super().to_hdu(*args, **kwargs)
        names = {hdu.name for hdu in result}
        left_out = []
        if self.flags is not None and (kwargs.get("hdu_flags") or "") not in names - {"PRIMARY"}:
            left_out.append("its flags")
        budget = self.known_budget
        if budget is not None and (budget.names != (UNNAMED,) or not is_white(budget)):
            left_out.append("what its noise is made of")
        if left_out:
            warn(f"{self.name}: to_hdu leaves out {' and '.join(left_out)}; frame.write keeps all.", NoiseWarning)
        return result

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """The pixels, as a masked array if there is a mask."""
        if self.known_budget is not None and (remark := takes_pixels()):
            warn(f"{self.name}: {remark}.", NoiseWarning)
        return super().__array__(dtype, copy)


def _root(variance: NDArray[Any]) -> NDArray[Any]:
    sigma = np.asarray(np.sqrt(variance))
    sigma.flags.writeable = False
    return sigma
