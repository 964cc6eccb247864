"""Frames and budgets from what was found in a file."""

from __future__ import annotations

import hashlib
import json
import warnings
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.budget import UncertaintyBudget
from astro_calib.errors import FrameError, NoiseWarning
from astro_calib.factored import OWN, Deferred, Factored, Field, Kept
from astro_calib.identity import Origin, RawPixels, Watch
from astro_calib.io.tree import VERSION, rest_of_variance
from astro_calib.masters import (
    Master,
    Place,
    array_in_memory,
    coefficient_field,
    filed,
    master_in_memory,
    remember_source,
    source_in_memory,
)
from astro_calib.source import Constituent, NoiseSource

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from astro_calib.frame import CCDFrame

__all__ = ["MALFORMED", "Stored", "budget_of_tree", "native", "source_of_tree"]

#: What reading a tree that is not one may raise.
MALFORMED = (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError, RecursionError)

#: Frames under one flat refer to one array.
_shared: weakref.WeakValueDictionary[tuple[str, str], Deferred] = weakref.WeakValueDictionary()


def native(array: Any) -> NDArray[Any]:
    """An array in the byte order of this machine, copied only where that is another."""
    array = np.asarray(array)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


@dataclass
class Stored:
    """
    What was found in a file; arrays may still be on disk.

    Parameters
    ----------
    name : str
        What messages call it.
    path : Path or None
        The file.
    data, total, mask, flags, psf : array_like or None
        The arrays of the frame; ``total`` is its variance.
    tree : mapping
        As `astro_calib.io.tree` and the formats make it.
    unit, meta, wcs
        As of the frame.
    find : callable
        Given an entry of the list of masters, finds what is stored of it; None if it is nowhere.
    """

    name: str
    path: Path | None
    data: Any
    total: Any
    tree: Mapping[str, Any]
    unit: Any
    meta: Any = None
    wcs: Any = None
    mask: Any = None
    flags: Any = None
    psf: Any = None
    find: Callable[[Mapping[str, Any]], Stored | CCDFrame | None] = field(default=lambda _: None)

    @cached_property
    def reading(self) -> _Reading:
        """The budget that is stored, and what of it could not be found."""
        return _Reading(self.tree["budget"], self.data, self.total, self.find)

    @cached_property
    def terms(self) -> tuple[tuple[NoiseSource, Factored], ...]:
        """The sources of noise that are known, with their coefficients; arrays are read when they are asked for."""
        return tuple((source, coefficient) for source, coefficient, _ in self.reading.terms)

    @cached_property
    def whole(self) -> CCDFrame:
        """The frame, read once."""
        return self.frame()

    def frame(self, *, copy: bool = True) -> CCDFrame:
        """
        The frame.

        Parameters
        ----------
        copy : bool
            Whether its arrays are in memory of their own.

        Raises
        ------
        FrameError
            If something is missing or damaged.
        """
        from astro_calib.frame import CCDFrame

        if self.tree["version"] > VERSION:
            msg = f"its format is version {self.tree['version']}; this astro-calib reads up to {VERSION}: update it."
            raise FrameError(msg)

        def own(array: Any, dtype: Any = None) -> Any:
            array = np.asarray(array)
            return array.astype(np.dtype(dtype or array.dtype).newbyteorder("="), copy=copy)

        data = own(self.data, np.dtype(self.tree["dtype"]))
        budget = None
        missing: list[Mapping[str, Any]] = []
        if self.tree.get("budget") is not None:
            if self.total is None:
                msg = "it has a budget, but no variance."
                raise FrameError(msg)
            total = own(self.total, np.dtype(self.tree["budget"]["dtype"]))
            if total.shape != data.shape:
                msg = f"its data have shape {data.shape}, its variance {total.shape}."
                raise FrameError(msg)
            budget, missing = self.reading.budget(total)
        frame = CCDFrame(
            data,
            unit=self.unit,
            mask=None if self.mask is None else own(self.mask, np.bool_),
            flags=None if self.flags is None else own(self.flags, np.uint16),
            meta=self.meta,
            wcs=self.wcs,
            psf=None if self.psf is None else own(self.psf),
            name=self.name,
            budget=budget,
            _origin=_origin(self.tree.get("origin")),
            _watch=Watch(),
        )
        if self.tree.get("n_used") is not None:
            frame._n_used = own(self.tree["n_used"], np.uint16)
        frame._provenance = tuple(self.tree.get("provenance") or ())
        if missing:
            self._warn_of_missing(missing)
        else:
            elsewhere = frozenset() if budget is None else self.reading.elsewhere
            master = Master(str(self.tree["frame_id"]), self.name, self.tree.get("checksum"), self.path)
            filed(frame, master, elsewhere)
        return frame

    def _warn_of_missing(self, missing: Sequence[Mapping[str, Any]]) -> None:
        files = []
        for entry in missing:
            file = str(entry["file"]).rpartition("/")[2] if entry.get("file") else "in no file when this was written"
            files.append(f"{entry['name']} ({file}; identity {entry['identity']})")
        one = len(files) == 1
        msg = (
            f"{self.name}: the master{'' if one else 's'} {', '.join(files)} {'was' if one else 'were'} not found: "
            f"{'its' if one else 'their'} noise in this frame is treated as independent of that in other frames. "
            "Data and variance are not affected. For covariances and stacks put the "
            f"file{'' if one else 's'} beside this one, or give the directory: masters=..."
        )
        warnings.warn(msg, NoiseWarning, stacklevel=2)


def _origin(entry: Any) -> Origin | None:
    if entry is None:
        return None
    raw = RawPixels.known(tuple(map(int, entry["shape"])), str(entry["identity"]))
    return Origin(raw, _window(entry["window"]), float(entry["quantum"]))


def _window(entry: Any) -> tuple[tuple[int, int], ...]:
    return tuple((int(origin), int(step)) for origin, step in entry)


class _UnresolvedError(Exception):
    """A term needs a master that is not there."""

    def __init__(self, entry: Mapping[str, Any]) -> None:
        super().__init__(entry["identity"])
        self.entry = entry


class _Reading:
    """Sources and coefficients from a tree."""

    def __init__(
        self, tree: Mapping[str, Any], data: Any, total: Any, find: Callable[[Mapping[str, Any]], Any]
    ) -> None:
        self.shape = tuple(int(length) for length in tree["shape"])
        self.dtype = np.dtype(str(tree["dtype"]))
        if self.dtype not in (np.dtype(np.float32), np.dtype(np.float64)):
            msg = f"its variances are of type {self.dtype}; expected float32 or float64."
            raise FrameError(msg)
        self.data, self.total = data, total
        self._tree = tree
        self._find = find
        self._found: dict[str, Any] = {}
        self._fields: dict[int, Field] = {}
        self.missing: dict[str, Mapping[str, Any]] = {}
        #: Each source with its coefficient, and the type of its variance if that is the rest.
        self.terms: list[tuple[NoiseSource, Factored, str | None]] = []
        #: Sources that are in the files of masters.
        self.elsewhere = frozenset(
            str(term["source"]["identity"]) for term in tree["terms"] if "master" in term["source"]
        )
        for term in tree["terms"]:
            try:
                coefficient = self.factored(term["coefficient"])
                variance = term["source"].get("variance")
                if isinstance(variance, Mapping):
                    self.terms.append((self._rest_source(term["source"], str(variance["rest"])), coefficient, "rest"))
                else:
                    self.terms.append((self.source(term["source"]), coefficient, None))
            except _UnresolvedError as error:
                self.missing[str(error.entry["identity"])] = error.entry
        if self.missing:
            # What the other terms leave is not known any more.
            self.terms = [term for term in self.terms if term[2] is None]

    def budget(self, total: NDArray[Any]) -> tuple[UncertaintyBudget, list[Mapping[str, Any]]]:
        """
        The budget with its total variance, and the masters that are missing.

        Parameters
        ----------
        total : ndarray
            The total variance, read-only from now on.
        """
        terms = [(source, coefficient) for source, coefficient, _ in self.terms]
        if self.missing:
            terms.append((self._unresolved(terms, total), Factored(1.0)))
        budget = UncertaintyBudget(self.shape, terms, self.dtype, self._data())
        view = total.view()
        view.flags.writeable = False
        budget._total = view
        return budget, list(self.missing.values())

    def _data(self) -> Any:
        return None if self.data is None else np.asarray(self.data)

    def _unresolved(self, terms: list[tuple[NoiseSource, Factored]], total: NDArray[Any]) -> NoiseSource:
        """One source for all that depends on masters that are missing."""
        from astro_calib.frame import UNNAMED

        named = json.dumps([term["source"]["identity"] for term in self._tree["terms"]])
        identity = "unresolved:" + hashlib.blake2b(named.encode(), digest_size=12).hexdigest()
        axes = tuple(range(len(self.shape)))
        known_terms = tuple(terms)
        if not terms:
            return NoiseSource(UNNAMED, total, axes, identity=identity)

        def load() -> NDArray[Any]:
            known = UncertaintyBudget(self.shape, known_terms, self.dtype, self._data())
            parts: Any = sum(known.variances().values())
            return np.maximum(native(self.total) - parts, 0).astype(self.dtype)

        return NoiseSource(
            UNNAMED, Factored.of_monomials([(1.0, ((Deferred(self.shape, load), 1),))]), axes, identity=identity
        )

    def _rest_source(self, entry: Mapping[str, Any], dtype: str) -> NoiseSource:
        """The source whose variance is what the other terms leave of the total."""

        def load() -> NDArray[Any]:
            terms = [(source, coefficient) for source, coefficient, _ in self.terms]
            index = next(number for number, term in enumerate(self.terms) if term[2] is not None)
            budget = UncertaintyBudget(self.shape, terms, self.dtype, self._data())
            return np.asarray(rest_of_variance(budget, index, native(self.total))).astype(dtype)

        rest = Factored.of_monomials([(1.0, ((Deferred(self.shape, load), 1),))])
        return self._source(entry, rest)

    # -- parts ---------------------------------------------------------------------------------------------------

    def source(self, entry: Mapping[str, Any]) -> NoiseSource:
        """A source from its entry."""
        if "master" in entry:
            return self._source_of_master(entry)
        return self._source(entry, self.factored(entry["variance"]))

    def _source(self, entry: Mapping[str, Any], variance: Factored) -> NoiseSource:
        axes, window = tuple(int(axis) for axis in entry["axes"]), _window(entry["window"])
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
                (str(identity), _window(part)): Constituent(self.factored(weight), float(size))
                for identity, part, weight, size in entry.get("constituents", ())
            },
        )

    def factored(self, entry: Any) -> Factored:
        """A number or products from their entry."""
        if isinstance(entry, (str, int, float)):
            return Factored(float(entry))
        return Factored.of_monomials(
            (float(number), tuple((self.field(int(index)), int(power)) for index, power in factors))
            for number, factors in entry
        )

    def field(self, index: int) -> Field:
        """A field by its number."""
        if index not in self._fields:
            if index < 0:
                msg = f"there is no field {index}."
                raise FrameError(msg)
            self._fields[index] = self._field(self._tree["fields"][index])
        return self._fields[index]

    def _field(self, entry: Any) -> Field:
        if entry == "own":
            return OWN
        if entry == "data":
            return Deferred(self.shape, lambda: native(self.data))
        if "plane" in entry:
            return Kept(self.field(int(entry["plane"])), int(entry["bit"]))
        if "array" in entry and "master" not in entry:
            array = entry["array"]
            return Deferred(tuple(array.shape), partial(native, array))
        return self._field_of_master(entry)

    # -- masters -------------------------------------------------------------------------------------------------

    def _stored(self, entry: Mapping[str, Any]) -> Any:
        """The master in a file; None if it is nowhere."""
        identity = str(entry["identity"])
        if identity not in self._found:
            self._found[identity] = self._find(entry)
        return self._found[identity]

    def _source_of_master(self, entry: Mapping[str, Any]) -> NoiseSource:
        identity, axes, window = str(entry["identity"]), tuple(map(int, entry["axes"])), _window(entry["window"])
        known = source_in_memory((identity, axes, window))
        if known is None:
            master = self._tree["masters"][int(entry["master"])]
            found: Any = master_in_memory(str(master["identity"])) or self._stored(master)
            if found is None:
                raise _UnresolvedError(master)
            shape, terms = _terms_of(found)
            for source, _ in terms:
                item = _item(source, shape, window, self.shape)
                if source.identity == identity and source.axes == axes and item is not None:
                    known = source.cut(item, shape)
                    break
            else:
                raise _UnresolvedError(master)
        result = known._replaced(name=str(entry["name"]))
        remember_source(result)
        return result

    def _field_of_master(self, entry: Mapping[str, Any]) -> Field:
        master = self._tree["masters"][int(entry["master"])]
        identity, shape = str(master["identity"]), tuple(int(length) for length in entry["shape"])
        item = tuple(slice(*map(int, part)) for part in entry["item"])
        role = {key: _plain(value) for key, value in entry.items() if key not in ("master", "item", "shape")}
        key = (identity, json.dumps([role, [list(part) for part in entry["item"]]], sort_keys=True))
        shared = _shared.get(key)
        if shared is not None:
            return shared
        array = array_in_memory(identity, role)
        if array is not None:
            return Field(array[item])
        found: Any = master_in_memory(identity) or self._stored(master)
        if found is None:
            raise _UnresolvedError(master)
        place = Place(_remembered(found, master), role, item)

        def load() -> NDArray[Any]:
            return _array_of(found, role, str(master["checksum"]))[item]

        return _shared.setdefault(key, Deferred(shape, load, place))


def _plain(value: Any) -> Any:
    """Lists of whichever type as lists."""
    return value if isinstance(value, (str, int, float, type(None))) else [_plain(part) for part in value]


def _remembered(found: Any, entry: Mapping[str, Any]) -> Master:
    path = found.path if isinstance(found, Stored) else None
    return Master(str(entry["identity"]), str(entry["name"]), str(entry["checksum"]), path)


def _terms_of(found: Any) -> tuple[tuple[int, ...], Sequence[tuple[NoiseSource, Factored]]]:
    if isinstance(found, Stored):
        return tuple(np.shape(found.data)), found.terms if found.tree.get("budget") else ()
    return found.shape, () if found.budget is None else found.budget.terms


def _array_of(found: Any, role: Mapping[str, Any], checksum: str) -> NDArray[Any]:
    """An array of a master."""
    from astro_calib.arithmetic import floating
    from astro_calib.identity import content_digest
    from astro_calib.steps.flat import normalised

    if role["array"] == "coefficient":
        field = coefficient_field(_terms_of(found)[1], role)
        if field is None:
            msg = f"the master {found.name} has no coefficient like that which was used."
            raise FrameError(msg)
        return field.plane.array if isinstance(field, Kept) else field.array
    if isinstance(found, Stored):
        if content_digest(native(found.data)) != checksum:
            msg = f"the pixels of the master {found.name} are not those that were used: their checksum differs."
            raise FrameError(msg)
        found = found.whole
    if role["array"] == "data":
        data = floating(found._data)
        return data * float(role["factor"]) if "factor" in role else data
    if role["array"] == "normalised":
        return normalised(found, role["min_value"], role["norm_value"])._data
    msg = f"{role['array']!r} is no array of a master; is the file from a later version?"
    raise FrameError(msg)


def _item(
    source: NoiseSource, whole: tuple[int, ...], window: tuple[tuple[int, int], ...], shape: tuple[int, ...]
) -> tuple[slice, ...] | None:
    """The slices of a master's frame that hold a window of one of its sources; None if they do not."""
    if len(whole) != len(shape) or len(window) != len(source.window):
        return None
    item = [slice(0, length) for length in shape]
    for axis, (origin, step), (start, stride) in zip(source.axes, source.window, window, strict=True):
        first, rest = divmod(start - origin, step)
        every, uneven = divmod(stride, step)
        if rest or uneven or first < 0 or every < 1 or first + (shape[axis] - 1) * every >= whole[axis]:
            return None
        item[axis] = slice(first, first + (shape[axis] - 1) * every + 1, every)
    return tuple(item)


def budget_of_tree(tree: Mapping[str, Any], data: Any = None) -> UncertaintyBudget:
    """A budget from a tree that refers to nothing outside."""
    reading = _Reading(tree, data, None, lambda _: None)
    terms = [(source, coefficient) for source, coefficient, _ in reading.terms]
    return UncertaintyBudget(reading.shape, terms, reading.dtype, None if data is None else native(data))


def source_of_tree(tree: Mapping[str, Any]) -> NoiseSource:
    """A source from a tree of its own."""
    axes = tree["axes"]
    shape = [1] * (max(axes, default=-1) + 1)
    reading = _Reading(
        {"shape": shape, "dtype": "float64", "fields": tree["fields"], "terms": []}, None, None, lambda _: None
    )
    return reading.source(tree)
