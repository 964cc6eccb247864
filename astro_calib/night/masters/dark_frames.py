"""Whether the frames of a master dark are alike: their hot pixels tell, which all grow together with temperature."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from astro_calib.frame.rebuild import usable
from astro_calib.night.common.names import named

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from astro_calib.frame.frame import CCDFrame

__all__ = ["DarkFrames"]

#: So many pixels of each frame are enough, and so many frames.
PIXELS, FRAMES = 100_000, 40
#: Two frames do not tell which of them a cosmic ray has hit.
FEWEST = 3
#: A pixel is hot if it is so many times the noise of one frame above the others; so few tell nothing.
HOT, ENOUGH = 8.0, 20
#: Hot pixels of darks that are alike are as bright within this part, and within so many standard errors.
ALIKE, ERRORS = 0.1, 5.0
#: A pixel is missing, or there, below and above these parts of its usual brightness; and both are many of the pixels.
MISSING, THERE, MANY = 0.4, 0.7, 0.3
#: Next to nothing of it is left.
GONE = 0.15
#: Levels may differ by this part of the noise of a pixel, as that of the bias does.
LEVELS = 0.3
#: Standard deviations for one median absolute deviation, and the error of a median for that of a mean.
WIDTH, OF_MEDIAN = 1.4826, 1.2533


class _Brightness(NamedTuple):
    """How bright the hot pixels of a frame are, in those of the usual frame, and its standard error."""

    value: float
    error: float
    other_pixels: bool
    there: NDArray[np.bool_]


class DarkFrames:
    """
    Takes note of the frames that go into a master dark, ``number`` of them, and tells whether they are alike.

    >>> import numpy as np
    >>> from astro_calib import CCDFrame
    >>> from astro_calib.night.masters.dark_frames import DarkFrames
    >>> hot = np.where(np.arange(2000) % 50, 0.0, 1000.0).reshape(40, 50)
    >>> frames = [
    ...     CCDFrame(
    ...         hot * scale,
    ...         unit="electron",
    ...         uncertainty=np.full(hot.shape, 8.0),
    ...     )
    ...     for scale in (1, 1, 3)
    ... ]
    >>> for number, frame in enumerate(frames):
    ...     frame.name = f"d{number}.fits"
    >>> looks = DarkFrames(3)
    >>> passed_on = list(looks.watched(frames))
    >>> looks.remark()[:66]
    'are not alike: their hot pixels are 3 times as bright in d2.fits a'
    """

    def __init__(self, number: int) -> None:
        self._every = math.ceil(number / FRAMES)
        self._names: list[str] = []
        self._pieces: list[NDArray[np.float32]] = []
        self._noise: list[float] = []

    def watched(self, frames: Iterable[CCDFrame]) -> Iterator[CCDFrame]:
        """Yield the frames as they are."""
        for number, frame in enumerate(frames):
            if number % self._every == 0:
                self._add(frame)
            yield frame

    def _add(self, frame: CCDFrame) -> None:
        piece = frame[:: max(1, frame.pixels.size // PIXELS)]
        good = usable(piece)
        if piece.variance is None or not good.any():
            return
        self._names.append(frame.name)
        self._pieces.append(np.where(good, piece.pixels, np.nan).astype(np.float32).ravel())
        self._noise.append(float(np.sqrt(np.median(piece.variance[good]))))

    def remark(self) -> str:
        """What is to be said of these darks; empty if they are alike, or too few to tell."""
        if len(self._pieces) < FEWEST:
            return ""
        pixels = np.array(self._pieces)
        pixels = pixels[:, np.isfinite(pixels).all(axis=0)]
        if not pixels.size:
            return ""
        noise = float(np.median(self._noise))
        levels = np.median(pixels, axis=1)
        pixels -= levels[:, np.newaxis]
        usual = np.median(pixels, axis=0)
        hot = usual > HOT * noise
        if np.count_nonzero(hot) < ENOUGH:
            return self._of_levels(levels, noise, pixels.shape[1])
        return self._of_hot_pixels([_brightness(one[hot] / usual[hot]) for one in pixels])

    def _of_hot_pixels(self, found: list[_Brightness]) -> str:
        if any(one.other_pixels for one in found):
            first = found[0].there
            alike = [2 * (one.there & first).sum() >= max(1, first.sum()) for one in found]
            other = [name for name, same in zip(self._names, alike, strict=True) if not same]
            apart = f"other pixels are hot in {named(other)} than in {self._names[0]}" if other else "hot pixels differ"
            return (
                f"are not alike: {apart}: they are of several nights, cameras or temperatures; leave out those that do "
                "not belong to the science frames"
            )
        middle = float(np.median([one.value for one in found]))
        if all(abs(one.value - middle) <= max(ALIKE, ERRORS * one.error) for one in found):
            return ""
        values = [one.value for one in found]
        faint, bright = min(values), max(values)
        border = (faint + bright) / 2
        brighter = [name for name, value in zip(self._names, values, strict=True) if value > border]
        factor = f"{bright / faint:.2g} times as bright" if faint > 0 else "brighter"
        return (
            f"are not alike: their hot pixels are {factor} in {named(brighter)} as in the faintest: they are "
            "of several temperatures, or the cooler drifted; leave out those that are not of the temperature of the "
            "science frames"
        )

    def _of_levels(self, levels: NDArray[np.float32], noise: float, number: int) -> str:
        apart = float(levels.max() - levels.min())
        if apart <= max(LEVELS * noise, ERRORS * OF_MEDIAN * noise / math.sqrt(number)):
            return ""
        return (
            f"are not alike: their levels lie between {levels.min():.3g} and {levels.max():.3g} electron: they are of "
            "several temperatures, light has reached them, or the level of the bias drifted"
        )


def _brightness(parts: NDArray[np.float32]) -> _Brightness:
    """How bright the hot pixels of a frame are, from what part each has of its usual brightness."""
    value = float(np.median(parts))
    error = OF_MEDIAN * WIDTH * float(np.median(np.abs(parts - value))) / math.sqrt(parts.size)
    there = parts > THERE
    other = bool(np.mean(parts < MISSING) > MANY and (np.mean(there) > MANY or value < GONE))
    return _Brightness(value, error, other, there)
