"""
A frame's budget as a plain tree of mappings, lists, numbers, texts and arrays, which both file formats write.

Numbers are written as numbers, and each array once. What belongs to a master (its sources of noise, the flat's data) is
not written but referred to by the master's identity. One source of the frame's own, its shot noise as a rule, is not
written either: it is what the other terms leave of the total variance, which is in the file anyway.

.. code-block:: text

    shape, dtype        of the frame, and of its variances
    masters             list of {identity, name, checksum, file}
    correlations        list of {waves, level}, if there are any: waves is a list of [part, along rows, from row to row
                        or null]; level, if there is one, is {axes, waves}, with a list of [real, imaginary, square,
                        in the image]
    fields              list: "own" (the frame's data, whatever happens to them), "data" (as they are in the file),
                        {array}, {plane, bit}, {master, array, shape, ...}, {plane, patterns, values},
                        {mosaic, dtype, rows, columns, shape}: a table of values, and where the rows and columns of each
                        of its lines are, as a list of [line, first, end, step]; {pixels, values, shape}: zero but at
                        the pixels that the field of this number lists
                        {surface, whole, region, dtype}: the matrix of a polynomial, see `astro_calib.noise.surface`
    terms               list of {source, coefficient}
    source              {name, axes, identity, window} and {variance, slope, linear, constituents} or {master}
    variance            a number, {rest: dtype}, or products; with the number of a correlation {value, correlation} or
                        {rest, correlation}
    products            list of [number, [[field, power], ...]]
    constituents        list of [identity, window, weight, variance], or with the number of a correlation behind
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.noise.arrays import SELF_DATA, ArrayRef, SurvivorMask
from astro_calib.noise.mosaic import MosaicArray, progressions
from astro_calib.noise.patterns import find_tables, term_arrays
from astro_calib.noise.sparse import SparseArray
from astro_calib.noise.surface import SurfaceArray

if TYPE_CHECKING:
    from astro_calib.detector.correlation import Correlation
    from astro_calib.noise.budget import UncertaintyBudget
    from astro_calib.noise.coefficient import Coefficient
    from astro_calib.noise.place import Master
    from astro_calib.noise.source import NoiseSource

__all__ = ["VERSION", "budget_tree", "correlation_entry", "rest_of_variance", "source_tree"]

#: Of the tree; a reader refuses what is newer than itself.
VERSION = 4
#: Of a tree without fields of the kinds {mosaic, ...}, {surface, ...} and {pixels, ...}, which older readers miss.
WITHOUT_MAPS = 3
#: Of a tree without correlations, which older readers would take for white noise.
WITHOUT_CORRELATIONS = 2
#: Of a tree without fields of the kind {plane, patterns, values} either, which still older readers understand.
WITHOUT_TABLES = 1
#: The rest may differ from the source's variance by this part of the total variance.
ROUNDING = 1e-5
#: Pixels along each axis at which that is tested.
TESTED = 64


class _Writer:
    """Collects the fields and masters that a budget refers to."""

    def __init__(
        self,
        shape: tuple[int, ...],
        data: ArrayRef | None,
        identity: str | None,
        directory: Path | None,
        *,
        whole: bool,
    ) -> None:
        self.shape = shape
        self.data = data
        self.identity = identity
        self.directory = directory
        self.whole = whole
        self.version = WITHOUT_TABLES
        self.masters: dict[str, tuple[int, dict[str, Any]]] = {}
        self.fields: dict[ArrayRef, tuple[int, Any]] = {}
        self.correlations: dict[Correlation, int] = {}

    def master(self, master: Master) -> int:
        """The number of a master."""
        if master.identity not in self.masters:
            path = master.path
            name = master.name if path is None else path.name
            entry = {"identity": master.identity, "name": name, "checksum": master.checksum}
            if path is not None:
                entry["file"] = _from_directory(path, self.directory)
            self.masters[master.identity] = (len(self.masters), entry)
        return self.masters[master.identity][0]

    def _field_entry(self, field: ArrayRef) -> Any:
        if field is SELF_DATA:
            return "own"
        if field == self.data:
            return "data"
        if isinstance(field, MosaicArray):
            self.version = VERSION
            return _mosaic_entry(field)
        if isinstance(field, SparseArray):
            self.version = VERSION
            flat, values = field.pixels.flat, np.ascontiguousarray(field.values)
            if not flat.size:
                # FITS holds no empty array; a zero says the same.
                flat, values = np.zeros(1, dtype=flat.dtype), np.zeros(1, dtype=values.dtype)
            return {"pixels": self.field(ArrayRef(flat)), "values": values, "shape": list(field.shape)}
        if isinstance(field, SurvivorMask):
            return {"plane": self.field(field.plane), "bit": int(field.bit)}
        if isinstance(field, SurfaceArray):
            self.version = VERSION
            region = [[along.start, along.stop, along.step] for along in field.region]
            matrix = field.matrix.tolist()
            return {"surface": matrix, "whole": list(field.whole), "region": region, "dtype": field.dtype.name}
        place = field.place
        if place is None or self.is_written(field):
            if field.table is None:
                return {"array": np.asarray(field.array)}
            plane, patterns, values = field.table.entries
            self.version = max(self.version, WITHOUT_CORRELATIONS)
            return {"plane": self.field(plane), "patterns": patterns, "values": values}
        item = [[along.start, along.stop, along.step] for along in place.region]
        return {"master": self.master(place.master), **place.words, "item": item, "shape": list(field.shape)}

    def is_written(self, field: ArrayRef) -> bool:
        """Whether the array of a field is written here, and not referred to as that of a master."""
        place = field.place
        return place is None or self.whole or place.master.identity == self.identity or not place.is_upright

    def arrays(self, source: NoiseSource, coefficient: Coefficient) -> list[ArrayRef]:
        """The arrays of a term, without those of a source that is in the file of its master."""
        return term_arrays(source, coefficient) if self.whole or self.home(source) is None else coefficient.arrays

    def factored(self, value: Coefficient) -> Any:
        """A number, or products."""
        if value.number is not None:
            return float(value.number)
        return [
            [float(number), [[self.field(field), power] for field, power in factors]]
            for number, factors in value.monomials
        ]

    def field(self, field: ArrayRef) -> int:
        """The number of a field."""
        if field not in self.fields:
            entry = self._field_entry(field)  # which may add another
            self.fields[field] = (len(self.fields), entry)
        return self.fields[field][0]

    def source(self, source: NoiseSource, rest: str | None) -> dict[str, Any]:
        """A source, in full or by its master."""
        entry: dict[str, Any] = {
            "name": source.name,
            "axes": list(source.axes),
            "identity": source.identity,
            "window": [list(part) for part in source.window],
        }
        if not self.whole and (master := self.home(source)) is not None:
            master.sources[source.key, self.shape] = source
            return {**entry, "master": self.master(master)}
        entry["variance"] = self.factored(source.variance) if rest is None else {"rest": rest}
        if source.correlation is not None:
            value = {"value": entry["variance"]} if rest is None else entry["variance"]
            # Not beside the variance, where older readers would pass it over.
            entry["variance"] = {**value, "correlation": self.correlation(source.correlation)}
        if source.slope:
            entry["slope"] = float(source.slope)
        if source.constituents:
            entry["linear"] = float(source.linear)
            entry["constituents"] = [
                [
                    *(identity, [list(part) for part in window], self.factored(one.weight), float(one.variance)),
                    *([] if one.correlation is None else [self.correlation(one.correlation)]),
                ]
                for (identity, window), one in source.constituents.items()
            ]
        return entry

    def correlation(self, correlation: Correlation) -> int:
        """The number of a correlation."""
        self.version = max(self.version, WITHOUT_MAPS)
        return self.correlations.setdefault(correlation, len(self.correlations))

    @property
    def correlation_entries(self) -> dict[str, list[dict[str, Any]]]:
        """All of them, if there are any."""
        return {"correlations": [correlation_entry(one) for one in self.correlations]} if self.correlations else {}

    def home(self, source: NoiseSource) -> Master | None:
        """The master that a source is to be looked for in; None for one that is written here."""
        if source.home is None or (source.variance.number is not None and not source.constituents):
            return None
        return source.home if source.lent and source.home.identity != self.identity else None


def budget_tree(
    budget: UncertaintyBudget,
    *,
    identity: str | None = None,
    directory: Path | None = None,
    whole: bool = False,
    with_rest: bool = True,
) -> dict[str, Any]:
    """
    The tree of a budget.

    Parameters
    ----------
    budget : UncertaintyBudget
    identity : str, optional
        Of the frame that it belongs to.
    directory : Path, optional
        Where the file is to be; the files of masters are named as seen from there.
    whole : bool
        Whether to write what belongs to masters, too.
    with_rest : bool
        Whether one source may be left to be computed from the total variance, which is written beside the tree.

    Returns
    -------
    dict
        Of plain Python objects and ndarrays.
    """
    data = None if budget.data is None else ArrayRef(budget.data)
    writer = _Writer(budget.shape, data, identity, directory, whole=whole)
    find_tables([writer.arrays(*term) for term in budget.terms], writer.is_written)
    rest = _rest(budget, writer) if with_rest else None
    terms = [
        {"source": writer.source(source, rest[1] if rest and rest[0] == index else None), "coefficient": c}
        for index, (source, c) in enumerate((source, writer.factored(c)) for source, c in budget.terms)
    ]
    return {
        "version": writer.version,
        "shape": list(budget.shape),
        "dtype": budget.dtype.name,
        "masters": [entry for _, entry in writer.masters.values()],
        **writer.correlation_entries,
        "fields": [entry for _, entry in writer.fields.values()],
        "terms": terms,
    }


def source_tree(source: NoiseSource) -> dict[str, Any]:
    """The tree of one source, with the fields that it refers to; nothing is left to masters."""
    writer = _Writer((), None, None, None, whole=True)
    entry = writer.source(source, None)
    return {**entry, **writer.correlation_entries, "fields": [field for _, field in writer.fields.values()]}


def _mosaic_entry(field: MosaicArray) -> dict[str, Any]:
    """What is constant over sections in plain numbers."""
    values, rows, columns = field.entries
    return {
        "mosaic": values.tolist(),
        "dtype": values.dtype.name,
        "rows": progressions(rows),
        "columns": progressions(columns),
        "shape": list(field.shape),
    }


def correlation_entry(correlation: Correlation) -> dict[str, Any]:
    """A correlation in plain numbers."""
    waves = [[part, wx, None if np.isnan(wy) else wy] for part, wx, wy in correlation.waves.tolist()]
    level = correlation.level
    if level is None:
        return {"waves": waves}
    return {"waves": waves, "level": {"axes": list(level.axes), "waves": level.table(correlation.waves).tolist()}}


def _rest(budget: UncertaintyBudget, writer: _Writer) -> tuple[int, str] | None:
    """Which term can be told from the total variance and the other terms, and the type of its variance."""
    families = [source.family for source, _ in budget.terms]
    for index, (source, _) in enumerate(budget.terms):
        array = _single_array(source)
        others = frozenset().union(*families[:index], *families[index + 1 :])
        if (
            array is not None
            and array.shape == budget.shape
            and not source.constituents
            and families[index].isdisjoint(others)
            and (writer.whole or writer.home(source) is None)
            and _is_rest(budget, index)
        ):
            return index, array.dtype.name
    return None


def _single_array(source: NoiseSource) -> ArrayRef | None:
    """The variance of a source, if it is just an array."""
    monomials = source.variance.monomials
    if len(monomials) != 1 or monomials[0][0] != 1 or len(monomials[0][1]) != 1:
        return None
    field, power = monomials[0][1][0]
    is_own = not isinstance(field, (SurvivorMask, MosaicArray, SparseArray, SurfaceArray))
    return field if power == 1 and is_own and field.dtype.kind == "f" else None


def _is_rest(budget: UncertaintyBudget, index: int) -> bool:
    """Whether the rest gives a source's variance to rounding, tested at some of the pixels."""
    item = tuple(slice(None, None, max(1, length // TESTED)) for length in budget.shape)
    budget.variance()
    part = budget[item]
    (source, coefficient), total = part.terms[index], part.variance()
    found = rest_of_variance(part, index, total)
    expected = np.asarray(source.variance.evaluate())
    with np.errstate(all="ignore"):
        scale = np.square(coefficient.evaluate(part.data))
        close = np.abs(found - expected) * scale <= ROUNDING * np.abs(total)
        # A pixel without a finite variance tells nothing of it, and nothing is to be told of it.
        return bool(np.all(close | ~np.isfinite(total)))


def rest_of_variance(budget: UncertaintyBudget, index: int, total: Any) -> Any:
    """What the other terms of a budget leave of the total variance for the source of one term."""
    terms = budget.terms
    others = type(budget)(budget.shape, [*terms[:index], *terms[index + 1 :]], budget.dtype, budget.data)
    parts: Any = sum(others.variances().values())
    with np.errstate(all="ignore"):
        scale = np.square(terms[index][1].evaluate(budget.data))
        return np.where(scale == 0, 0, (total - parts) / scale)


def _from_directory(path: Path, directory: Path | None) -> str:
    """A file as seen from a directory, with forward slashes; its name alone if there is no way."""
    if directory is None:
        return path.name
    try:
        return Path(os.path.relpath(path, directory)).as_posix()
    except ValueError:  # another drive
        return path.name
