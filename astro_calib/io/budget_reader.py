"""Sources of noise and sensitivity coefficients from a tree (`astro_calib.io.tree`)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.arguments import described
from astro_calib.detector.correlation import Correlation
from astro_calib.detector.waves import MOST_TONES, Level
from astro_calib.errors import FrameError
from astro_calib.io.master_parts import MasterParts, MissingMasterError
from astro_calib.io.stored_arrays import native, window_of_entry
from astro_calib.io.surfaces import surface_of_entry
from astro_calib.io.tree import rest_of_variance
from astro_calib.noise.arrays import SELF_DATA, ArrayRef, LazyArray, SurvivorMask, TableArray
from astro_calib.noise.budget import UncertaintyBudget
from astro_calib.noise.coefficient import Coefficient
from astro_calib.noise.mosaic import MosaicArray
from astro_calib.noise.source import Constituent, NoiseSource
from astro_calib.noise.sparse import SomePixels, SparseArray

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

__all__ = ["BudgetReader", "budget_of_tree", "source_of_tree"]

#: Written frequencies lie between -pi and pi; those beyond this, in radians a pixel, are damaged.
FASTEST = 10 * np.pi


class BudgetReader:
    """
    Reads the budget of a frame; arrays are read when they are asked for.

    Parameters
    ----------
    tree : mapping
        That of the budget.
    data, total : array_like or None
        The frame's data and its variance.
    find : callable
        Given an entry of the list of masters, finds what is stored of it; None if it is nowhere.

    Attributes
    ----------
    terms : list of (NoiseSource, Coefficient)
        The sources that are known, with their coefficients.
    missing : list of mapping
        The masters that were not found. What depends on them is not among the terms, nor what the rest is of.

    Raises
    ------
    FrameError
        If the tree makes no sense.
    """

    def __init__(
        self, tree: Mapping[str, Any], data: Any, total: Any, find: Callable[[Mapping[str, Any]], Any] = lambda _: None
    ) -> None:
        self.shape = tuple(int(length) for length in tree["shape"])
        self.dtype = np.dtype(str(tree["dtype"]))
        if self.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            msg = f"its variances are of type {self.dtype}; expected float32 or float64."
            raise FrameError(msg)
        self._data, self._total = data, total
        self._tree = tree
        self._of_masters = MasterParts(tree.get("masters", ()), self.shape, find)
        self._fields: dict[int, ArrayRef] = {}
        self._correlations = [correlation_of_entry(entry) for entry in tree.get("correlations", ())]
        self.terms: list[tuple[NoiseSource, Coefficient]] = []
        missing: dict[str, Mapping[str, Any]] = {}
        #: Which of the terms is the rest.
        self._rest: int | None = None
        for term in tree["terms"]:
            try:
                coefficient = self._factored(term["coefficient"])
                variance = term["source"].get("variance")
                if isinstance(variance, Mapping) and "rest" in variance:
                    if self._rest is not None:
                        msg = "two of its sources are what the others leave of the variance."
                        raise FrameError(msg)
                    self._rest = len(self.terms)
                    source = self._source(term["source"], self._rest_of_total(str(variance["rest"])))
                else:
                    source = self.source(term["source"])
                self.terms.append((source, coefficient))
            except MissingMasterError as error:
                missing[str(error.entry["identity"])] = error.entry
        self.missing = list(missing.values())
        if missing and self._rest is not None:
            # What the other terms leave is not known any more.
            del self.terms[self._rest]

    def budget(self, total: NDArray[Any]) -> UncertaintyBudget:
        """
        The budget; what is not known of its sources is one of their own.

        Parameters
        ----------
        total : ndarray
            The total variance, read-only from now on.
        """
        terms = list(self.terms)
        if self.missing:
            terms.append((self._unresolved(total), Coefficient(1.0)))
        return self._of(terms).with_variance(total)

    def hold(self, data: Any, total: NDArray[Any]) -> None:
        """
        Find what is asked for later from these arrays, not in the file.

        Parameters
        ----------
        data, total : array_like
            The frame's data and its variance, into which nobody writes.
        """
        self._data, self._total = data, total

    def _of(self, terms: list[tuple[NoiseSource, Coefficient]]) -> UncertaintyBudget:
        data = None if self._data is None else np.asarray(self._data)
        return UncertaintyBudget(self.shape, terms, self.dtype, data)

    def _unresolved(self, total: NDArray[Any]) -> NoiseSource:
        """One source for all that depends on masters that are missing."""
        from astro_calib.frame.frame import UNNAMED

        named = json.dumps([term["source"]["identity"] for term in self._tree["terms"]])
        identity = "unresolved:" + hashlib.blake2b(named.encode(), digest_size=12).hexdigest()
        axes = tuple(range(len(self.shape)))
        if not self.terms:
            return NoiseSource(UNNAMED, total, axes, identity=identity)

        def load() -> NDArray[Any]:
            parts: Any = sum(self._of(self.terms).variances().values())
            return np.maximum(native(self._total) - parts, 0).astype(self.dtype)

        return NoiseSource(UNNAMED, self._deferred(load), axes, identity=identity)

    def _rest_of_total(self, dtype: str) -> Coefficient:
        """The variance that the other terms leave of the total."""
        kind = np.dtype(dtype)

        def load() -> NDArray[Any]:
            assert self._rest is not None
            rest = rest_of_variance(self._of(self.terms), self._rest, native(self._total))
            return np.asarray(rest).astype(kind)

        return self._deferred(load)

    def _deferred(self, load: Callable[[], NDArray[Any]]) -> Coefficient:
        return Coefficient.of_monomials([(1.0, ((LazyArray(self.shape, load), 1),))])

    def source(self, entry: Mapping[str, Any]) -> NoiseSource:
        """A source from its entry."""
        if "master" in entry:
            return self._of_masters.source(entry)
        variance = entry["variance"]
        return self._source(entry, self._factored(variance["value"] if isinstance(variance, Mapping) else variance))

    def _source(self, entry: Mapping[str, Any], variance: Coefficient) -> NoiseSource:
        axes, window = tuple(int(axis) for axis in entry["axes"]), window_of_entry(entry["window"])
        if list(axes) != sorted(set(axes)) or not set(axes) <= set(range(len(self.shape))):
            msg = f"the axes {axes} of source {entry['name']!r} are not axes of a frame of shape {self.shape}."
            raise FrameError(msg)
        if len(window) != len(axes) or any(step == 0 for _, step in window):
            msg = f"the window {window} of source {entry['name']!r} does not fit its axes {axes}."
            raise FrameError(msg)
        return NoiseSource(
            str(entry["name"]),
            variance,
            axes,
            identity=str(entry["identity"]),
            window=window,
            slope=float(entry.get("slope", 0.0)),
            linear=float(entry.get("linear", 1.0)),
            constituents={
                (str(identity), window_of_entry(part)): Constituent(
                    self._factored(weight), float(size), self._correlation(*number)
                )
                for identity, part, weight, size, *number in entry.get("constituents", ())
            },
            correlation=self._correlation_of(entry["variance"]),
        )

    def _correlation_of(self, variance: Any) -> Correlation | None:
        """The correlation that a variance is written with."""
        given = isinstance(variance, Mapping) and "correlation" in variance
        return self._correlation(variance["correlation"]) if given else None

    def _correlation(self, number: Any = None) -> Correlation | None:
        """A correlation by its number."""
        if number is None:
            return None
        if not 0 <= int(number) < len(self._correlations):
            msg = f"there is no correlation {number}."
            raise FrameError(msg)
        return self._correlations[int(number)]

    def _factored(self, entry: Any) -> Coefficient:
        """A number or products from their entry."""
        if isinstance(entry, (str, int, float)):
            return Coefficient(float(entry))
        return Coefficient.of_monomials(
            (float(number), tuple((self._field(int(index)), int(power)) for index, power in factors))
            for number, factors in entry
        )

    def _field(self, index: int) -> ArrayRef:
        """A field by its number."""
        if index not in self._fields:
            if index < 0:
                msg = f"there is no field {index}."
                raise FrameError(msg)
            self._fields[index] = self._field_of(self._tree["fields"][index])
        return self._fields[index]

    def _field_of(self, entry: Any) -> ArrayRef:
        if entry == "own":
            return SELF_DATA
        if entry == "data":
            return LazyArray(self.shape, lambda: native(self._data))
        if "surface" in entry:
            return surface_of_entry(entry)
        if "patterns" in entry:
            return self._table(self._field(int(entry["plane"])), native(entry["patterns"]), native(entry["values"]))
        if "mosaic" in entry:
            return self._mosaic(entry)
        if "pixels" in entry:
            return self._some(self._field(int(entry["pixels"])).array, native(entry["values"]), entry["shape"])
        if "plane" in entry:
            return self._kept(int(entry["plane"]), int(entry["bit"]))
        if "master" in entry:
            return self._of_masters.array(entry)
        array = entry["array"]
        return LazyArray(tuple(array.shape), partial(native, array))

    def _table(self, plane: ArrayRef, patterns: NDArray[Any], values: NDArray[Any]) -> ArrayRef:
        fits = patterns.ndim == 1 and patterns.shape == values.shape and 0 < patterns.size <= 1 << 16
        if not fits or patterns.dtype.kind not in "iu" or not 0 <= int(patterns.min()) <= int(patterns.max()) < 1 << 16:
            msg = f"a table has {patterns.size} combinations of frames and {values.size} values."
            raise FrameError(msg)
        return TableArray(plane, patterns, values)

    def _mosaic(self, entry: Mapping[str, Any]) -> MosaicArray:
        values = np.array([[float(one) for one in line] for line in entry["mosaic"]], dtype=str(entry["dtype"]))
        shape = tuple(int(length) for length in entry["shape"])
        if shape != self.shape or values.ndim != 2 or values.dtype.kind != "f":
            msg = f"an array of sections has shape {shape} and a table of shape {values.shape}."
            raise FrameError(msg)
        rows, columns = (
            _kinds(entry[axis], length, number)
            for axis, length, number in zip(("rows", "columns"), shape, values.shape, strict=True)
        )
        return MosaicArray(values, rows, columns)

    def _some(self, flat: NDArray[Any], values: NDArray[Any], shape: Iterable[int]) -> SparseArray:
        shape = tuple(map(int, shape))
        ordered = flat.ndim == 1 and flat.dtype.kind in "iu" and np.all(flat[1:] > flat[:-1])
        inside = ordered and (not flat.size or (flat[0] >= 0 and flat[-1] < np.prod(shape)))
        if not inside or shape != self.shape or flat.shape != values.shape or values.dtype.kind != "f":
            msg = (
                f"an array of shape {shape} holds {values.shape} values at {flat.shape} pixels, or not in their order."
            )
            raise FrameError(msg)
        return SparseArray(SomePixels(flat, shape), values)

    def _kept(self, index: int, bit: int) -> SurvivorMask:
        entry = self._tree["fields"][index]
        plane = entry["array"] if "master" not in entry else None
        bits = 64 if plane is None else 8 * plane.dtype.itemsize
        if not 0 <= bit < bits or (plane is not None and plane.dtype.kind != "u"):
            msg = f"field {index} has no bit {bit}."
            raise FrameError(msg)
        return SurvivorMask(self._field(index), bit)


def _kinds(progressions: Sequence[Sequence[int]], length: int, number: int) -> NDArray[np.intp]:
    """Which line of a table each row or column of an array has."""
    kinds = np.full(length, -1)
    for kind, first, end, step in progressions:
        if not (0 <= int(kind) < number and 0 <= int(first) < int(end) <= length and int(step) > 0):
            msg = f"rows or columns {first} to {end} of {length} have line {kind} of {number}."
            raise FrameError(msg)
        kinds[int(first) : int(end) : int(step)] = int(kind)
    if (kinds < 0).any():
        msg = f"{np.count_nonzero(kinds < 0)} of {length} rows or columns have no line of a table."
        raise FrameError(msg)
    return kinds


def correlation_of_entry(entry: Mapping[str, Any]) -> Correlation:
    """A correlation from a tree, checked."""
    given = entry["waves"]
    if not 0 < len(given) <= 1 + MOST_TONES:
        msg = f"a correlation has {len(given)} waves; expected 1 to {1 + MOST_TONES}."
        raise FrameError(msg)
    waves = _checked_rows("wave", given, (3,))
    too_fast = np.flatnonzero(np.abs(waves[:, 1:]).max(axis=1, initial=0.0, where=~np.isnan(waves[:, 1:])) > FASTEST)
    if too_fast.size:
        number = int(too_fast[0])
        msg = f"wave {number} of a correlation is {described(list(given[number]))}; expected frequencies of +- pi."
        raise FrameError(msg)
    level = None
    if "level" in entry:
        axes = tuple(int(axis) for axis in entry["level"]["axes"])
        table = entry["level"]["waves"]
        if len(table) != len(waves):
            msg = f"a level has {len(table)} waves of a correlation of {len(waves)}."
            raise FrameError(msg)
        level = Level.of_table(axes, _checked_rows("level", table, (3, 4)))
    return Correlation.of_waves(waves, level)


def _checked_rows(what: str, table: Sequence[Sequence[Any]], lengths: tuple[int, ...]) -> NDArray[np.float64]:
    """Rows of so many numbers; the last of a wave may be None, which is NaN here."""
    rows = []
    for number, row in enumerate(table):
        numbers = [np.nan if one is None and what == "wave" and place == 2 else one for place, one in enumerate(row)]
        if len(row) not in lengths or any(isinstance(one, bool) or not isinstance(one, Real) for one in numbers):
            msg = f"{what} {number} of a correlation is {described(list(row))}; expected {lengths[0]} numbers."
            raise FrameError(msg)
        rows.append([float(one) for one in numbers])
    # What one row misses is known of none.
    shortest = min(map(len, rows), default=0)
    return np.array([row[:shortest] for row in rows], dtype=np.float64)


def budget_of_tree(tree: Mapping[str, Any], data: Any = None) -> UncertaintyBudget:
    """A budget from a tree that refers to nothing outside."""
    reader = BudgetReader(tree, data, None)
    return UncertaintyBudget(reader.shape, reader.terms, reader.dtype, None if data is None else native(data))


def source_of_tree(tree: Mapping[str, Any]) -> NoiseSource:
    """A source from a tree of its own."""
    shape = [1] * (max(tree["axes"], default=-1) + 1)
    known = {"fields": tree["fields"], "correlations": tree.get("correlations", ())}
    reader = BudgetReader({"shape": shape, "dtype": "float64", "terms": [], **known}, None, None)
    return reader.source(tree)
