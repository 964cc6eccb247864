"""Arithmetic with frames, which follows each source of noise: the four operations, and Python's and NumPy's signs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

import astropy.units as u
import numpy as np
from astropy.nddata import NDData
from astropy.utils.decorators import sharedmethod

from astro_calib.arguments import NUMBERS, check_unit, described, with_sections
from astro_calib.dtypes import floating
from astro_calib.errors import NoiseWarning, warn
from astro_calib.frame.arithmetic import budget_of
from astro_calib.frame.base import BaseFrame
from astro_calib.frame.checks import refuse_correlation
from astro_calib.frame.history import History
from astro_calib.frame.lending import lent_operand, reference_to
from astro_calib.frame.operands import conforming, flagged_uncertain, merged_flags, weak
from astro_calib.frame.write_guard import WriteGuard
from astro_calib.noise.budget import UncertaintyBudget

if TYPE_CHECKING:
    from collections.abc import Callable

    from astro_calib.noise.origin import Origin

__all__ = ["Operators"]

#: The sections that the docstrings of the four operations share.
SECTIONS = """
    Parameters
    ----------
    operand : CCDFrame, CCDData, Quantity, array-like or float
        The other operand, which broadcasts to the frame. Without an uncertainty it counts as exact.
    operand2 : same, optional
        If the method is called on the class, the second operand; the first one is ``operand`` then.
    **kwargs
        As for `astropy.nddata.NDArithmeticMixin.add`; ``propagate_uncertainties=None`` leaves the uncertainty out.

    Returns
    -------
    CCDFrame
        The result, with each source of noise followed. Flags are ORed, masks too; header and WCS are those of the
        frame.

    Raises
    ------
    ValueError
        If shapes or units do not fit; the message names the frame.
    """


class Operators(BaseFrame):
    """Sums, differences, products and quotients, and other units."""

    @sharedmethod
    @with_sections(SECTIONS)
    def add(self, operand: Any, operand2: Any = None, **kwargs: Any) -> Self:
        """The sum of two frames, or of a frame and a number, array or Quantity."""
        return _operate(self, np.add, operand, operand2, kwargs)

    @sharedmethod
    @with_sections(SECTIONS)
    def subtract(self, operand: Any, operand2: Any = None, **kwargs: Any) -> Self:
        """The difference of two frames, or of a frame and a number, array or Quantity."""
        return _operate(self, np.subtract, operand, operand2, kwargs)

    @sharedmethod
    @with_sections(SECTIONS)
    def multiply(self, operand: Any, operand2: Any = None, **kwargs: Any) -> Self:
        """The product of two frames, or of a frame and a number, array or Quantity."""
        return _operate(self, np.multiply, operand, operand2, kwargs)

    @sharedmethod
    @with_sections(SECTIONS)
    def divide(self, operand: Any, operand2: Any = None, **kwargs: Any) -> Self:
        """The quotient of two frames, or of a frame and a number, array or Quantity."""
        return _operate(self, np.true_divide, operand, operand2, kwargs)

    def __add__(self, other: Any) -> Self:
        return self.add(other)

    def __radd__(self, other: Any) -> Self:
        return self.add(other) if isinstance(other, NUMBERS) else type(self).add(other, self)

    def __sub__(self, other: Any) -> Self:
        return self.subtract(other)

    def __rsub__(self, other: Any) -> Self:
        return (-self).add(other) if isinstance(other, NUMBERS) else type(self).subtract(other, self)

    def __mul__(self, other: Any) -> Self:
        return self.multiply(other)

    def __rmul__(self, other: Any) -> Self:
        return self.multiply(other) if isinstance(other, NUMBERS) else type(self).multiply(other, self)

    def __truediv__(self, other: Any) -> Self:
        return self.divide(other)

    def __rtruediv__(self, other: Any) -> Self:
        return type(self).divide(other, self)

    def __pow__(self, power: Any) -> Self:
        msg = f"{self.name}: a frame has no power; write frame * frame, or np.power(frame.data, {described(power)})."
        raise TypeError(msg)

    def _compare(self, other: Any, sign: str) -> Any:
        if not isinstance(other, NUMBERS) and not isinstance(other, (u.Quantity, NDData)):
            return NotImplemented
        what = described(other) if isinstance(other, NUMBERS) else "value"
        msg = f"{self.name}: frames are not compared, their pixels are: write frame.data {sign} {what}."
        raise TypeError(msg)

    def __lt__(self, other: Any) -> Any:
        return self._compare(other, "<")

    def __le__(self, other: Any) -> Any:
        return self._compare(other, "<=")

    def __gt__(self, other: Any) -> Any:
        return self._compare(other, ">")

    def __ge__(self, other: Any) -> Any:
        return self._compare(other, ">=")

    def __neg__(self) -> Self:
        return self.multiply(-1.0)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """The four operations keep the frame; any other function sees the data alone, as for a CCDData."""
        operators: dict[Any, Callable[[Any, Any], Any]] = {
            np.add: lambda a, b: a + b if isinstance(a, BaseFrame) else b.__radd__(a),
            np.subtract: lambda a, b: a - b if isinstance(a, BaseFrame) else b.__rsub__(a),
            np.multiply: lambda a, b: a * b if isinstance(a, BaseFrame) else b.__rmul__(a),
            np.true_divide: lambda a, b: a / b if isinstance(a, BaseFrame) else b.__rtruediv__(a),
        }
        if method == "__call__" and not kwargs and ufunc is np.negative:
            return -self
        if method == "__call__" and not kwargs and ufunc in operators:
            return operators[ufunc](*inputs)
        if any(isinstance(value, BaseFrame) for value in kwargs.get("out", ())):
            msg = "numpy cannot write into a frame, whose variance would no longer belong to it; write into its data."
            raise TypeError(msg)
        arrays = [value.__array__() if isinstance(value, BaseFrame) else value for value in inputs]
        if method == "reduce" and isinstance(arrays[0], np.ma.MaskedArray) and kwargs.keys() <= {"axis"}:
            # NumPy's own function would count masked pixels.
            ufunc = getattr(np.ma, ufunc.__name__, ufunc)
        result = getattr(ufunc, method)(*arrays, **kwargs)
        if method == "__call__" and np.asarray(result).dtype.kind == "f":
            self._warn_of_bare_result(ufunc, inputs)
        return result

    def _warn_of_bare_result(self, ufunc: np.ufunc, inputs: tuple[Any, ...]) -> None:
        """Say that the result of a function has no noise, if a frame among the inputs has some."""
        noisy = next((one for one in inputs if isinstance(one, BaseFrame) and one.known_budget is not None), None)
        if noisy is not None:
            name = f"numpy.{ufunc.__name__}"
            msg = (
                f"{noisy.name}: {name} returns an array without the unit and the noise of the frame. Give it "
                "frame.pixels, if that is meant; the operators + - * / keep the noise."
            )
            warn(msg, NoiseWarning)

    def _arithmetic(
        self,
        operation: Any,
        operand: Any,
        propagate_uncertainties: bool | None = True,
        handle_meta: Any = "first_found",
        uncertainty_correlation: Any = 0,
        **kwargs: Any,
    ) -> tuple[Any, dict[str, Any]]:
        """The values of a result and the arguments to make a frame of them: astropy's, and what only frames have."""
        refuse_correlation(uncertainty_correlation)
        result, attributes = super()._arithmetic(
            operation, operand, propagate_uncertainties=None, handle_meta=handle_meta, **kwargs
        )
        del attributes["uncertainty"]
        flags = merged_flags(self.flags, operand.flags)
        attributes |= {
            "name": self._name or operand.name,
            "guard": WriteGuard(),
            "flags": flagged_uncertain(flags, operand, result.shape) if operation is np.true_divide else flags,
            "history": History(
                origin=self._origin_after(operation, operand),
                flattened_step=self._flattened_step_after(operation, operand),
                applied=(operand if self.history.is_constant else self).history.applied,
            ),
        }
        if propagate_uncertainties:
            attributes["budget"] = self._propagated(operation, operand, result)
        elif propagate_uncertainties is False:
            kept = self.known_budget or operand.known_budget
            attributes["budget"] = None if kept is None else kept.materialized()
        return result, attributes

    def _arithmetic_data(self, operation: Any, operand: Any, **kwargs: Any) -> Any:
        if operand is None:
            return super()._arithmetic_data(operation, operand, **kwargs)
        left, right = floating(self._data), weak(operand.pixels)
        if operation in (np.add, np.subtract):
            factor = operand.unit.to(self.unit)
            result, unit = operation(left, right if factor == 1 else right * factor), self.unit
        else:
            result, unit = operation(left, right), operation(self.unit, operand.unit)
        return u.Quantity(np.asarray(result), unit, dtype=None, copy=False)

    def _propagated(self, operation: Any, operand: BaseFrame, result: Any) -> UncertaintyBudget | None:
        data = np.asarray(result.value)
        operand = lent_operand(operand)
        own, other = self.known_budget, operand.known_budget
        if own is None and other is None:
            return None
        if other is not None and operand.ndim == 0:
            # A number with an uncertainty is one draw for the whole frame.
            other = UncertaintyBudget(self.shape, other.materialized().terms, data.dtype)

        def values() -> Any:
            return reference_to(operand) if operand.ndim else weak(operand.pixels)

        if operation in (np.add, np.subtract):
            factor = float(operand.unit.to(self.unit)) * (-1 if operation is np.subtract else 1)
            return budget_of(np.add, own, other, values, factor, data)
        # A product does not tell the values of the frame where the operand is zero.
        zeros = other is not None and operation is np.multiply and not np.all(operand.pixels)
        return budget_of(operation, own, other, values, 1.0, data, self.read_only_data() if zeros else None)

    def _origin_after(self, operation: Any, operand: BaseFrame) -> Origin | None:
        origin = self.origin
        if origin is None or operation in (np.add, np.subtract):
            return origin
        power = 1 if operation is np.multiply else -1
        if operand.ndim == 0:
            return origin.scaled(float(operand.pixels), power)
        own = () if self.known_budget is None else self.known_budget.terms
        if origin.raw.step == 0 or any(source.identity == f"{origin.raw.identity()}:read" for source, _ in own):
            # Nothing was digitised, or the budget has the noise of that already.
            return origin.scaled(0.0)
        return origin.scaled(operand.read_only_data(), power)

    def _flattened_step_after(self, operation: Any, operand: BaseFrame) -> float | None:
        """The digital step of a frame that was divided by a flat, after an operation with a number."""
        frame, number = (operand, self) if self.history.is_constant else (self, operand)
        step = frame.history.flattened_step
        if step is None or number.ndim or operation in (np.add, np.subtract):
            return step if number.history.is_constant else None
        if operation is np.multiply:
            return step * abs(float(number.pixels))
        return step / abs(float(number.pixels)) if frame is self and number.pixels != 0 else None

    def convert_unit_to(self, unit: Any, equivalencies: Any = ()) -> Self:
        """
        The frame in another unit.

        Parameters
        ----------
        unit : unit or str
            The unit to convert to.
        equivalencies : list, optional
            As in `astropy.units.UnitBase.to`; the conversion must be a multiplication by a number.

        Returns
        -------
        CCDFrame
            With data, and coefficients of the sources, multiplied by the factor.

        Raises
        ------
        astropy.units.UnitConversionError
            If the units cannot be converted, or not by a factor.

        Examples
        --------
        >>> import numpy as np
        >>> from astro_calib import CCDFrame
        >>> CCDFrame(np.ones((2, 2)), unit="V").convert_unit_to("mV").data
        array([[1000., 1000.],
               [1000., 1000.]])
        """
        unit = check_unit(f"{self.name}: the unit to convert to", unit, "'electron'")
        try:
            self.unit.to(unit, equivalencies=list(equivalencies))
        except u.UnitConversionError as error:
            msg = f"{self.name} is in {self.unit}, which cannot be converted to {unit or 'no unit'}. "
            adu = self.unit.is_equivalent(u.adu) and unit.is_equivalent(u.electron)
            msg += "Apply gain_correct." if adu else "Multiply the frame by a Quantity that makes the one of the other."
            raise u.UnitConversionError(msg) from error
        zero, one, two = self.unit.to(unit, [0.0, 1.0, 2.0], equivalencies=list(equivalencies))
        if zero != 0 or not np.isclose(two, 2 * one, rtol=1e-12):
            msg = f"{self.name}: {self.unit} is converted to {unit} by more than a factor; convert the data instead."
            raise u.UnitConversionError(msg)
        result = self.multiply(float(one))
        result.unit = unit
        return result


def _operate(self_or_class: Any, operation: Any, operand: Any, operand2: Any, kwargs: dict[str, Any]) -> Any:
    """
    Call astropy's arithmetic with operands that all have a unit.

    astropy allows numbers without unit by switching a global off and on; a failing operation leaves it off, and two
    threads get in each other's way.
    """
    first = self_or_class if isinstance(self_or_class, BaseFrame) else None
    cls = type(first) if first is not None else self_or_class
    if operand2 is None:
        if first is None:
            msg = "operand2 must be given when the method isn't called on an instance."
            raise TypeError(msg)
        operand, operand2 = first, operand
    left, right = conforming(cls, operation, operand, operand2)
    cls = type(left)
    values, attributes = cls._arithmetic(left, operation, right, **kwargs)
    return cls(values, **attributes)
