"""What the variance of a typical pixel is made of, found from a sample of the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PIXELS", "mean_parts", "sample", "typical_parts"]

#: So many pixels tell what is typical.
PIXELS = 50_000
#: A pixel is typical if its variance is between these two percentiles.
MIDDLE = (25, 75)


class HasParts(Protocol):
    """What is needed of a budget."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the frame."""

    def variance(self) -> NDArray[Any]:
        """Of each pixel."""

    def variances(self) -> dict[str, NDArray[Any]]:
        """Of each pixel, by source."""

    def __getitem__(self, item: tuple[slice, ...]) -> HasParts:
        """That of a part of the frame."""


def sample(shape: tuple[int, ...]) -> tuple[slice, ...]:
    """
    Return the slices that leave some ten thousand pixels of a frame, evenly spread.

    The steps are odd, so that even and odd columns, or the colours of a mosaic, are all among them.

    >>> from astro_calib.noise.shares import sample
    >>> sample((2048, 2048))
    (slice(None, None, 11), slice(None, None, 11))
    """
    size = float(np.prod(shape, dtype=float))
    step = int(np.ceil((size / PIXELS) ** (1 / max(len(shape), 1)))) if size > PIXELS else 1
    return (slice(None, None, step + 1 - step % 2),) * len(shape)


def mean_parts(budget: HasParts, where: NDArray[np.bool_]) -> dict[str, float]:
    """Return the mean variance over some pixels of a frame by source, the largest first."""
    parts = {
        name: float(np.mean(np.broadcast_to(part, where.shape)[where], dtype=np.float64))
        for name, part in budget.variances().items()
    }
    return dict(sorted(parts.items(), key=lambda item: -item[1]))


def typical_parts(budget: HasParts, good: NDArray[np.bool_] | None = None) -> dict[str, float]:
    """
    Return the variance of a typical pixel by source, the largest first.

    That is the mean over those pixels of a sample whose variance is neither small nor large, so that neither stars nor
    bad pixels count.

    Parameters
    ----------
    budget : UncertaintyBudget
        Of the frame.
    good : ndarray of bool, optional
        Which pixels of the sample can be used; all of finite variance by default.

    Returns
    -------
    dict of str to float
        In the square of the frame's unit; empty if no pixel has a known variance.

    Examples
    --------
    >>> from astro_calib import NoiseSource, UncertaintyBudget
    >>> from astro_calib.noise.shares import typical_parts
    >>> typical_parts(
    ...     UncertaintyBudget(
    ...         (2, 2),
    ...         [
    ...             (NoiseSource("overscan", 0.04), 1),
    ...             (NoiseSource("bias", 9.0), 1),
    ...         ],
    ...     )
    ... )
    {'bias': 9.0, 'overscan': 0.04}
    """
    part = budget[sample(budget.shape)] if budget.shape else budget
    variance = part.variance()
    known = np.isfinite(variance) if good is None else np.isfinite(variance) & good
    if not known.any():
        return {}
    low, high = np.percentile(variance[known], MIDDLE, method="nearest")
    return mean_parts(part, known & (variance >= low) & (variance <= high))
