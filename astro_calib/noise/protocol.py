"""The little that a package has to know of another one's budgets, or to offer of its own, to share errors with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Budget"]


@runtime_checkable
class Budget(Protocol):
    """
    The noise of an image, as far as other packages need to know it.

    An image offers it as its attribute ``budget``. Any class with these methods will do; it need not know this one. The
    functions of `astro_calib.photometry` for other packages ask for nothing else.

    Attributes
    ----------
    shape : tuple of int
        Of the image.
    identities : frozenset of str
        One name for each source of noise in the image, the same in every image that holds that noise, also in another
        process. Two budgets that have no identity in common are independent.

    Examples
    --------
    A budget of white noise takes a few lines:

    >>> import numpy as np
    >>> from astro_calib import UncertaintyBudget
    >>> from astro_calib.noise.protocol import Budget
    >>> class White:
    ...     def __init__(self, array, identity):
    ...         self.array, self.shape, self.identities = (
    ...             array,
    ...             array.shape,
    ...             frozenset([identity]),
    ...         )
    ...
    ...     def variance(self):
    ...         return self.array
    ...
    ...     def variance_of_sum(self, weights):
    ...         return float(np.sum(weights**2 * self.array))
    ...
    ...     def covariance(self, other):
    ...         same = not self.identities.isdisjoint(other.identities)
    ...         return self.array if same else np.zeros(self.shape)
    ...
    ...     def __getitem__(self, item):
    ...         return White(self.array[item], *self.identities)
    >>> white = White(np.full((2, 2), 9.0), "readout of a1.fits")
    >>> isinstance(white, Budget), isinstance(UncertaintyBudget((2, 2)), Budget)
    (True, True)
    >>> white[0:1, 0:2].variance_of_sum(np.ones((1, 2)))
    18.0
    """

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the image."""

    @property
    def identities(self) -> frozenset[str]:
        """The identities of the sources of noise."""

    def variance(self) -> NDArray[Any]:
        """
        The variance of each pixel.

        Returns
        -------
        ndarray
            Of the image's shape, in the square of its unit; nobody writes into it. NaN or infinite where it is not
            known.
        """

    def variance_of_sum(self, weights: NDArray[Any]) -> float:
        """
        The variance of a weighted sum over pixels, with all that they have in common.

        Parameters
        ----------
        weights : ndarray
            Of the image's shape. A pixel without weight does not count, even if its variance is not known.

        Returns
        -------
        float
            In the square of the image's unit.
        """

    def covariance(self, other: Any) -> NDArray[Any]:
        """
        The covariance of each pixel with the same pixel of another image.

        Parameters
        ----------
        other : Budget
            Of an image of the same shape. A budget of a class that this one does not know is independent where the two
            have no identity in common; else an error says that the covariance is not known.

        Returns
        -------
        ndarray
            Of the image's shape, in the product of the two units; with itself it is the variance.
        """

    def __getitem__(self, item: tuple[slice, ...]) -> Any:
        """The budget of ``image[item]``, for a tuple with one slice for each axis; its sources are the same."""
