"""Subtract a pattern of fringes, as strong as it is in the frame."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.arguments import check_number
from astro_calib.dtypes import floating
from astro_calib.errors import FrameError, NoiseWarning, warn
from astro_calib.frame.lending import master_of, reference_to
from astro_calib.frame.operands import check_addable
from astro_calib.frame.rebuild import measured
from astro_calib.noise.arrays import SELF_DATA
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.source import NoiseSource
from astro_calib.steps.blocks import Blocks
from astro_calib.steps.empty_sky import objects_on
from astro_calib.steps.header import forget_levels
from astro_calib.steps.master import check_master, with_applied
from astro_calib.steps.step import LinearStep

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.steps.run import FrameSoFar

__all__ = ["SubtractFringe", "subtract_fringe"]

#: The local sky is that of blocks of this part of the shorter side of the frame, and so many pixels.
PART, SMALLEST_SIDE, LARGEST_SIDE = 8, 16, 128
#: Pixels further than this from pattern and local sky are left out, in robust sigmas.
CLIP = 4.0
#: How often they are left out anew.
PASSES = 3
#: Of more pixels than this every second row and column is enough.
MANY = 1 << 20
#: Less than this part of the pixels says nothing of the pattern.
LEAST = 0.05
#: A pattern that is fitted with a larger error than this part of its amplitude was hardly there.
UNSURE = 0.3
MAD = 1.4826


class Strength(NamedTuple):
    """How strong a pattern is in a frame, and the variance of that; 0 for one that was stated as exact."""

    value: float
    variance: float


class SubtractFringe(LinearStep):
    """The step of `subtract_fringe`, with its arguments."""

    name = "fringe"

    def __init__(
        self, fringe: CCDFrame, amplitude: float | None = None, uncertainty: float = 0.0, kind: str = "fringe"
    ) -> None:
        self.fringe, self.kind = fringe, kind
        self.stated: Strength | None = None
        if amplitude is None and uncertainty != 0:
            msg = (
                f"uncertainty is {uncertainty!r}, and no amplitude is given: a fitted one has the error of its fit. "
                "Give amplitude=, too, or leave both out."
            )
            raise ValueError(msg)
        if amplitude is not None:
            sigma = check_number("uncertainty", uncertainty)
            self.stated = Strength(check_number("amplitude", amplitude, minimum=-np.inf), sigma**2)

    def apply(self, frame: FrameSoFar) -> None:
        """Subtract the pattern times its amplitude."""
        fringe = check_master(frame, self.fringe, self.kind)
        check_addable(frame, fringe)
        found = fitted_amplitude(frame, fringe) if self.stated is None else self.stated
        common = [(source, coefficient) for source, coefficient in frame.terms or () if _is_gain(source, coefficient)]
        frame.add(fringe, -found.value, kind=self.kind)
        if self.stated is None:
            # The gain multiplies what was fitted as it does the frame.
            for source, coefficient in common:
                frame.add_noise(source, coefficient)
        if found.variance:
            # In the unit of the frame, as the pattern is.
            scale = float(fringe.unit.to(frame.unit)) if fringe.unit is not None else 1.0
            text = f"{master_of(fringe).identity}:{found.value!r}:{found.variance!r}"
            identity = f"amplitude:{hashlib.blake2b(text.encode(), digest_size=12).hexdigest()}"
            source = NoiseSource(self.kind, found.variance, axes=(), identity=identity)
            frame.add_noise(source, Coefficient(-scale).times(reference_to(fringe)))
        forget_levels(frame.edited_meta())
        with_applied(frame, frame, fringe, self.kind)


def subtract_fringe(
    ccd: CCDFrame, fringe: CCDFrame, amplitude: float | None = None, uncertainty: float = 0.0
) -> CCDFrame:
    r"""
    Subtract a fringe pattern, as strong as it is in the frame.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        The frame to correct, flat-fielded, with noise.
    fringe : CCDFrame, shape (ny, nx)
        The pattern, as `~astro_calib.characterize.fringe_map` makes it.
    amplitude : float, optional
        What the pattern is multiplied by. Without it, it is fitted.
    uncertainty : float
        The standard uncertainty of a stated amplitude; a fitted one has that of its fit.

    Returns
    -------
    CCDFrame, shape (ny, nx)
        ``ccd - amplitude * fringe``, in the unit and the type of ``ccd``.

    Raises
    ------
    ShapeMismatchError
        If the shapes differ.
    FrameError
        If too few pixels show pattern and sky, or the pattern is nothing but its own noise, or it was subtracted
        before.
    astropy.units.UnitConversionError
        If the units cannot be converted.
    ValueError
        If an uncertainty is given without an amplitude, or one of them is no finite number.

    Notes
    -----
    The amplitude is that of a least-squares fit of pattern p and frame z, both less their means in blocks (an eighth of
    the frame, 16 to 128 pixels), so that neither sky nor its slope matter; stars and outliers are left out,

    .. math:: A = \frac{\sum (p \, z - \mathrm{Cov}(p, z))}{\sum (p^2 - \mathrm{Var}\,p)} .

    The noise of the pattern would make the fit too weak, and noise that it shares with a frame that it was made of too
    strong; both are taken off. The error of A comes from the scatter about the fit, and is one source of noise of the
    frame ("fringe") with the pattern as its coefficient. That of the pattern is shared by all frames that it was
    subtracted from.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from astro_calib import CCDFrame, subtract_fringe
    >>> rng = np.random.default_rng(3)
    >>> fringes = np.sin(np.arange(96) / 3) * np.ones((96, 1))
    >>> def frame(pixels, sigma):
    ...     noise = rng.normal(0, sigma, (96, 96))
    ...     return CCDFrame(
    ...         pixels + noise,
    ...         unit="electron",
    ...         uncertainty=StdDevUncertainty(np.full((96, 96), sigma)),
    ...     )
    >>> pattern, image = frame(fringes, 0.1), frame(500 + 20 * fringes, 5.0)
    >>> clean = subtract_fringe(image, pattern)
    >>> [
    ...     round(float(np.polyfit(fringes.ravel(), one.pixels.ravel(), 1)[0]))
    ...     for one in (image, clean)
    ... ]
    [20, 0]
    >>> clean.budget.names
    ('uncertainty', 'fringe')
    """
    return SubtractFringe(fringe, amplitude, uncertainty)(ccd)


def fitted_amplitude(frame: FrameSoFar, fringe: CCDFrame) -> Strength:
    """How strong a pattern is in a frame."""
    step = 2 if fringe.size > MANY else 1
    item = (slice(None, None, step),) * 2
    side = int(np.clip(8 * round(min(fringe.shape) / PART / 8), SMALLEST_SIDE, LARGEST_SIDE))
    values, pattern = floating(frame.values(item)), floating(fringe.pixels[item])
    blocks = Blocks(values.shape, side // step)
    scale = float(fringe.unit.to(frame.unit)) if fringe.unit is not None else 1.0
    good = measured(fringe)[item] & np.isfinite(values) & ~frame.mask[item]
    local_sky, local_pattern = (blocks.medians(array, good) for array in (values, pattern))
    of_pattern = _noise_of_pattern(frame, fringe, item)
    amplitude, strength = 0.0, 1.0
    for _ in range(PASSES):
        used = _empty(blocks, values, pattern, amplitude, local_sky - amplitude * local_pattern, good)
        counts = blocks.counts(used)
        if counts.sum() <= LEAST * values.size:
            msg = (
                f"{frame.name} has {counts.sum()} pixels that show nothing but sky and the pattern of {fringe.name}; "
                "its strength cannot be told. Give amplitude=."
            )
            raise FrameError(msg)
        local_sky, local_pattern = (blocks.means(array, used) for array in (values, pattern))
        z, p = (
            _less_local(blocks, array, local, used) for array, local in ((values, local_sky), (pattern, local_pattern))
        )
        # A mean of n takes one n-th of the noise with it.
        left = 1 - float(np.count_nonzero(counts)) / float(counts.sum())
        own, together = (
            0.0 if one is None else float(np.sum(one, where=used, dtype=np.float64)) * left for one in of_pattern
        )
        strength = float(np.vdot(p, p)) - own
        if not strength > 0:
            msg = (
                f"the pattern ({fringe.name}) is no stronger than its noise, so that its strength in {frame.name} "
                "cannot be fitted. Make it of more frames, or give amplitude=."
            )
            raise FrameError(msg)
        amplitude = (float(np.vdot(p, z)) - together) / strength
        residual = z - p.dtype.type(amplitude) * p
    weighted = float(np.sum(np.square(p * residual), dtype=np.float64))
    found = Strength(amplitude / scale, weighted / strength**2 / scale**2)
    if np.sqrt(found.variance) > UNSURE * abs(found.value):
        msg = (
            f"{frame.name}: the pattern of {fringe.name} is fitted with a strength of {found.value:.3g} +- "
            f"{np.sqrt(found.variance):.2g}: it is hardly there. Leave the fringe out, or give amplitude=."
        )
        warn(msg, NoiseWarning)
    return found


def _empty(
    blocks: Blocks,
    values: NDArray[Any],
    pattern: NDArray[Any],
    amplitude: float,
    local: NDArray[np.float64],
    good: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """The good pixels that show nothing but the local sky and the pattern."""
    around = values - values.dtype.type(amplitude) * pattern
    around -= np.nan_to_num(blocks.spread(local)).astype(values.dtype)
    some = np.abs(around[:: blocks.step, :: blocks.step][good[:: blocks.step, :: blocks.step]])
    if not some.size:
        return good
    with np.errstate(invalid="ignore"):
        near = np.abs(around) <= CLIP * MAD * float(np.median(some))
    return good & near & ~objects_on(around, good, blocks.step)


def _less_local(
    blocks: Blocks, values: NDArray[Any], local: NDArray[np.float64], used: NDArray[np.bool_]
) -> NDArray[Any]:
    """The values less what is local in their blocks, 0 where they are not used."""
    around = np.nan_to_num(blocks.spread(local)).astype(values.dtype)
    return np.where(used, values - around, values.dtype.type(0))


def _noise_of_pattern(
    frame: FrameSoFar, fringe: CCDFrame, item: tuple[slice, slice]
) -> tuple[NDArray[Any] | None, NDArray[Any] | None]:
    """The variance of the pattern, and its covariance with the frame, at some pixels; None for zero."""
    budget = fringe.known_budget
    if budget is None:
        return None, None
    own = budget.variance()[item]
    family = frozenset().union(*(source.family for source, _ in budget.terms))
    if all(source.family.isdisjoint(family) for source, _ in frame.terms or ()):
        return own, None
    so_far = frame.part(item).known_budget
    assert so_far is not None
    return own, so_far.covariance(budget[item])


def _is_gain(source: NoiseSource, coefficient: Coefficient) -> bool:
    """Whether a source multiplies all of a frame."""
    return not source.axes and coefficient.ratio_to(Coefficient(1.0).times(SELF_DATA)) is not None
