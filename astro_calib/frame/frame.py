"""`CCDFrame`: a CCDData that knows where its error came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, NDData

from astro_calib.arguments import described
from astro_calib.dtypes import float_type, floating
from astro_calib.flags import DataQuality
from astro_calib.noise.budget import UncertaintyBudget

if TYPE_CHECKING:
    from numpy.typing import NDArray


import dataclasses
import os
import warnings
from collections.abc import Mapping
from copy import deepcopy
from typing import TYPE_CHECKING

from astropy.io import registry
from astropy.nddata import FlagCollection, NDUncertainty, StdDevUncertainty, VarianceUncertainty
from astropy.utils.decorators import sharedmethod
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS
from astropy.wcs.wcsapi import BaseHighLevelWCS, BaseLowLevelWCS

from astro_calib.arguments import as_mask, check_unit, frame_from, unit_in_code
from astro_calib.errors import FrameError, NoiseWarning, ShapeMismatchError
from astro_calib.frame.arithmetic import budget_of, budget_over_axes
from astro_calib.frame.history import History
from astro_calib.frame.operands import (
    OBSERVERS,
    is_same_array,
    may_be_written,
    merged_flags,
    plain_slices,
    weak,
    with_unit,
)
from astro_calib.frame.pixels import WriteGuard
from astro_calib.frame.read_write import FrameRead, FrameWrite
from astro_calib.frame.statistics import STATISTICS, good_pixels
from astro_calib.frame.wcs import cut_wcs, plane_wcs
from astro_calib.noise.budget import NoBudget
from astro_calib.noise.identity import content_digest, drawn_identity, uncertainty_identity
from astro_calib.noise.origin import Origin
from astro_calib.noise.source import NoiseSource
from astro_calib.noise.window import compose_windows, window_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

__all__ = ["CCDFrame", "check_addable", "covariance", "flagged_uncertain", "spread_out"]

#: Name of a source of which nothing is known but its size.
UNNAMED = "uncertainty"
#: The arguments of a CCDData that may be given by position, after the data.
POSITIONAL = ("uncertainty", "mask", "wcs", "meta", "unit", "copy", "psf")


class _GuardedVariance(np.ndarray):
    """The variance as astropy hands it out; says what to do instead of writing into it, as `ccdproc.combine` does."""

    def __setitem__(self, item: Any, value: Any) -> None:
        if not self.flags.writeable:
            msg = (
                "the variance of a CCDFrame cannot be written into, because it belongs to its sources of noise: "
                "assign to "
                "frame.uncertainty instead. To combine frames use astro_calib.combine, not ccdproc.combine."
            )
            raise ValueError(msg)
        super().__setitem__(item, value)


class CCDFrame(CCDData):
    """
    A CCD image with its variance, split up by the sources of noise that it comes from.

    All that works on a `~astropy.nddata.CCDData` works on it. In addition there are operators, arithmetic follows each
    source of noise on its own, and mask, flags, header and WCS survive it.

    Parameters
    ----------
    data : array-like, Quantity, or CCDData
        The image, shape (ny, nx), kept by reference: whole numbers, floating-point numbers or bool. An uncertainty of a
        plain CCDData is taken over as one source of noise of its own; it is the same source each time that the same
        object is used.
    uncertainty : NDUncertainty or ndarray, optional
        Standard deviation, variance or inverse variance; a bare array counts as standard deviations. It becomes a new
        source of noise, independent from pixel to pixel, that no other frame shares.
    budget : UncertaintyBudget, optional
        Instead of an uncertainty, the sources one by one.
    name : str, optional
        What messages call the frame; the file name if it was read from a file.
    **kwargs
        ``unit``, ``mask``, ``flags``, ``wcs``, ``meta``, ``psf`` and ``copy``, as for CCDData.

    Raises
    ------
    FrameError
        If the data are no real numbers: complex, text, dates or objects.
    ValueError
        If there is no unit, or the shapes of data and uncertainty differ.

    Notes
    -----
    A frame without uncertainty counts as exact, and so does any number, array or Quantity in arithmetic with a frame.

    Writing into ``data`` in place, or setting ``data`` or ``uncertainty``, cuts the link to the sources: from then on
    the variance belongs to one source of the frame's own. The variance array itself cannot be written into; assign to
    ``uncertainty`` instead.

    ``sum``, ``mean``, ``min`` and ``max``, and `numpy.mean` and the like, leave out masked pixels and return frames,
    the first two with their error. `numpy.std`, `numpy.var`, `numpy.median` and percentiles leave them out as well, and
    return numbers without an error.

    A frame remembers which master bias, dark and flat were applied to it: the steps refuse the same one again.

    Functions of ccdproc that calculate with frames, such as ``subtract_bias``, return frames with the right budget.
    ``block_reduce``, ``median_filter``, ``wcs_project`` and the like return a plain CCDData without uncertainty.
    ``cosmicray_lacosmic`` and ``cosmicray_median`` replace pixels and leave their variance as it was. The latter and
    photutils want standard deviations: give them ``np.sqrt(frame.variance)``.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from astro_calib import CCDFrame
    >>> a = CCDFrame(np.full((2, 2), 100.0), unit="electron", uncertainty=StdDevUncertainty(np.full((2, 2), 5.0)))
    >>> b = CCDFrame(np.full((2, 2), 10.0), unit="electron", uncertainty=StdDevUncertainty(np.full((2, 2), 3.0)))
    >>> (a - b).variance
    array([[34., 34.],
           [34., 34.]])
    >>> (a - b + b).variance
    array([[25., 25.],
           [25., 25.]])
    >>> (a - a).variance
    array([[0., 0.],
           [0., 0.]])
    """

    read = registry.UnifiedReadWriteMethod(FrameRead)
    write = registry.UnifiedReadWriteMethod(FrameWrite)

    def __init__(
        self, data: Any, *args: Any, budget: UncertaintyBudget | NoBudget | None = None, **kwargs: Any
    ) -> None:
        name = kwargs.pop("name", None)
        guard, history, cache = (kwargs.pop(key, None) for key in ("guard", "history", "cache"))
        self._budget: UncertaintyBudget | None = None
        self._checksum: str | None = None
        # Not before it is needed: astropy looks at the data's shape, which exposes nothing.
        self._guard: WriteGuard | None = None
        self._name: str | None = None if name is None else str(name)
        self._history = History() if history is None else history
        self._uncertainty: VarianceUncertainty | None = None
        self._flags: Any = None
        self._wrapped: NDArray[Any] | None = None
        #: What was made of the values for later use, with what it was made of.
        self._cache: dict[str, tuple[Any, Any]] = {} if cache is None else cache
        if len(args) > len(POSITIONAL) or kwargs.keys() & set(POSITIONAL[: len(args)]):
            msg = f"CCDFrame takes {', '.join(POSITIONAL)} after the data, each once."
            raise TypeError(msg)
        if name is not None and not isinstance(name, (str, os.PathLike)):
            msg = f"the name of a frame is {described(name)}; expected text or a path."
            raise TypeError(msg)
        known: UncertaintyBudget | None = None if isinstance(budget, NoBudget) else budget
        if known is not None and not isinstance(known, UncertaintyBudget):
            msg = f"{self.name}: the budget is {described(known)}; expected an UncertaintyBudget, or uncertainty=."
            raise TypeError(msg)
        kwargs |= dict(zip(POSITIONAL, args, strict=False))
        given = kwargs.get("uncertainty")
        parent = data if isinstance(data, NDData) else None
        if isinstance(parent, CCDFrame):
            # Its array is shared, so that both have to know who may write into it.
            whole = parent.parts()
            self._name = self._name or whole["name"]
            if history is None:
                self._history = whole["history"]
            if given is None and known is None:
                known = whole["budget"]
            if guard is None:
                guard = whole["guard"]
            for attribute in ("mask", "wcs", "unit", "psf", "flags"):
                if kwargs.get(attribute) is None:
                    kwargs[attribute] = whole[attribute]
            if kwargs.get("meta") is None and kwargs.get("header") is None:
                kwargs["meta"] = whole["meta"]
            data = whole["data"]
            if kwargs.get("copy"):
                guard = WriteGuard()
        # Here and not in each step: what is no number would be converted by some, and break the loops of others.
        _check_real(data.data if isinstance(data, NDData) else data, self.name)
        if kwargs.get("unit") is not None:
            kwargs["unit"] = check_unit(f"{self.name}: the unit", kwargs["unit"], "'adu' or 'electron'")
        elif getattr(data, "unit", None) is None:
            msg = f"{self.name}: a unit for its pixels must be given, as in CCDFrame(data, unit='adu')."
            raise ValueError(msg)
        _check_header_and_wcs(self.name, kwargs)
        super().__init__(data, **kwargs)
        self._guard = guard
        if guard is not None and guard.checksum is None:
            self._checksum = None
        if parent is not None and given is None and known is None and not isinstance(parent, CCDFrame):
            foreign = parent.uncertainty
            if foreign is not None and self._budget is not None:
                identity = uncertainty_identity(np.asarray(parent.data), foreign)
                known = self._own_budget(self._budget.variance(), identity)
        if known is not None:
            self._set_budget(known)
        elif self._history.origin is not None and self._guard is None:
            # A part of a raw frame, whose array is in other hands.
            self._checksum = self._digest()

    # -- the budget and its faces --------------------------------------------------------------------------------

    @property
    def budget(self) -> UncertaintyBudget | NoBudget:
        """
        The sources of noise with their sensitivity coefficients.

        A raw frame counts as exact until somebody says what detector it comes from: `~astro_calib.create_deviation`
        and `~astro_calib.calibrate` do. Until then its budget has no terms and is false, as in
        ``if frame.budget:``, and a FrameError says what to do if somebody asks it for variances.
        """
        budget = self.known_budget
        return NoBudget(self.name, self.shape) if budget is None else budget

    @property
    def known_budget(self) -> UncertaintyBudget | None:
        """The budget, None for a frame that counts as exact."""
        if self._uncertainty is not None and self._uncertainty.array is not self._wrapped:
            # Somebody gave the uncertainty another array.
            uncertainty, self._uncertainty = self._uncertainty, None
            self.uncertainty = uncertainty
            _warn_of_lost_sources(self.name, "its uncertainty was given another array")
        if self._was_written():
            # Somebody wrote into the data: what is there now has the old variance, but not the old sources.
            self._forget_origin()
            if self._budget is None:
                self._guard = self._checksum = None
            else:
                self._set_budget(self._own_budget(self._budget.variance(), drawn_identity()))
        return self._budget

    def _digest(self) -> str:
        return content_digest(self._data)

    def _forget_origin(self) -> None:
        self._history = dataclasses.replace(self._history, origin=None)

    def _known_digest(self) -> str | None:
        """The digest of the data, if it was needed before."""
        return self._checksum or (None if self._guard is None else self._guard.checksum)

    def _was_written(self) -> bool:
        """Whether the data are others than when the budget was set, or when somebody else got hold of the array."""
        checksum = self._known_digest()
        return checksum is not None and checksum != self._digest()

    def _set_budget(self, budget: UncertaintyBudget | None) -> None:
        if budget is not None:
            if budget.shape != self.shape:
                msg = f"{self.name}: a budget of shape {budget.shape} for data of shape {self.shape}."
                raise ShapeMismatchError(msg)
            budget = budget.of_data(self._data).astype(float_type(self.dtype))
            if any(coefficient.depends_on_own for _, coefficient in budget.terms):
                budget.variance()  # now, while the data are what the coefficients say
        self._budget = budget
        self._uncertainty = None
        untouched = self._guard is not None and self._guard.checksum is None
        self._checksum = None if budget is None or untouched or not may_be_written(self._data) else self._digest()

    def _own_budget(self, variance: NDArray[Any], identity: str) -> UncertaintyBudget:
        source = NoiseSource(UNNAMED, variance, axes=tuple(range(self.ndim)), identity=identity)
        dtype = float_type(self.dtype)
        return UncertaintyBudget(self.shape, [(source, 1.0)], dtype, self._data)

    def _wrap_variance(self, budget: UncertaintyBudget) -> None:
        self._wrapped = budget.variance().view(_GuardedVariance)
        self._uncertainty = VarianceUncertainty(budget.variance(), copy=False)
        # Past the setter, which would take off the guard.
        vars(self._uncertainty)["_array"] = self._wrapped
        self._uncertainty.parent_nddata = self

    @property
    def variance(self) -> NDArray[Any] | None:
        """The variance, in the square of the frame's unit; read-only; None for a frame that counts as exact."""
        budget = self.known_budget
        return None if budget is None else budget.variance()

    @property
    def uncertainty(self) -> VarianceUncertainty | None:
        """The variance as astropy has it; assigning any kind of uncertainty starts a new source of noise."""
        budget = self.known_budget
        if budget is None:
            return None
        if self._uncertainty is None:
            self._wrap_variance(budget)
        return self._uncertainty

    @uncertainty.setter
    def uncertainty(self, value: Any) -> None:
        if value is None or (isinstance(value, NDUncertainty) and value.array is None):
            self._set_budget(None)
            return
        if value is self._uncertainty:
            return
        if isinstance(value, np.ndarray) and not isinstance(value, u.Quantity):
            value = StdDevUncertainty(value)
        if not isinstance(value, NDUncertainty):
            msg = (
                "uncertainty must be an instance of a NDUncertainty object or a numpy array. Not "
                f"{described(value)}: write StdDevUncertainty(array), with an array of the frame's shape {self.shape}."
            )
            raise TypeError(msg)
        if np.shape(value.array) != self.shape:
            msg = f"uncertainty must have same shape as data: {np.shape(value.array)} is not {self.shape}."
            raise ValueError(msg)
        # A copy without parent: the parent of a foreign uncertainty may have another unit than this frame. Adding zero
        # takes the sign off -0.
        values = np.asarray(value.array, dtype=np.float64) + 0.0
        negative = np.count_nonzero(values < 0)
        if negative:
            # Before they are squared, which would make an error bar of what is none.
            called = {"std": "standard deviations", "var": "variances", "ivar": "inverse variances"}
            kind = called.get(value.uncertainty_type, "uncertainties")
            msg = (
                f"{self.name}: {negative} {kind} are negative; an uncertainty cannot be. Give NaN where none is known."
            )
            raise ValueError(msg)
        with np.errstate(divide="ignore"):
            # An inverse variance of 0 says that nothing is known.
            variance = type(value)(values, unit=value.unit, copy=False).represent_as(VarianceUncertainty)
        array = np.array(variance.array, dtype=float_type(self.dtype))
        if variance.unit is not None and self.unit is not None and variance.unit != self.unit**2:
            array *= variance.unit.to(self.unit**2)
        self._forget_origin()
        budget = self._own_budget(array, drawn_identity())
        self._set_budget(budget)
        self._wrap_variance(budget)  # at once: the constructor assigns what it finds in _uncertainty a second time

    @property
    def data(self) -> NDArray[Any]:
        """The image; assigning to it cuts the link between its variance and the sources that this came from."""
        if self._guard is not None:
            self._guard.expose(self._data)
        return self._data

    @data.setter
    def data(self, value: NDArray[Any]) -> None:
        _check_values(self, value)
        variance = self.variance
        if variance is not None and np.shape(value) != variance.shape:
            msg = (
                f"{self.name} has a variance of shape {variance.shape}, which does not fit data of shape "
                f"{np.shape(value)}: set its uncertainty to None first."
            )
            raise ShapeMismatchError(msg)
        _check_real(value, self.name)
        self._data = value
        self._guard = None
        self._forget_origin()
        if variance is not None:
            self._set_budget(self._own_budget(variance, drawn_identity()))

    @property
    def pixels(self) -> NDArray[Any]:
        """
        The image, read-only.

        Reading it costs nothing. Whoever asks for `data` may write into it, so that its pixels get a checksum first,
        to see later whether the noise still belongs to them.

        Examples
        --------
        >>> from astro_calib import CCDFrame
        >>> float(CCDFrame([[1.0, 2.0]], unit="adu").pixels.max())
        2.0
        """
        view = np.asarray(self._data).view()
        view.flags.writeable = False
        return view

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the data."""
        return self._data.shape

    @property
    def ndim(self) -> int:
        """The number of axes of the data."""
        return self._data.ndim

    @property
    def size(self) -> int:
        """The number of pixels."""
        return self._data.size

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the data."""
        return self._data.dtype

    @property
    def unit(self) -> u.UnitBase:
        """The unit of the data; setting it changes neither data nor variance."""
        return self._unit

    @unit.setter
    def unit(self, value: Any) -> None:
        self._unit = check_unit(f"{self.name}: the unit", value, "'adu' or 'electron'")
        self._uncertainty = None

    @property
    def mask(self) -> Any:
        """True where a pixel is not to be used, or None."""
        return None if self._mask is np.ma.nomask else self._mask

    @mask.setter
    def mask(self, value: Any) -> None:
        if value is None or value is np.ma.nomask:
            self._mask: Any = np.ma.nomask
            return
        mask = as_mask(f"the mask of {self.name}", value)
        if mask.shape != self.shape:
            msg = f"dimensions of mask {mask.shape} and data {self.shape} do not match"
            raise ValueError(msg)
        self._mask = mask

    @property
    def flags(self) -> Any:
        """Bits of `DataQuality` for each pixel, or None."""
        return self._flags

    @flags.setter
    def flags(self, value: Any) -> None:
        if isinstance(value, FlagCollection) and value.shape == self.shape:
            msg = f"{self.name}: flags are bits of DataQuality in one array, not a FlagCollection."
            raise TypeError(msg)
        if isinstance(value, NDData):
            msg = f"{self.name}: flags are {described(value)}; expected an array of bits of DataQuality."
            raise TypeError(msg)
        if value is not None and not isinstance(value, FlagCollection):
            value = np.asarray(value)
            if value.dtype.kind not in "biu" or (
                not np.can_cast(value.dtype, np.uint16)
                and value.size
                and not 0 <= int(value.min()) <= int(value.max()) <= np.iinfo(np.uint16).max
            ):
                msg = f"{self.name}: flags must be whole numbers of 16 bits, from 0 to 65535."
                raise ValueError(msg)
            value = value.astype(np.uint16, copy=False)
        if isinstance(value, np.ndarray) and value.shape != self.shape:
            msg = f"{self.name}: dimensions of flags do not match data: {value.shape} is not {self.shape}."
            raise ValueError(msg)
        CCDData.flags.fset(self, value)  # which refuses other shapes

    @property
    def wcs(self) -> Any:
        """The WCS of the image's axes, or None."""
        return self._wcs

    @wcs.setter
    def wcs(self, value: Any) -> None:
        CCDData.wcs.fset(self, plane_wcs(value, self.ndim, self.name))

    @property
    def name(self) -> str:
        """What messages call the frame."""
        return self._name or "the frame"

    @name.setter
    def name(self, value: str | None) -> None:
        self._name = value

    @property
    def history(self) -> History:
        """What the frame remembers of how it was made."""
        return self._history

    @history.setter
    def history(self, value: History) -> None:
        self._history = value

    @property
    def n_used(self) -> NDArray[np.uint16] | None:
        """For a stack made by `combine`, how many values were used at each pixel; None for other frames."""
        return self._history.n_used

    @property
    def provenance(self) -> tuple[Mapping[str, Any], ...]:
        """
        What was done to the frame, the oldest step first, as far as `~astro_calib.masters.provenance.record` was told.

        Each step has ``step``, ``date``, ``masters`` (kind, identity, name, checksum, file), ``parameters`` and
        ``versions``.
        """
        return self._history.provenance

    # -- arithmetic ----------------------------------------------------------------------------------------------

    @sharedmethod
    def add(self, operand: Any, operand2: Any = None, **kwargs: Any) -> CCDFrame:
        """
        The sum of two frames, or of a frame and a number, array or Quantity.

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
            The sum, with each source of noise followed. Flags are ORed, masks too; header and WCS are those of the
            frame.

        Raises
        ------
        ValueError
            If shapes or units do not fit; the message names the frame.
        """
        return _operate(self, np.add, operand, operand2, kwargs)

    @sharedmethod
    def subtract(self, operand: Any, operand2: Any = None, **kwargs: Any) -> CCDFrame:
        """
        The difference of two frames, or of a frame and a number, array or Quantity.

        Parameters
        ----------
        operand : CCDFrame, CCDData, Quantity, array-like or float
            The other operand, which broadcasts to the frame. Without an uncertainty it counts as exact.
        operand2 : same, optional
            If the method is called on the class, the second operand; the first one is ``operand`` then.
        **kwargs
            As for `astropy.nddata.NDArithmeticMixin.subtract`; ``propagate_uncertainties=None`` leaves the uncertainty
            out.

        Returns
        -------
        CCDFrame
            The difference, with each source of noise followed. Flags are ORed, masks too; header and WCS are those of
            the frame.

        Raises
        ------
        ValueError
            If shapes or units do not fit; the message names the frame.
        """
        return _operate(self, np.subtract, operand, operand2, kwargs)

    @sharedmethod
    def multiply(self, operand: Any, operand2: Any = None, **kwargs: Any) -> CCDFrame:
        """
        The product of two frames, or of a frame and a number, array or Quantity.

        Parameters
        ----------
        operand : CCDFrame, CCDData, Quantity, array-like or float
            The other operand, which broadcasts to the frame. Without an uncertainty it counts as exact.
        operand2 : same, optional
            If the method is called on the class, the second operand; the first one is ``operand`` then.
        **kwargs
            As for `astropy.nddata.NDArithmeticMixin.multiply`; ``propagate_uncertainties=None`` leaves the uncertainty
            out.

        Returns
        -------
        CCDFrame
            The product, with each source of noise followed. Flags are ORed, masks too; header and WCS are those of the
            frame.

        Raises
        ------
        ValueError
            If shapes or units do not fit; the message names the frame.
        """
        return _operate(self, np.multiply, operand, operand2, kwargs)

    @sharedmethod
    def divide(self, operand: Any, operand2: Any = None, **kwargs: Any) -> CCDFrame:
        """
        The quotient of two frames, or of a frame and a number, array or Quantity.

        Parameters
        ----------
        operand : CCDFrame, CCDData, Quantity, array-like or float
            The other operand, which broadcasts to the frame. Without an uncertainty it counts as exact.
        operand2 : same, optional
            If the method is called on the class, the second operand; the first one is ``operand`` then.
        **kwargs
            As for `astropy.nddata.NDArithmeticMixin.divide`; ``propagate_uncertainties=None`` leaves the uncertainty
            out.

        Returns
        -------
        CCDFrame
            The quotient, with each source of noise followed. Flags are ORed, masks too; header and WCS are those of the
            frame.

        Raises
        ------
        ValueError
            If shapes or units do not fit; the message names the frame.
        """
        return _operate(self, np.true_divide, operand, operand2, kwargs)

    def __add__(self, other: Any) -> CCDFrame:
        return self.add(other)

    def __radd__(self, other: Any) -> CCDFrame:
        return self.add(other) if _is_number(other) else type(self).add(other, self)

    def __sub__(self, other: Any) -> CCDFrame:
        return self.subtract(other)

    def __rsub__(self, other: Any) -> CCDFrame:
        return (-self).add(other) if _is_number(other) else type(self).subtract(other, self)

    def __mul__(self, other: Any) -> CCDFrame:
        return self.multiply(other)

    def __rmul__(self, other: Any) -> CCDFrame:
        return self.multiply(other) if _is_number(other) else type(self).multiply(other, self)

    def __truediv__(self, other: Any) -> CCDFrame:
        return self.divide(other)

    def __rtruediv__(self, other: Any) -> CCDFrame:
        return type(self).divide(other, self)

    def __pow__(self, power: Any) -> CCDFrame:
        msg = f"{self.name}: a frame has no power; write frame * frame, or np.power(frame.data, {described(power)})."
        raise TypeError(msg)

    def _compare(self, other: Any, sign: str) -> Any:
        if not _is_number(other) and not isinstance(other, (u.Quantity, NDData)):
            return NotImplemented
        what = described(other) if _is_number(other) else "value"
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

    def __neg__(self) -> CCDFrame:
        return self.multiply(-1.0)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """The four operations keep the frame; any other function sees the data alone, as for a CCDData."""
        operators: dict[Any, Callable[[Any, Any], Any]] = {
            np.add: lambda a, b: a + b if isinstance(a, CCDFrame) else b.__radd__(a),
            np.subtract: lambda a, b: a - b if isinstance(a, CCDFrame) else b.__rsub__(a),
            np.multiply: lambda a, b: a * b if isinstance(a, CCDFrame) else b.__rmul__(a),
            np.true_divide: lambda a, b: a / b if isinstance(a, CCDFrame) else b.__rtruediv__(a),
        }
        if method == "__call__" and not kwargs and ufunc is np.negative:
            return -self
        if method == "__call__" and not kwargs and ufunc in operators:
            return operators[ufunc](*inputs)
        if any(isinstance(value, CCDFrame) for value in kwargs.get("out", ())):
            msg = "numpy cannot write into a frame, whose variance would no longer belong to it; write into its data."
            raise TypeError(msg)
        arrays = [value.__array__() if isinstance(value, CCDFrame) else value for value in inputs]
        if method == "reduce" and isinstance(arrays[0], np.ma.MaskedArray) and kwargs.keys() <= {"axis"}:
            # NumPy's own would count what is masked.
            ufunc = getattr(np.ma, ufunc.__name__, ufunc)
        return getattr(ufunc, method)(*arrays, **kwargs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        """Statistics leave out masked pixels; any other function does what it does with a CCDData."""
        if not args and "a" in kwargs:
            args, kwargs = (kwargs["a"],), {name: value for name, value in kwargs.items() if name != "a"}
        if func in STATISTICS and args and isinstance(args[0], CCDFrame):
            first = args[0]
            good = np.ones(first.shape, dtype=bool) if first.mask is None else ~first.mask
            return func(good_pixels(first.pixels, good), *args[1:], **kwargs)
        plain: Any = np.empty(0)
        return plain.__array_function__(func, (), args, kwargs)

    # -- statistics ----------------------------------------------------------------------------------------------

    def sum(self, axis: Any = None, *, keepdims: bool = False, **kwargs: Any) -> CCDFrame:
        """
        The sum over pixels that are not masked, with its error.

        Parameters
        ----------
        axis : int or tuple of int, optional
            What to sum over; all axes by default.
        keepdims : bool
            Whether these stay, with length 1.
        **kwargs
            As for the collapse operations of `astropy.nddata.NDArithmeticMixin`. With ``operation_ignores_mask=False``
            masked pixels are counted in value and error, and the sum is masked then.

        Returns
        -------
        CCDFrame
            Masked where no pixel is left, with NaN as its variance. The sources of noise are followed from pixel to
            pixel; the result's noise is its own.

        Examples
        --------
        >>> import numpy as np
        >>> from astro_calib import CCDFrame
        >>> mask = np.arange(12).reshape(3, 4) > 9
        >>> frame = CCDFrame(np.ones((3, 4)), unit="electron", uncertainty=np.full((3, 4), 2.0), mask=mask)
        >>> float(frame.sum().data), float(frame.sum().variance)        # 10 pixels of variance 4
        (10.0, 40.0)
        """
        return self._collapsed(np.sum, axis, keepdims, kwargs)

    def mean(self, axis: Any = None, *, keepdims: bool = False, **kwargs: Any) -> CCDFrame:
        """
        The mean of the pixels that are not masked, with its error.

        Parameters
        ----------
        axis : int or tuple of int, optional
            The axes to go over; all by default.
        keepdims : bool
            Whether these stay, with length 1.
        **kwargs
            As for `sum`.

        Returns
        -------
        CCDFrame
            As for `sum`.

        Examples
        --------
        >>> import numpy as np
        >>> from astro_calib import CCDFrame
        >>> mask = np.arange(12).reshape(3, 4) > 9
        >>> frame = CCDFrame(np.ones((3, 4)), unit="electron", uncertainty=np.full((3, 4), 2.0), mask=mask)
        >>> float(frame.mean().data), round(float(frame.mean().variance), 6)        # 4 / 10
        (1.0, 0.4)
        """
        return self._collapsed(np.mean, axis, keepdims, kwargs)

    def min(self, axis: Any = None, *, keepdims: bool = False, **kwargs: Any) -> CCDFrame:
        """
        The lowest of the pixels that are not masked.

        Parameters
        ----------
        axis : int or tuple of int, optional
            The axes to go over; all by default.
        keepdims : bool
            Whether these stay, with length 1.
        **kwargs
            As for `sum`.

        Returns
        -------
        CCDFrame
            Without an uncertainty: that of an extreme is no matter of first order.

        Examples
        --------
        >>> from astro_calib import CCDFrame
        >>> float(CCDFrame([[1.0, 2.0, 3.0]], unit="adu", mask=[[True, False, False]]).min().data)
        2.0
        """
        return self._collapsed(np.min, axis, keepdims, {"propagate_uncertainties": None, **kwargs})

    def max(self, axis: Any = None, *, keepdims: bool = False, **kwargs: Any) -> CCDFrame:
        """
        The highest of the pixels that are not masked.

        Parameters
        ----------
        axis : int or tuple of int, optional
            The axes to go over; all by default.
        keepdims : bool
            Whether these stay, with length 1.
        **kwargs
            As for `sum`.

        Returns
        -------
        CCDFrame
            Without an uncertainty: that of an extreme is no matter of first order.

        Examples
        --------
        >>> from astro_calib import CCDFrame
        >>> float(CCDFrame([[1.0, 2.0, 3.0]], unit="adu", mask=[[False, False, True]]).max().data)
        2.0
        """
        return self._collapsed(np.max, axis, keepdims, {"propagate_uncertainties": None, **kwargs})

    def _collapsed(self, operation: Any, axis: Any, keepdims: bool, kwargs: dict[str, Any]) -> CCDFrame:
        """A statistic over all axes or some."""
        options = {"operation_ignores_mask": True, **kwargs}
        result: CCDFrame = self._prepare_then_do_arithmetic(operation, axis=axis, **options)
        if not keepdims:
            return result
        shape = np.sum(np.empty(self.shape, dtype=bool), axis=axis, keepdims=True).shape
        variance = result.variance
        return type(self)(
            result.pixels.reshape(shape),
            unit=result.unit,
            mask=None if result.mask is None else result.mask.reshape(shape),
            uncertainty=None if variance is None else VarianceUncertainty(variance.reshape(shape)),
            meta=result.meta,
            name=self._name,
        )

    def calculate(self, operation: Any, operand: CCDFrame, **kwargs: Any) -> CCDFrame:
        """
        The result of an operation on this frame and another.

        Parameters
        ----------
        operation : callable
            ``numpy.add``, ``numpy.subtract``, ``numpy.multiply`` or ``numpy.true_divide``.
        operand : CCDFrame, shape (ny, nx) or ()
            The other operand.
        **kwargs
            As for `astropy.nddata.NDArithmeticMixin.add`.

        Returns
        -------
        CCDFrame
            With the header of this frame.
        """
        result: CCDFrame = self._prepare_then_do_arithmetic(operation, operand, **kwargs)
        return result

    def _arithmetic(
        self,
        operation: Any,
        operand: Any,
        propagate_uncertainties: bool | None = True,
        handle_mask: Any = np.logical_or,
        handle_meta: Any = "first_found",
        uncertainty_correlation: Any = 0,
        compare_wcs: Any = "first_found",
        **kwargs: Any,
    ) -> tuple[Any, dict[str, Any]]:
        """What astropy calls for all arithmetic: the result's values and the arguments to make a frame of them."""
        if np.any(uncertainty_correlation):
            msg = "a CCDFrame knows which noise its operands share; uncertainty_correlation cannot be given."
            raise ValueError(msg)
        result, attributes = super()._arithmetic(
            operation,
            operand,
            propagate_uncertainties=None,
            handle_mask=handle_mask,
            handle_meta=None if operand is None and handle_meta == "first_found" else handle_meta,
            compare_wcs=compare_wcs,
            **kwargs,
        )
        if operand is None:
            if self.dtype.kind == "f" and result.dtype != self.dtype:
                result = result.astype(self.dtype)  # a masked mean is divided in double precision
            attributes["meta"] = deepcopy(self.meta)
        del attributes["uncertainty"]
        attributes["name"] = self._name or (None if operand is None else operand.parts()["name"])
        attributes["guard"] = WriteGuard()
        applied = (self if operand is None or not self.history.is_constant else operand).history.applied
        if operand is None:
            attributes["history"] = History(applied=applied)
            if propagate_uncertainties:
                attributes["uncertainty"] = self._collapsed_uncertainty(operation, **kwargs)
            return result, attributes
        attributes["flags"] = merged_flags(self.flags, operand.flags)
        if operation is np.true_divide:
            attributes["flags"] = flagged_uncertain(attributes["flags"], operand, result.shape)
        attributes["history"] = History(
            origin=self._origin_after(operation, operand),
            flattened_step=self._flattened_step_after(operation, operand),
            applied=applied,
        )
        if propagate_uncertainties:
            attributes["budget"] = self._propagated(operation, operand, result)
        elif propagate_uncertainties is False:
            kept = self.known_budget if self.known_budget is not None else operand.known_budget
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

    def _propagated(self, operation: Any, operand: CCDFrame, result: Any) -> UncertaintyBudget | None:
        data = np.asarray(result.value)
        other = operand.known_budget
        if self.known_budget is None and other is None:
            return None
        for told in OBSERVERS:
            told(operand, None)
        if other is not None and operand.ndim == 0:
            # A number with an uncertainty is one draw for the whole frame.
            other = UncertaintyBudget(self.shape, other.materialized().terms, data.dtype)

        def values() -> Any:
            if operand.ndim == 0:
                return weak(operand.pixels)
            array = operand.read_only_data()
            for told in OBSERVERS:
                told(operand, array)
            return array

        if operation in (np.add, np.subtract):
            factor = float(operand.unit.to(self.unit)) * (-1 if operation is np.subtract else 1)
            return budget_of(np.add, self.known_budget, other, values, factor, data)
        # A product does not tell the values of the frame where the operand is zero.
        zeros = other is not None and operation is np.multiply and not np.all(operand.pixels)
        left = self.read_only_data() if zeros else None
        return budget_of(operation, self.known_budget, other, values, 1.0, data, left)

    def read_only_data(self) -> NDArray[Any]:
        """
        The data as an array that nobody writes into, for the budgets of other frames to refer to.

        Returns
        -------
        ndarray
            Of floating-point numbers: the data themselves if nobody can write into them, else a copy, made once.
        """
        if not may_be_written(self._data):
            return floating(self._data)
        array: NDArray[Any] = self.cached("lasting", (), self._copy_of_data)
        return array

    def _copy_of_data(self) -> NDArray[Any]:
        array = np.array(floating(self._data))
        array.flags.writeable = False
        return array

    def cached(self, what: str, given: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        """
        What is made of the frame's values and kept; made anew when they, or what is given, have changed.

        Parameters
        ----------
        what : str
            A name for it.
        given : tuple
            What else it depends on.
        make : callable
            Makes it; takes nothing.

        Returns
        -------
        object
            What ``make`` returned.
        """
        # A frame whose data somebody writes into gets another budget.
        budget = self.known_budget
        key = (budget, self._digest() if budget is None else None, *given)
        found = self._cache.get(what)
        if found is None or found[0] != key:
            found = self._cache[what] = (key, make())
        return found[1]

    def _origin_after(self, operation: Any, operand: CCDFrame) -> Origin | None:
        origin = self.origin
        if origin is None or operation in (np.add, np.subtract):
            return origin
        power = 1 if operation is np.multiply else -1
        if operand.ndim == 0:
            return origin.scaled(float(operand.pixels), power)
        own = () if self.known_budget is None else self.known_budget.terms
        if origin.raw.step == 0 or any(source.identity == f"{origin.raw.identity()}:read" for source, _ in own):
            # Nothing was digitised, or the noise of that is known already.
            return origin.scaled(0.0)
        return origin.scaled(operand.read_only_data(), power)

    def _flattened_step_after(self, operation: Any, operand: CCDFrame) -> float | None:
        """The digital step of a frame that was divided by a flat, after it and a number were put together."""
        frame, number = (operand, self) if self._history.is_constant else (self, operand)
        step = frame.history.flattened_step
        if step is None or number.ndim or operation in (np.add, np.subtract):
            return step if number.history.is_constant else None
        if operation is np.multiply:
            return step * abs(float(number.pixels))
        return step / abs(float(number.pixels)) if frame is self and number.pixels != 0 else None

    @property
    def origin(self) -> Origin | None:
        """Which pixels of a raw frame these are; None for a frame whose uncertainty came with it."""
        if self.known_budget is None and self._history.origin is None and not self._history.is_constant:
            origin = Origin.of(self._data)
            if self._guard is None or self._guard.checksum is not None:
                return origin
            # Nobody can have written into the data, and if somebody does, it is noticed.
            self._history = dataclasses.replace(self._history, origin=origin)
        return self._history.origin

    @property
    def digital_step(self) -> float | None:
        """The digital step in the frame's unit, 0 where the values were not digitised; None if it is not known."""
        origin = self.origin
        return self._history.flattened_step if origin is None else origin.quantum

    def _collapsed_uncertainty(
        self, operation: Any, axis: Any = None, operation_ignores_mask: bool = False, **_: Any
    ) -> VarianceUncertainty | None:
        """Variance of a sum or a mean; None for other functions, and for exact frames."""
        budget = self.known_budget
        if budget is None or operation not in (np.sum, np.mean):
            return None
        axes = tuple(range(self.ndim)) if axis is None else tuple(np.atleast_1d(axis) % self.ndim)
        weights = np.ones(self.shape)
        if self.mask is not None and (operation_ignores_mask or operation is np.mean):
            # A mean leaves out what is masked in any case.
            weights[self.mask] = 0
        number = weights.sum(axis=axes, keepdims=True)
        if operation is np.mean:
            weights /= np.maximum(number, 1)
        variance = np.asarray(budget_over_axes(budget, weights, axes))
        # Of nothing nothing is known.
        return VarianceUncertainty(np.where(number.reshape(variance.shape) > 0, variance, np.nan), unit=self.unit**2)

    def convert_unit_to(self, unit: Any, equivalencies: Any = ()) -> CCDFrame:
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

    # -- cutting and copying -------------------------------------------------------------------------------------

    def __getitem__(self, item: Any) -> CCDFrame:
        if self.shape == ():
            msg = "scalars cannot be sliced."
            raise TypeError(msg)
        try:
            kwargs = self._slice(item)
        except (IndexError, TypeError) as error:
            remedy = "slices of rows and columns, as in frame[10:20, 5:15]"
            if isinstance(item, str):
                remedy += f", or trim_image(frame, {item!r}) for a FITS section"
            msg = (
                f"{self.name} has shape {self.shape} and cannot be cut by {described(item)} ({error}): write {remedy}."
            )
            raise IndexError(msg) from error
        return type(self)(**kwargs)

    def __setitem__(self, item: Any, value: Any) -> None:
        msg = (
            f"{self.name}: values are written into its array, as in frame.data[10:20, 5:15] = 0; the variance is then "
            "no longer that of the sources."
        )
        raise TypeError(msg)

    def _slice(self, item: Any) -> dict[str, Any]:
        slices = plain_slices(item, self.ndim)
        guard = None if slices is None or self._guard is None or self._guard.checksum is not None else self._guard
        part = self.data[item] if guard is None else self._data[item]
        kwargs: dict[str, Any] = {
            "data": part,
            "guard": None if guard is None else guard.of_part(self._data, part),
            "mask": self._slice_mask(item),
            "wcs": self._slice_wcs(item),
            "unit": self.unit,
            "meta": self.meta,
            "name": self._name,
            "flags": None if self.flags is None else self.flags[item],
        }
        budget, origin = self.known_budget, self.origin
        cut = None
        if slices is not None:
            if origin is not None:
                moves = tuple(window_of(part, length) for part, length in zip(slices, self.shape, strict=True))
                cut = origin.cut(compose_windows(origin.window, moves), slices, self.shape)
            if budget is not None:
                kwargs["budget"] = budget[slices]
        elif budget is not None:
            _warn_of_lost_sources(self.name, "an index other than slices takes out single pixels")
            kwargs["uncertainty"] = VarianceUncertainty(budget.variance()[item], unit=self.unit**2)
        kwargs["history"] = self._history.of_new_pixels(origin=cut)
        return kwargs

    def _slice_wcs(self, item: Any) -> Any:
        slices = plain_slices(item, self.ndim)
        if isinstance(self.wcs, WCS) and slices is not None and self.ndim <= self.wcs.naxis:
            return cut_wcs(self.wcs, slices, self.shape)
        try:
            wcs = super()._slice_wcs(item)
        except (ValueError, IndexError):
            wcs = None
        if self.wcs is not None and (wcs is None or not isinstance(wcs, type(self.wcs))):
            msg = (
                f"{self.name}: its WCS cannot follow the index {described(item)}; the result has none. Cut by slices "
                "to keep it."
            )
            warnings.warn(msg, AstropyUserWarning, stacklevel=4)
            return None
        return wcs

    def parts(self) -> dict[str, Any]:
        """
        What the frame is made of, as arguments for another that shares its array and its guard.

        Returns
        -------
        dict
            Of the arguments of `CCDFrame`.
        """
        return {
            "data": self._data,
            "unit": self.unit,
            "mask": self.mask,
            "flags": self.flags,
            "meta": self.meta,
            "wcs": self.wcs,
            "psf": self.psf,
            "name": self._name,
            "budget": self.known_budget,
            "history": self._history,
            "guard": self._guard,
        }

    def with_budget(self, budget: UncertaintyBudget | None, origin: Origin | None = None) -> CCDFrame:
        """
        The same pixels with another budget.

        Parameters
        ----------
        budget : UncertaintyBudget or None
            The budget; None for a frame that counts as exact.
        origin : Origin, optional
            Which pixels of a raw frame they are, if others.

        Returns
        -------
        CCDFrame
            With the rest of this frame, and a header of its own.
        """
        return self.replace(self._data, budget, origin=origin)

    def replace(
        self, data: NDArray[Any], budget: UncertaintyBudget | None, *, origin: Origin | None = None, **others: Any
    ) -> CCDFrame:
        """
        A frame with other values, or another budget, and the rest of this one.

        Parameters
        ----------
        data : ndarray
            The new values, of the same shape: an array that nobody else holds, or `pixels`.
        budget : UncertaintyBudget or None
            Of the new values.
        origin : Origin, optional
            Which pixels of a raw frame they are, if others.
        **others
            ``unit``, ``mask``, ``flags``, ``wcs``, ``meta``, ``psf``, ``name``, ``history`` and ``guard``, if others.

        Returns
        -------
        CCDFrame
            With a header of its own.

        Examples
        --------
        >>> import numpy as np
        >>> from astro_calib import CCDFrame
        >>> frame = CCDFrame(np.ones((2, 2)), unit="adu", mask=np.eye(2, dtype=bool), name="dark.fits")
        >>> doubled = frame.replace(2 * frame.pixels, None)
        >>> doubled.name, int(doubled.mask.sum())
        ('dark.fits', 2)
        """
        same = is_same_array(data, self._data)
        step = self._history.flattened_step if same else None
        origin = self.origin if origin is None else origin
        history = self._history.of_new_pixels(origin=origin, flattened_step=step)
        changed: dict[str, Any] = {
            "data": self._data if same else data,
            "budget": budget,
            "guard": self._guard if same else others.pop("guard", None) or WriteGuard(),
            "history": history,
        }
        if "meta" not in others:
            changed["meta"] = deepcopy(self.meta)
        return type(self)(**{**self.parts(), **changed, **{key: one for key, one in others.items() if one is not None}})

    def snapshot(self) -> CCDFrame:
        """
        A snapshot whose pixels are checksummed once, for a calculation in which nobody writes into them.

        Returns
        -------
        CCDFrame
            It shares all arrays with this one.
        """
        budget = self.known_budget
        guard = WriteGuard()
        if self._guard is not None:
            guard.readers = self._guard.readers
        return type(self)(self, budget=budget, guard=guard, history=self._history, cache=self._cache)

    def copy(self) -> CCDFrame:
        """
        A copy with data, mask, flags and header of its own, and the same noise.

        Returns
        -------
        CCDFrame
            Equal to this frame; in a difference of the two all noise cancels.
        """
        history = self._history
        return type(self)(
            self._data.copy(),
            unit=self.unit,
            mask=None if self.mask is None else self.mask.copy(),
            flags=None if self.flags is None else self.flags.copy(),
            meta=deepcopy(self.meta),
            wcs=None if self.wcs is None else self.wcs.deepcopy(),
            psf=None if self.psf is None else self.psf.copy(),
            name=self._name,
            budget=self.known_budget,
            history=dataclasses.replace(
                history, n_used=None if history.n_used is None else history.n_used.copy(), is_constant=False
            ),
            guard=WriteGuard(),
        )

    def __copy__(self) -> CCDFrame:
        return type(self)(self, psf=self.psf)

    def __deepcopy__(self, memo: dict[int, Any]) -> CCDFrame:
        return self.copy()

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        if self._guard is None and self._checksum is None:
            state["_guard"] = WriteGuard()  # a read-only array comes back as one that can be written into
        state["_uncertainty"] = state["_wrapped"] = None
        state["_cache"] = {}
        return state


def covariance(a: CCDFrame, b: CCDFrame) -> NDArray[Any]:
    r"""
    The covariance of two frames, pixel by pixel, from the sources of noise that they share.

    Parameters
    ----------
    a, b : CCDFrame, shape (ny, nx)
        Two frames; an exact one has no covariance with any other.

    Returns
    -------
    ndarray, shape (ny, nx)
        :math:`\sum_k c_{ak} c_{bk} v_k` over the shared sources (JCGM 100:2008, eq. F.2), in the product of the two
        units.

    Raises
    ------
    FrameError
        If one of them is no CCDFrame.
    ShapeMismatchError
        If the shapes differ.

    Examples
    --------
    >>> import numpy as np
    >>> from astropy.nddata import StdDevUncertainty
    >>> from astro_calib import CCDFrame, covariance
    >>> bias = CCDFrame(np.zeros((1, 2)), unit="adu", uncertainty=StdDevUncertainty(np.full((1, 2), 3.0)))
    >>> covariance(5.0 * bias, bias - 2 * bias)
    array([[-45., -45.]])
    """
    for frame in (a, b):
        if not isinstance(frame, CCDFrame):
            msg = f"covariance takes two CCDFrames; one of them is {described(frame)}. {frame_from(frame)}"
            raise FrameError(msg)
    if a.shape != b.shape:
        msg = f"{a.name} has shape {a.shape}, {b.name} has {b.shape}: no pixels to pair up."
        raise ShapeMismatchError(msg)
    if a.known_budget is None or b.known_budget is None:
        return np.zeros(a.shape, dtype=np.result_type(floating(a.pixels), floating(b.pixels)))
    return a.known_budget.covariance(b.known_budget)


def _is_number(value: Any) -> bool:
    """Whether an operand from the left is a plain number, of which no array has to be made."""
    return isinstance(value, (int, float, np.integer, np.floating))


def _check_header_and_wcs(name: str, given: Mapping[str, Any]) -> None:
    """Refuse a header, a WCS or a PSF of another kind."""
    header = given.get("meta") if given.get("meta") is not None else given.get("header")
    if header is not None and not isinstance(header, Mapping):
        msg = f"{name}: the header (meta) is {described(header)}; expected a dict or a fits.Header."
        raise TypeError(msg)
    wcs = given.get("wcs")
    if wcs is not None and not isinstance(wcs, (BaseLowLevelWCS, BaseHighLevelWCS)):
        write = "WCS(header)" if isinstance(wcs, Mapping) else "astropy.wcs.WCS(header)"
        msg = f"{name}: the wcs is {described(wcs)}; expected a WCS: write {write}."
        raise TypeError(msg)


def _check_values(frame: CCDFrame, value: Any) -> None:
    """Refuse what is no plain array as the values of a frame, which have the frame's unit."""
    if isinstance(value, u.Quantity):
        write = f"values.to_value({unit_in_code(frame.unit)})"
    elif hasattr(value, "compute"):
        write = "values.compute()"
    elif isinstance(value, NDData):
        write = "values.data"
    elif not isinstance(value, np.ndarray):
        write = "np.asarray(values)"
    else:
        return
    msg = f"the data of {frame.name} cannot be {described(value)}; expected an array: write frame.data = {write}."
    raise TypeError(msg)


def _check_real(values: Any, name: str) -> None:
    """Refuse what a pixel cannot be."""
    if hasattr(values, "compute") or hasattr(values, "to_numpy"):
        msg = f"{name}: its pixels are {described(values)}; expected a NumPy array. {frame_from(values)}"
        raise FrameError(msg)
    if isinstance(values, (list, tuple)) and any(isinstance(value, NDData) for value in values):
        msg = f"{name} is made of a list of frames; expected one array. combine makes one frame of several."
        raise FrameError(msg)
    dtype = getattr(values, "dtype", None)
    if not isinstance(dtype, np.dtype):
        dtype = np.asarray(values).dtype
    if dtype.kind in "biuf":
        return
    if dtype.kind == "c":
        remedy = "Take their real part or their absolute value first."
    else:
        remedy = "Convert them first, as with data.astype(float); to read a file call CCDFrame.read."
    msg = f"{name}: its pixels are of type {dtype}; expected real numbers: integer, floating point or bool. {remedy}"
    raise FrameError(msg)


def _warn_of_lost_sources(name: str, why: str) -> None:
    """Say that a result's noise is treated as its own."""
    msg = f"{name}: {why}, so that its sources of noise cannot be followed; the result's noise is treated as its own."
    warnings.warn(msg, NoiseWarning, stacklevel=3)


def _as_operand(cls: type[CCDFrame], value: Any) -> CCDFrame:
    """A frame that stands for a number, an array or a CCDData."""
    frame = cls(with_unit(value))
    frame.history = dataclasses.replace(frame.history, is_constant=not isinstance(value, NDData))
    return frame


def _same_unit(left: Any, right: CCDFrame) -> str:
    """What to write where two operands have units that do not fit."""
    for bare, other in ((right, left), (left, right)):
        if bare.history.is_constant and bare.unit == u.dimensionless_unscaled:
            what = f"{bare.pixels:g}" if bare.ndim == 0 else "array"
            return f"Give it its unit: write {what} * {unit_in_code(other.unit)}."
    if {left.unit, right.unit} == {u.adu, u.electron}:
        return "Apply gain_correct to what is in adu first."
    return f"Expected a unit that converts to {left.unit}."


def check_addable(left: Any, right: CCDFrame) -> None:
    """Refuse the sum or the difference of frames whose units do not fit."""
    if not right.unit.is_equivalent(left.unit):
        msg = (
            f"{left.name} is in {str(left.unit) or 'no unit'}, but what is added or subtracted is in "
            f"{str(right.unit) or 'no unit'}. {_same_unit(left, right)}"
        )
        raise u.UnitConversionError(msg)


def _operate(self_or_class: Any, operation: Any, operand: Any, operand2: Any, kwargs: dict[str, Any]) -> CCDFrame:
    """
    Call astropy's arithmetic with operands that all have a unit.

    astropy allows numbers without unit by switching a global off and on; a failing operation leaves it off, and two
    threads get in each other's way.
    """
    first = self_or_class if isinstance(self_or_class, CCDFrame) else None
    cls = type(first) if first is not None else self_or_class
    if operand2 is None:
        if first is None:
            msg = "operand2 must be given when the method isn't called on an instance."
            raise TypeError(msg)
        left, right = first, operand
    else:
        left, right = operand, operand2
    left, right = (value if isinstance(value, CCDFrame) else _as_operand(cls, value) for value in (left, right))
    try:
        shape = np.broadcast_shapes(left.shape, right.shape)
    except ValueError:
        shape = left.shape  # which is refused below
    left, right = spread_out(left, shape, right), right if right.ndim == 0 else spread_out(right, shape, left)
    if right.ndim and right.shape != left.shape:
        msg = (
            f"{left.name} has shape {left.shape} and {right.name} has shape {right.shape}; arithmetic needs frames of "
            "the same shape. Trim them to the same section first."
        )
        raise ShapeMismatchError(msg)
    if operation in (np.add, np.subtract):
        check_addable(left, right)
    exact = left.known_budget is None and right.known_budget is None
    if operation is np.true_divide and not exact and right.ndim == 0 and right.pixels == 0:
        msg = (
            f"{left.name} is divided by {right.pixels:g}{f' {right.unit}' if str(right.unit) else ''}, and its error "
            "would be no number; give a divisor other than zero."
        )
        raise ZeroDivisionError(msg)
    return left.calculate(operation, right, **kwargs)


#: Above this relative error of a divisor, first-order propagation is off by more than about 1%.
MAX_RELATIVE_ERROR = 0.05


#: So many pixels stay in the cache.
TOGETHER = 1 << 15


def spread_out(frame: CCDFrame, shape: tuple[int, ...], other: CCDFrame) -> CCDFrame:
    """A number as a frame of a shape and the other's type, an exact array broadcast to it; anything else as it is."""
    if frame.shape == shape or (frame.ndim and frame.known_budget is not None):
        return frame
    try:
        if np.broadcast_shapes(frame.shape, shape) != shape:
            return frame
    except ValueError:
        return frame
    dtype = float_type(other.dtype) if frame.ndim == 0 else frame.dtype
    data = np.array(np.broadcast_to(frame.pixels, shape), dtype=dtype)
    data.flags.writeable = False
    budget = frame.known_budget
    result = type(frame)(
        data,
        unit=frame.unit,
        mask=None if frame.mask is None else np.broadcast_to(frame.mask, shape),
        flags=None if frame.flags is None else np.broadcast_to(frame.flags, shape),
        meta=frame.meta,
        name=frame.parts()["name"],
        budget=None if budget is None else UncertaintyBudget(shape, budget.materialized().terms, budget.dtype),
    )
    result.history = dataclasses.replace(result.history, is_constant=frame.history.is_constant)
    return result


def flagged_uncertain(flags: Any, divisor: CCDFrame, shape: tuple[int, ...]) -> Any:
    """The flags of a quotient, with a remark where the divisor is too uncertain for first-order propagation."""
    variance = divisor.variance
    if variance is None:
        return flags
    uncertain = _uncertain(np.atleast_1d(divisor.pixels), np.atleast_1d(variance)).reshape(divisor.shape)
    if divisor.mask is not None:
        uncertain &= ~divisor.mask
    if not uncertain.any():
        return flags
    remark = np.where(uncertain, np.uint16(DataQuality.UNCERTAIN_DIVISOR), np.uint16(0))
    return np.broadcast_to(remark, shape) | (np.zeros(shape, np.uint16) if flags is None else flags)


def _uncertain(data: NDArray[Any], variance: NDArray[Any]) -> NDArray[np.bool_]:
    """Where the relative error is too large, found for rows that stay in the cache."""
    from astro_calib.kernels.threads import over_rows

    uncertain = np.empty(data.shape, dtype=np.bool_)

    def find(rows: slice) -> None:
        with np.errstate(invalid="ignore", over="ignore"):
            # The other way round, so that an unknown variance counts as a large one.
            np.less_equal(variance[rows], np.square(MAX_RELATIVE_ERROR * data[rows]), out=uncertain[rows])
            np.logical_not(uncertain[rows], out=uncertain[rows])

    over_rows(find, len(data), data.size, max(1, TOGETHER * len(data) // max(data.size, 1)))
    return uncertain
