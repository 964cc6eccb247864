"""Which pixels of which raw frame a frame holds."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.noise.arrays import ArrayRef
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.digital_step import digital_step, neighbours
from astro_calib.noise.identity import content_identity
from astro_calib.noise.mosaic import mean_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from astro_calib.noise.digital_step import Neighbours
    from astro_calib.noise.window import Window

__all__ = ["Origin", "RawPixels"]


class RawPixels:
    """
    What is remembered of a raw frame: its shape, its identity, and a sample of it that tells its digital step.

    The identity is found at once, and the sample is a copy, because the array that the pixels were read into may be
    used again.

    Parameters
    ----------
    shape : tuple of int
        Of the raw frame.
    identity : str
        Of its noise.
    sample : Neighbours, optional
        Some of its pixels.
    usual_step : float
        The digital step where the sample does not tell it: 1 for whole numbers.
    """

    def __init__(
        self, shape: tuple[int, ...], identity: str, sample: Neighbours | None = None, usual_step: float = 0.0
    ) -> None:
        self.shape = shape
        self.of_file = False
        self._usual_step = usual_step
        self._identity = identity
        self._sample = sample

    @classmethod
    def known(cls, shape: tuple[int, ...], identity: str, step: float) -> RawPixels:
        """What a file keeps of a raw frame; the step is in the unit of the frame in that file."""
        result = cls(shape, identity, usual_step=step)
        result.of_file = True
        return result

    def identity(self) -> str:
        """The identity of the noise in the raw frame."""
        return self._identity

    @cached_property
    def found_step(self) -> float | None:
        """The digital step that the pixels show, None if they show none."""
        return digital_step(self._sample)

    @property
    def step(self) -> float:
        """The digital step of the frame, 0 where it was not digitised."""
        return self._usual_step if self.found_step is None else self.found_step

    def steps(self, sections: Sequence[tuple[slice, slice]]) -> list[float]:
        """The digital step of each amplifier, which has read one of these sections of the raw frame."""
        if self._sample is None:
            return [self.step] * len(sections)
        found = [digital_step(self._sample.within(*section, self.shape)) for section in sections]
        return [self.step if step is None else step for step in found]


@dataclass(frozen=True, eq=False)
class Origin:
    """
    Which pixels of which raw frame a frame holds.

    Attributes
    ----------
    raw : RawPixels
        The frame as it was read.
    window : tuple of (origin, step)
        Which of these pixels the frame holds now, for each axis.
    factor : float or Coefficient
        What the raw frame was multiplied by since.
    """

    raw: RawPixels
    window: Window
    factor: float | Coefficient = 1.0

    @classmethod
    def of(cls, pixels: NDArray[Any], digest: Callable[[], str] | None = None) -> Origin:
        """The origin of a frame that was not touched yet; ``digest`` as for `content_identity`."""
        usual_step = 1.0 if pixels.dtype.kind in "ui" else 0.0
        raw = RawPixels(pixels.shape, content_identity(pixels, digest), neighbours(pixels), usual_step)
        return cls(raw, ((0, 1),) * pixels.ndim)

    @property
    def quantum(self) -> float:
        """Size of one digital step in the frame's present unit, a mean; 0 where the values were not digitised."""
        if not self.raw.step:
            return 0.0
        if isinstance(self.factor, float):
            return abs(self.factor) * self.raw.step
        return mean_size(self.factor) * self.raw.step

    def in_present_unit(self, step: Any) -> Any:
        """A digital step of the raw frame, or those of its pixels, in the frame's present unit."""
        return abs(self.factor if isinstance(self.factor, float) else self.factor.evaluate()) * step

    def scaled(self, value: float | NDArray[Any] | ArrayRef, power: int = 1) -> Origin:
        """The origin after the frame was multiplied by ``value**power``; an array broadcasts to the frame."""
        if isinstance(self.factor, float) and not isinstance(value, ArrayRef) and np.ndim(value) == 0:
            factor = float(value)
            return replace(self, factor=self.factor * (factor if power == 1 else 1 / factor if factor else 0.0))
        own = Coefficient(self.factor) if isinstance(self.factor, float) else self.factor
        return replace(self, factor=own.times(value, power))

    def cut(self, window: Window, item: tuple[slice, ...] = (), shape: tuple[int, ...] = ()) -> Origin:
        """The origin of a part of the frame: of ``frame[item]``, if the frame has this shape."""
        factor = self.factor if isinstance(self.factor, float) else self.factor.cut(item, shape)
        return replace(self, window=window, factor=factor)
