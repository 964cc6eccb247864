"""
What callers give as arguments, checked in one place for each kind.

An error says what was found, what was expected and what to write. Numbers lose their unit here.
"""

from __future__ import annotations

import math
import os
from functools import wraps
from inspect import Parameter, signature
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

import astropy.units as u
import numpy as np
from astropy.nddata import NDData

if TYPE_CHECKING:
    from collections.abc import Callable

    from matplotlib.axes import Axes
    from numpy.typing import NDArray

__all__ = [
    "NUMBERS",
    "as_mask",
    "as_path",
    "axes_to_draw_on",
    "check_array",
    "check_count",
    "check_number",
    "check_positive",
    "check_quantity",
    "check_shape",
    "check_switch",
    "check_unit",
    "described",
    "frame_from",
    "is_sequence_of",
    "other_words",
    "other_words_of_init",
    "printable",
    "quantity_of",
    "quantity_values",
    "unit_in_code",
    "with_options_of",
    "with_sections",
]

D = TypeVar("D")
F = TypeVar("F")
P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

#: The longest representation of an argument that messages show.
LONGEST = 60
#: The article is "an" before names of types that begin like this.
SPOKEN_WITH_A_VOWEL = ("A", "E", "HDU", "I", "ND", "O", "a", "e", "i", "nd", "o")
#: Types of numbers; messages show their values.
NUMBERS = (int, float, np.number)


def described(value: Any) -> str:
    """What an argument is, in a few words: its value if that is short, else its type and shape."""
    if value is None or isinstance(value, (bool, np.bool_, *NUMBERS)):
        return str(value)
    if isinstance(value, str):
        return repr(value) if len(value) <= LONGEST else f"{value[:LONGEST]!r}..."
    if isinstance(value, os.PathLike):
        return f"the path {os.fspath(value)!r}"
    if isinstance(value, type):
        return f"the class {value.__name__} itself"
    if isinstance(value, u.Quantity) and value.isscalar:
        return f"{value.value:g} {value.unit}".rstrip() + " (a Quantity)"
    if isinstance(value, u.UnitBase):
        return f"the unit {value}"
    kind = type(value).__name__
    if hasattr(value, "compute"):
        kind = f"{type(value).__module__.partition('.')[0]} {kind.lower()}"
    what = f"{'an' if kind.startswith(SPOKEN_WITH_A_VOWEL) else 'a'} {kind}"
    shape = getattr(value, "shape", None)
    if isinstance(shape, tuple):
        what += f" of shape {shape}"
    elif isinstance(value, (list, tuple)):
        content = repr(value)
        what = content if len(content) <= LONGEST else f"{what} of {len(value)}"
    return what


def frame_from(value: Any) -> str:
    """What to write to get a frame of something that is none."""
    kind, module = type(value).__name__, type(value).__module__.partition(".")[0]
    if isinstance(value, (str, os.PathLike)):
        return f"Read the file first: CCDFrame.read({os.fspath(value)!r})."
    if hasattr(value, "compute"):
        return f"Call its .compute() first, as in CCDFrame(array.compute(), unit='adu'): {module} arrays are lazy."
    if kind == "HDUList":
        return "Write CCDFrame.read(path), or CCDFrame(hdus[0].data, unit='adu', meta=hdus[0].header)."
    if kind.endswith("HDU"):
        return "Write CCDFrame(hdu.data, unit='adu', meta=hdu.header)."
    if isinstance(value, NDData):
        return "It has no unit: write CCDFrame(data, unit='adu')." if value.unit is None else "Write CCDFrame(data)."
    if isinstance(value, np.ma.MaskedArray):
        return "Write CCDFrame(array.data, mask=array.mask, unit='adu')."
    if isinstance(value, np.ndarray) and value.ndim:
        return "An array does not say its unit: write CCDFrame(array, unit='adu')."
    if isinstance(value, (list, tuple)):
        return "Give one frame at a time; combine makes one of several."
    if isinstance(value, slice):
        return "Write a FITS section such as '[1025:1056, 1:1024]', or frame[rows, columns] for a cut of the frame."
    if hasattr(value, "to_numpy"):
        return "Write CCDFrame(table.to_numpy(), unit='adu')."
    return "Write CCDFrame(array, unit='adu'), or CCDFrame.read(path)."


def unit_in_code(unit: u.UnitBase) -> str:
    """A unit as one writes it in Python."""
    name = str(unit)
    return f"u.{name}" if name.isidentifier() and hasattr(u, name) else f"u.Unit({name!r})"


def _in_words(unit: u.UnitBase) -> str:
    return str(unit) or "no unit"


def quantity_values(what: str, value: Any, unit: u.UnitBase) -> NDArray[np.float64]:
    """Plain float64 values of `value` in `unit`; numbers without a unit are taken to be in `unit` already."""
    try:
        if _is_real(value):
            return np.asarray(u.Quantity(value, unit, dtype=float).value)
    except u.UnitConversionError as error:
        found = getattr(value, "unit", None)
        msg = f"{what} is in {found}; it must be in {_in_words(unit)} or convertible to that."
        if found is not None and unit == u.pixel and u.Unit(found).is_equivalent(u.deg):
            msg += " Divide it by the scale of a pixel, as in (2 * u.arcsec / (0.4 * u.arcsec / u.pix))."
        raise u.UnitConversionError(msg) from error
    msg = f"{what} must be made of numbers in {_in_words(unit)}, not {described(value)}."
    raise TypeError(msg)


def _is_real(value: Any) -> bool:
    """Whether this is a number, an array of numbers, or a list of them."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (Real, np.ndarray, list, tuple)):
        return False
    if isinstance(value, (list, tuple)) and any(isinstance(one, NDData) for one in value):
        return False
    try:
        return np.asarray(value).dtype.kind in "iuf"
    except (TypeError, ValueError):
        return False


def _one_number(what: str, value: Any, unit: u.UnitBase) -> float:
    values = quantity_values(what, value, unit)
    if values.ndim != 0:
        msg = f"{what} must be a single number, not an array of shape {values.shape}."
        raise ValueError(msg)
    return float(values)


def quantity_of(value: Any) -> u.Quantity | None:
    """`value` as a Quantity, whatever its unit; None if it is no number: text, bool, a frame."""
    if isinstance(value, (bool, np.bool_, NDData)):
        return None
    try:
        return u.Quantity(value, dtype=float)
    except (TypeError, ValueError):
        return None


def check_quantity(
    what: str, value: Any, unit: u.UnitBase, *, example: float = 1.5, unitless_allowed: bool = False
) -> u.Quantity:
    """`value`, a number or an array that says its unit, in `unit`."""
    quantity = quantity_of(value)
    if quantity is None:
        msg = (
            f"{what} is {described(value)}; expected a number with its unit, as in {example:g} * {unit_in_code(unit)}."
        )
        raise TypeError(msg)
    if quantity.unit == u.dimensionless_unscaled and not unitless_allowed:
        msg = f"{what} has no unit; give it in {unit}, for example {described(value)} * {unit_in_code(unit)}."
        raise u.UnitTypeError(msg)
    try:
        return quantity.to(unit)
    except u.UnitConversionError as error:
        msg = f"{what} is {value}, which cannot be converted to {unit}."
        if (quantity.unit**-1).is_equivalent(unit):
            msg += f" That is its inverse: write 1 / ({value})."
        elif unit == u.electron and quantity.unit.is_equivalent(u.adu):
            msg += " Multiply it by the gain."
        raise u.UnitConversionError(msg) from error


def is_sequence_of(kind: type | tuple[type, ...], value: Any) -> bool:
    """Whether this is a list or a tuple with nothing but one kind of thing in it; bool is no number."""
    return isinstance(value, (list, tuple)) and all(
        isinstance(one, kind) and not isinstance(one, (bool, np.bool_)) for one in value
    )


def check_number(
    what: str,
    value: Any,
    unit: u.UnitBase = u.dimensionless_unscaled,
    *,
    minimum: float = 0.0,
    maximum: float = math.inf,
) -> float:
    """`value` as a finite float in `unit`, within the limits; the error says what was expected."""
    number = _one_number(what, value, unit)
    if not math.isfinite(number) or not minimum <= number <= maximum:
        if math.isinf(minimum):
            allowed = ""
        elif math.isinf(maximum):
            allowed = f" and at least {minimum:g}"
        else:
            allowed = f" and from {minimum:g} to {maximum:g}"
        of_unit = f" {unit}" if allowed and str(unit) else ""
        msg = f"{what} is {value}; it must be finite{allowed}{of_unit}."
        raise ValueError(msg)
    return number


def check_positive(what: str, value: Any, unit: u.UnitBase = u.dimensionless_unscaled) -> float:
    """`value` as a finite, positive float in `unit`."""
    number = _one_number(what, value, unit)
    if not (math.isfinite(number) and number > 0):
        msg = f"{what} is {value}; it must be a positive number{f' in {unit}' if str(unit) else ''}."
        raise ValueError(msg)
    return number


def check_count(what: str, value: Any) -> int:
    """`value` as a whole number, zero or positive."""
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, Integral) or value < 0:
        msg = f"{what} is {described(value)}; it must be a whole number, zero or positive."
        raise ValueError(msg)
    return int(value)


def check_switch(what: str, value: Any) -> bool:
    """`value` as True or False; text or a number, which somebody may mean as a choice, is refused."""
    if not isinstance(value, (bool, np.bool_)):
        msg = f"{what} is {described(value)}; expected True or False."
        raise TypeError(msg)
    return bool(value)


def check_unit(what: str, value: Any, example: str) -> u.UnitBase:
    """`value` as a unit: a name, a unit of astropy's, or a multiple of one such as ``1000 * u.electron``."""
    if isinstance(value, u.UnitBase):
        return value
    if not isinstance(value, str) and not (isinstance(value, u.Quantity) and value.isscalar):
        msg = f"{what} is {described(value)}; expected a unit, such as {example}."
        raise TypeError(msg)
    try:
        return u.Unit(value)
    except ValueError as error:
        msg = f"{what} is {value!r}, which is not a unit; expected one such as {example}."
        raise ValueError(msg) from error


def as_path(what: str, value: Any) -> Path:
    """`value` as a path."""
    if not isinstance(value, (str, os.PathLike)):
        msg = f"{what} is {described(value)}; expected a path, such as 'night/'."
        raise TypeError(msg)
    if not os.fspath(value):
        msg = f"{what} has no name; give a path ('.' for the working directory)."
        raise ValueError(msg)
    return Path(value)


def axes_to_draw_on(axes: Any) -> Axes:
    """The axes that a user gave for a picture; without any, those of a new figure of pyplot."""
    from matplotlib.axes import Axes

    if axes is None:
        import matplotlib.pyplot as plt

        return plt.subplots(layout="constrained")[1]
    if not isinstance(axes, Axes):
        msg = f"axes is {described(axes)}; expected axes of matplotlib, such as figure.subplots() or plt.gca()."
        raise TypeError(msg)
    return axes


def check_shape(shape: Any) -> tuple[int, int]:
    """`shape` as (ny, nx), two positive whole numbers."""
    try:
        ny, nx = (check_count("an axis of the shape", size) for size in shape)
    except (TypeError, ValueError) as error:
        msg = f"shape is {described(shape)}; it must be (ny, nx), two positive whole numbers."
        raise ValueError(msg) from error
    if not (ny and nx):
        msg = f"shape is {shape!r}; neither axis may be empty."
        raise ValueError(msg)
    return ny, nx


def check_array(
    what: str,
    value: Any,
    shape: tuple[int, int],
    unit: u.UnitBase = u.dimensionless_unscaled,
    *,
    minimum: float = 0.0,
) -> NDArray[np.float64]:
    """`value`, a number or an array, as a read-only finite array of `shape` in `unit`."""
    values = quantity_values(what, value, unit)
    if values.shape not in ((), shape):
        msg = f"{what} has shape {values.shape}; it must be a number or an array of shape {shape}."
        raise ValueError(msg)
    if not np.isfinite(values).all() or (values < minimum).any():
        allowed = "" if math.isinf(minimum) else f" and at least {minimum:g}{f' {unit}' if str(unit) else ''}"
        msg = f"{what} must be finite{allowed} everywhere; it goes from {values.min()} to {values.max()}."
        raise ValueError(msg)
    # A number becomes a view of one element, which costs no memory.
    result = np.broadcast_to(values, shape) if values.ndim == 0 else values.copy()
    result.flags.writeable = False
    return result


def as_mask(what: str, value: Any) -> NDArray[np.bool_]:
    """
    An array of bool of a mask or a map of bad pixels.

    Whole numbers are bits, as files hold them: all but 0 is True. Floating-point numbers and frames must be 0 and 1: an
    image that is given for a mask by mistake has others, and would mask every pixel.
    """
    bits = not isinstance(value, NDData)
    if isinstance(value, NDData):
        value = value.data
    if hasattr(value, "compute"):
        value = value.compute()
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):
        array = np.empty((), dtype=object)
    if array.dtype == np.bool_:
        return array
    if array.dtype.kind not in "iuf" or isinstance(value, u.Quantity):
        msg = f"{what} is {described(value)}; expected an array of bool, True where a pixel is bad."
        raise TypeError(msg)
    if (array.dtype.kind == "f" or not bits) and not ((array == 0) | (array == 1)).all():
        odd = array[~((array == 0) | (array == 1))].flat[0]
        msg = f"{what} holds {odd:g}; expected True and False, or 1 and 0. Write the condition, as in data > 60000."
        raise ValueError(msg)
    return array.astype(np.bool_)


def other_words(**advice: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """
    Say what to write to those who call a function with the names of arguments that ccdproc has, or with misspelt ones.

    ``advice`` has for each name what to write instead; in it ``{name}`` is the value of an argument, as code. The
    function that is returned raises a TypeError for these names and is otherwise the same.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        name = getattr(function, "__qualname__", "").removesuffix(".__init__")
        parameters = signature(function).parameters
        by_place = [key for key, one in parameters.items() if one.kind is not Parameter.KEYWORD_ONLY]
        needed = [key for key in by_place if parameters[key].default is Parameter.empty]

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            for word in advice.keys() & kwargs.keys():
                given = {key: _in_code(value) for key, value in kwargs.items()}
                msg = f"{name} has no argument {word!r}: {advice[word].format_map(_Given(given))}"
                raise TypeError(msg)
            most = len(by_place)
            if len(args) > most:
                remedy = advice.get("_position", "Write the name of the argument before it.")
                msg = f"{name} does not take {described(args[most])} as its argument number {most + 1}. {remedy}"
                raise TypeError(msg)
            for word in kwargs.keys() - parameters.keys():
                from difflib import get_close_matches

                for meant in get_close_matches(word, parameters, 1):
                    msg = f"{name} has no argument {word!r}; did you mean {meant}=?"
                    raise TypeError(msg)
            missing = [key for key in needed[len(args) :] if key not in kwargs]
            if missing and "_position" in advice:
                msg = f"{name} needs {' and '.join(missing)}. {advice['_position']}"
                raise TypeError(msg)
            return function(*args, **kwargs)

        return call

    return decorate


def other_words_of_init(**advice: str) -> Callable[[type[T]], type[T]]:
    """Do for the constructor of a class what `other_words` does for a function."""

    def decorate(cls: type[T]) -> type[T]:
        cls.__init__ = other_words(**advice)(cls.__init__)  # type: ignore[method-assign]  # a wrapper of the same arguments
        return cls

    return decorate


def with_options_of(
    steps: Callable[Concatenate[D, P], Any],
) -> Callable[[Callable[Concatenate[F, D, ...], R]], Callable[Concatenate[F, D, P], R]]:
    """Give a function ``(frame, detector, **options)`` in its signature the options of ``(detector, ...)``."""
    options = [one for one in signature(steps).parameters.values() if one.kind is Parameter.KEYWORD_ONLY]

    def decorate(function: Callable[Concatenate[F, D, ...], R]) -> Callable[Concatenate[F, D, P], R]:
        own = signature(function)
        given = [one for one in own.parameters.values() if one.kind is not Parameter.VAR_KEYWORD]
        whole = own.replace(parameters=[*given, *options])

        @wraps(function)
        def call(*args: Any, **kwargs: Any) -> R:
            try:
                whole.bind(*args, **kwargs)
            except TypeError as error:
                msg = f"{call.__name__}() {error}"
                raise TypeError(msg) from None
            return function(*args, **kwargs)

        vars(call)["__signature__"] = whole
        return call

    return decorate


def with_sections(sections: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Add to a docstring of one line the sections that it shares with others."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        if function.__doc__:  # which `python -OO` leaves out
            function.__doc__ = f"\n    {function.__doc__}\n{sections}"
        return function

    return decorate


class _Given(dict[str, str]):
    """Values as code; three dots for what was not given."""

    def __missing__(self, name: str) -> str:
        return "..."


def _in_code(value: Any) -> str:
    """A value as one writes it in Python, if that is short."""
    if isinstance(value, u.Quantity) and value.isscalar:
        units = str(value.unit).split(" / ")
        written = " / ".join(unit_in_code(u.Unit(one)) if one.isidentifier() else one for one in units)
        return f"{value.value:g} * {written}" if len(units) < 3 else f"{value.value:g} * {unit_in_code(value.unit)}"
    content = repr(value)
    return content if isinstance(value, (str, list, tuple, *NUMBERS)) and len(content) <= LONGEST else "..."


def printable(text: str) -> str:
    """``text`` with "?" for what a terminal might take for a command."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
