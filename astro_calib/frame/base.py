"""What a frame is: pixels, the budget of their noise, and a history."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.nddata import CCDData, NDData, NDUncertainty, VarianceUncertainty

from astro_calib.arguments import check_unit
from astro_calib.dtypes import float_type
from astro_calib.errors import ShapeMismatchError
from astro_calib.frame.checks import (
    NAMELESS,
    by_position,
    checked_budget,
    checked_flags,
    checked_mask,
    checked_name,
    checked_variance,
    refuse_header_and_wcs,
    refuse_unreal,
    refuse_values,
    warn_of_lost_sources,
)
from astro_calib.frame.copies import Copies
from astro_calib.frame.history import BLANK, History
from astro_calib.frame.kept import Kept
from astro_calib.frame.wcs import plane_wcs
from astro_calib.frame.write_guard import WriteGuard, may_be_written
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.identity import drawn_identity, uncertainty_identity
from astro_calib.noise.no_budget import NoBudget
from astro_calib.noise.origin import Origin
from astro_calib.noise.source import NoiseSource

if TYPE_CHECKING:
    from collections.abc import Mapping

    import astropy.units as u
    from numpy.typing import NDArray

__all__ = ["UNNAMED", "BaseFrame"]

#: The name of a source when only its size is known.
UNNAMED = "uncertainty"


class _GuardedVariance(np.ndarray):
    """The variance that astropy hands out. It refuses writes, such as `ccdproc.combine` makes, and says what to do."""

    def __setitem__(self, item: Any, value: Any) -> None:
        if not self.flags.writeable:
            msg = (
                "the variance of a CCDFrame cannot be written into, because it belongs to its sources of noise: "
                "assign to "
                "frame.uncertainty instead. To combine frames use astro_calib.combine, not ccdproc.combine."
            )
            raise ValueError(msg)
        super().__setitem__(item, value)


class BaseFrame(Copies, Kept):
    """An image with its budget and its history. The classes that extend it say what can be done with frames."""

    def __init__(
        self, data: Any, *args: Any, budget: UncertaintyBudget | NoBudget | None = None, **kwargs: Any
    ) -> None:
        if args:
            kwargs |= by_position(args, kwargs)
        parent = data if isinstance(data, NDData) else None
        given, known = kwargs.get("uncertainty"), None
        if isinstance(parent, BaseFrame):
            # The two share an array, so both must know who may write into it.
            whole = parent.parts()
            data, known = whole.pop("data"), whole.pop("budget")
            if kwargs.get("header") is not None:
                del whole["meta"]
            kwargs = whole | {key: value for key, value in kwargs.items() if value is not None}
            if kwargs.get("copy"):
                kwargs["guard"] = WriteGuard()
        self._name = checked_name(kwargs.pop("name", None))
        guard, history, cache = (kwargs.pop(key, None) for key in ("guard", "history", "cache"))
        known = checked_budget(self.name, budget) or (known if given is None else None)
        self._budget: UncertaintyBudget | None = None
        self._checksum: str | None = None
        # The guard is set at the end: astropy looks at the data's shape, which exposes nothing.
        self._guard: WriteGuard | None = None
        #: What the frame remembers of how it was made.
        self.history: History = BLANK if history is None else history
        self._uncertainty: VarianceUncertainty | None = None
        self._flags: Any = None
        self._wrapped: NDArray[Any] | None = None
        #: What `cached` keeps, each result with what it depends on.
        self.cache: dict[str, tuple[Any, Any]] = {} if cache is None else cache
        # The steps rely on this: some would convert what is no number, and it would break the loops of others.
        if not isinstance(parent, BaseFrame):
            refuse_unreal(self.name, data if parent is None else parent.data)
        if kwargs.get("unit") is not None:
            kwargs["unit"] = check_unit(f"{self.name}: the unit", kwargs["unit"], "'adu' or 'electron'")
        elif getattr(data, "unit", None) is None:
            msg = f"{self.name}: a unit for its pixels must be given, as in CCDFrame(data, unit='adu')."
            raise ValueError(msg)
        refuse_header_and_wcs(self.name, kwargs)
        super().__init__(data, **kwargs)
        self._guard = guard
        if guard is not None and guard.checksum is None:
            self._checksum = None
        if parent is not None and given is None and known is None and not isinstance(parent, BaseFrame):
            foreign = parent.uncertainty
            if foreign is not None and self._budget is not None:
                identity = uncertainty_identity(np.asarray(parent.data), foreign)
                known = self._own_budget(self._budget.variance(), identity)
        if known is not None:
            self._set_budget(known)
        elif self.history.origin is not None and self._guard is None:
            # This is a part of a raw frame, and others hold its array.
            self._checksum = self._digest()

    # -- the budget and the variance --------------------------------------------------------------------------------

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
        """The budget; None for a frame that counts as exact."""
        if self._uncertainty is not None and self._uncertainty.array is not self._wrapped:
            # Somebody gave the uncertainty another array.
            uncertainty, self._uncertainty = self._uncertainty, None
            self.uncertainty = uncertainty
            warn_of_lost_sources(self.name, "its uncertainty was given another array")
        if self._was_written():
            # Somebody wrote into the data. They keep the old variance, but not the old sources.
            self._forget_origin()
            if self._budget is None:
                self._guard = self._checksum = None
            else:
                self._set_budget(self._own_budget(self._budget.variance(), drawn_identity()))
        return self._budget

    def _forget_origin(self) -> None:
        self.history = dataclasses.replace(self.history, origin=None)

    def _was_written(self) -> bool:
        """Whether the data have changed since the budget was set, or since somebody else got hold of the array."""
        checksum = self._checksum or (None if self._guard is None else self._guard.checksum)
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
        # The setter would replace the guarded array.
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
        variance = checked_variance(self.name, value, self.shape, self.unit, float_type(self.dtype))
        self._forget_origin()
        budget = self._own_budget(variance, drawn_identity())
        self._set_budget(budget)
        self._wrap_variance(budget)  # at once: the constructor assigns what it finds in _uncertainty a second time

    @property
    def data(self) -> NDArray[Any]:
        """
        The image, which may be written into; assigning to it cuts the link between its variance and its sources.

        Asking for it costs a checksum of the pixels, by which a change is noticed; `pixels` costs nothing.
        """
        if self._guard is not None:
            self._guard.expose(self._data)
        return self._data

    @data.setter
    def data(self, value: NDArray[Any]) -> None:
        refuse_values(self.name, self.unit, value)
        variance = self.variance
        if variance is not None and np.shape(value) != variance.shape:
            msg = (
                f"{self.name} has a variance of shape {variance.shape}, which does not fit data of shape "
                f"{np.shape(value)}: set its uncertainty to None first."
            )
            raise ShapeMismatchError(msg)
        refuse_unreal(self.name, value)
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
        self._mask = checked_mask(self.name, value, self.shape)

    @property
    def flags(self) -> Any:
        """Bits of `DataQuality` for each pixel, or None."""
        return self._flags

    @flags.setter
    def flags(self, value: Any) -> None:
        CCDData.flags.fset(self, checked_flags(self.name, value, self.shape))

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
        return self._name or NAMELESS

    @name.setter
    def name(self, value: str | None) -> None:
        self._name = checked_name(value)

    @property
    def n_used(self) -> NDArray[np.uint16] | None:
        """For a stack made by `combine`, how many values were used at each pixel; None for other frames."""
        return self.history.n_used

    @property
    def provenance(self) -> tuple[Mapping[str, Any], ...]:
        """
        What was done to the frame, the oldest step first, as far as ``masters.provenance.record`` was told.

        Each step has ``step``, ``date``, ``masters`` (kind, identity, name, checksum, file), ``parameters`` and
        ``versions``.
        """
        return self.history.provenance

    @property
    def origin(self) -> Origin | None:
        """Which pixels of a raw frame these are; None for a frame whose uncertainty came with it."""
        if self._budget is not None and self.history.origin is None:
            return None
        if self.known_budget is None and self.history.origin is None and not self.history.is_constant:
            origin = Origin.of(self._data, self.pixel_digest)
            if self._guard is None or self._guard.checksum is not None:
                return origin
            # Nobody can have written into the data yet, and the guard will notice if somebody does.
            self.history = dataclasses.replace(self.history, origin=origin)
        return self.history.origin

    @property
    def digital_step(self) -> float | None:
        """The digital step in the frame's unit, 0 where the values were not digitised; None if it is not known."""
        origin = self.origin
        return self.history.flattened_step if origin is None else origin.quantum
