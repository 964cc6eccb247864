"""What a pass over the pixels of a frame does, as a list of instructions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

__all__ = [
    "ADD",
    "ADD_OF_DIVISOR",
    "ADD_PRODUCT",
    "ADD_SHARED",
    "ADD_SHOT",
    "ADD_SQUARE",
    "ADD_VARIANCE",
    "CLAMP",
    "DIVIDE",
    "FLAG_FROM",
    "FLAG_LOST",
    "MULTIPLY",
    "OF_VALUES",
    "PRODUCT",
    "PRODUCT_OVER",
    "PRODUCT_TIMES",
    "PRODUCT_TIMES_VALUE",
    "Instruction",
    "RowsAndColumns",
    "Section",
    "SomeValues",
    "undone",
]

# What is done to the values z and their variance v with a factor f and an operand y; where f is a number alone, y is 1.
#: z + f y
ADD = 0
#: z f y, v (f y)^2
MULTIPLY = 1
#: z / y, v / y^2; f is 1
DIVIDE = 2
#: v + f y
ADD_VARIANCE = 3
#: v + max(f y, z), 0 where z is no number
ADD_SHOT = 4
#: v + f (z / d)^2 y, after a division by d
ADD_OF_DIVISOR = 5
#: v + f (z / d^2) y, after a division by d
ADD_SHARED = 6
#: v + f c^2, after which the sensitivity coefficient c begins anew as zero
ADD_SQUARE = 7
#: Set bits and the mask where z is f y or more
FLAG_FROM = 8
#: Set bits and the mask where z is no finite number
FLAG_LOST = 9
#: max(f, z), 0 where z is no number
CLAMP = 10
# A sensitivity coefficient c that depends on the values, as a sum of products p: that of the error of a gain.
#: p = f
PRODUCT = 11
#: p f y
PRODUCT_TIMES = 12
#: p / y; f is 1
PRODUCT_OVER = 13
#: p f z
PRODUCT_TIMES_VALUE = 14
#: c + f p
ADD_PRODUCT = 15
#: What changes the values.
OF_VALUES = (ADD, MULTIPLY, DIVIDE)
#: Rows and columns.
Section: TypeAlias = "tuple[slice, slice]"


class RowsAndColumns(NamedTuple):
    """
    The product of a number for each row and one for each column, of which the pass makes no image.

    Attributes
    ----------
    rows : ndarray, shape (ny, 1)
    columns : ndarray, shape (1, nx)
    """

    rows: NDArray[Any]
    columns: NDArray[Any]

    def __call__(self) -> NDArray[Any]:
        """Make the image after all, for what needs one."""
        return np.asarray(self.rows * self.columns)


class SomeValues(ABC):
    """An array of two axes that is zero but at some pixels, of which the pass makes no image."""

    __slots__ = ()

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """The shape of the array."""

    @abstractmethod
    def within(self, rows: slice) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """Where these pixels are in some rows, flattened, and what is there."""


class Instruction(NamedTuple):
    """
    One operation on all pixels.

    Attributes
    ----------
    code : int
        What is done.
    factor : float or tuple of float
        One for all pixels, or one for each section.
    array : ndarray or callable, optional
        Broadcasts to the frame; what is callable gives it.
    bits : int
        The flags that are set.
    """

    code: int
    factor: float | tuple[float, ...] = 1.0
    array: NDArray[Any] | Callable[[], NDArray[Any]] | RowsAndColumns | SomeValues | None = None
    bits: int = 0


def undone(instructions: Sequence[Instruction]) -> list[Instruction]:
    """What makes of the result the values before these instructions, whose factors are numbers."""
    result = []
    for code, factor, array, _ in reversed(instructions):
        assert not isinstance(factor, tuple)
        if code == ADD:
            result.append(Instruction(ADD, -factor, array))
        elif code in (MULTIPLY, DIVIDE):
            other = DIVIDE if code == MULTIPLY else MULTIPLY
            result.append(Instruction(other, factor if array is None else 1.0, array))
            if array is not None and factor != 1:
                result.append(Instruction(MULTIPLY, 1 / factor))
    return result
