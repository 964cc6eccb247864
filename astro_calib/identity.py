"""Which noise is which: identities that are found from the pixels where they can be, and drawn where not."""

from __future__ import annotations

import uuid
import weakref
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.digital_step import digital_step, neighbours

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from astro_calib.digital_step import Neighbours
    from astro_calib.factored import Factored
    from astro_calib.shot_variance import ShotVariance
    from astro_calib.source import Window

__all__ = [
    "LastingValues",
    "Origin",
    "RawPixels",
    "Watch",
    "content_digest",
    "content_identity",
    "drawn_identity",
    "uncertainty_identity",
]


#: How identities begin that were found from the pixels.
PIXELS = "pixels:"
#: How identities begin that could not be found.
DRAWN = "drawn:"


def drawn_identity() -> str:
    """An identity that no other noise has."""
    return DRAWN + uuid.uuid4().hex


def content_identity(pixels: NDArray[Any]) -> str:
    """
    The identity of the noise in a frame, from the frame's pixels.

    Noise tells frames apart: two exposures never agree in every pixel, and the same file read twice does. An array
    of one constant value holds no noise to be recognised by, so that its identity is drawn.
    """
    if pixels.size < 2 or not _varies(pixels):
        return drawn_identity()
    return PIXELS + content_digest(pixels)


def content_digest(pixels: NDArray[Any]) -> str:
    """A digest of pixel values; the loop is compiled, and loaded when it is first needed."""
    from astro_calib.kernels.digest import digest

    return digest(pixels)


def _varies(pixels: NDArray[Any]) -> bool:
    first = pixels.flat[0]
    # Nearly always decided by the first few pixels; the whole array is read only for a constant one.
    return bool(np.any(pixels.ravel()[:64] != first) or np.any(pixels != first))


_constant_identities: weakref.WeakKeyDictionary[Any, tuple[int, str]] = weakref.WeakKeyDictionary()


def uncertainty_identity(pixels: NDArray[Any], uncertainty: Any) -> str:
    """
    The identity of the noise of a plain CCDData, from its values and its error bars.

    If the values are all the same, from the uncertainty object: the same each time that it is used with the same array.
    """
    identity = content_identity(pixels)
    if not identity.startswith(DRAWN):
        return f"{identity}:{content_digest(np.asarray(uncertainty.array))}"
    array, known = _constant_identities.get(uncertainty, (0, ""))
    if array != id(pixels):
        known = identity
        _constant_identities[uncertainty] = (id(pixels), known)
    return known


class Watch:
    """
    Of an array that was made here: whether somebody else got hold of it, who may write into it.

    Frames that hold the same array share its watch; those that hold parts of it have watches of their own, which know
    of each other, since whoever has one of the arrays may change all.

    Attributes
    ----------
    stamp : str or None
        The digest of the array when it, or one that shares its memory, was first handed out; None while none was.
    readers : mapping
        What is found from the values of the array, and has to be kept before somebody writes into them.
    """

    __slots__ = ("__weakref__", "array", "readers", "relatives", "stamp")

    def __init__(self) -> None:
        self.array: NDArray[Any] | None = None
        self.stamp: str | None = None
        self.relatives: weakref.WeakSet[Watch] = weakref.WeakSet((self,))
        self.readers: weakref.WeakValueDictionary[int, ShotVariance | LastingValues] = weakref.WeakValueDictionary()

    def __reduce__(self) -> tuple[Any, ...]:
        return Watch, ()

    def handed_out(self, array: NDArray[Any]) -> None:
        """Note that somebody gets hold of the array."""
        if self.stamp is None:
            self.array = array
            for reader in list(self.readers.values()):
                reader.keep()
            for watch in list(self.relatives):
                assert watch.array is not None
                watch.stamp = content_digest(watch.array)

    def of_part(self, array: NDArray[Any], part: NDArray[Any]) -> Watch:
        """The watch of a view of the array, neither of which was handed out."""
        self.array = array
        result = Watch()
        result.array, result.relatives, result.readers = part, self.relatives, self.readers
        self.relatives.add(result)
        return result


class LastingValues:
    """
    The values of an array as they are now; copied before somebody gets hold of the array, who may write into it.

    Parameters
    ----------
    array : ndarray
        The array.
    watch : Watch
        That of the array.
    """

    def __init__(self, array: NDArray[Any], watch: Watch) -> None:
        self._array = array
        watch.readers[id(self)] = self

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self._array, dtype=dtype, copy=copy)

    def keep(self) -> None:
        """Copy the values, unless they were copied before."""
        if self._array.flags.writeable:
            self._array = self._array.copy()
            self._array.flags.writeable = False


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
    factor : float or Factored
        What the raw frame was multiplied by since.
    """

    raw: RawPixels
    window: Window
    factor: float | Factored = 1.0

    @classmethod
    def of(cls, pixels: NDArray[Any]) -> Origin:
        """The origin of a frame that was not touched yet."""
        usual_step = 1.0 if pixels.dtype.kind in "ui" else 0.0
        raw = RawPixels(pixels.shape, content_identity(pixels), neighbours(pixels), usual_step)
        return cls(raw, ((0, 1),) * pixels.ndim)

    @property
    def quantum(self) -> float:
        """Size of one digital step in the frame's present unit, a mean; 0 where the values were not digitised."""
        return float(np.mean(self.in_present_unit(self.raw.step), dtype=float)) if self.raw.step else 0.0

    def in_present_unit(self, step: Any) -> Any:
        """A digital step of the raw frame, or those of its pixels, in the frame's present unit."""
        return abs(self.factor if isinstance(self.factor, float) else self.factor.evaluate()) * step

    def scaled(self, value: float | NDArray[Any], power: int = 1) -> Origin:
        """The origin after the frame was multiplied by ``value**power``; an array broadcasts to the frame."""
        if isinstance(self.factor, float) and np.ndim(value) == 0:
            factor = float(value)
            return replace(self, factor=self.factor * (factor if power == 1 else 1 / factor if factor else 0.0))
        from astro_calib.factored import Factored

        own = Factored(self.factor) if isinstance(self.factor, float) else self.factor
        return replace(self, factor=own.times(value, power))

    def cut(self, window: Window, item: tuple[slice, ...] = (), shape: tuple[int, ...] = ()) -> Origin:
        """The origin of a part of the frame: of ``frame[item]``, if the frame has this shape."""
        factor = self.factor if isinstance(self.factor, float) else self.factor.cut(item, shape)
        return replace(self, window=window, factor=factor)
