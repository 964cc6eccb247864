"""How the objects of this package, and plain CCDData, are written to ASDF and read again."""

from __future__ import annotations

from collections import UserList
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from asdf.extension import Converter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = [
    "BudgetConverter",
    "CCDDataConverter",
    "DetectorConverter",
    "FrameConverter",
    "InverseVarianceConverter",
    "Reading",
    "SourceConverter",
    "StarTableConverter",
    "Writing",
    "reading",
    "writing",
]

TAGS = "asdf://astro-calib.org/tags/"


class Writing(NamedTuple):
    """Where a frame is written to, and whether what belongs to masters is written with it."""

    path: Path | None
    include_masters: bool


class Reading(NamedTuple):
    """The file that is read, where masters are looked for, and whether all but the arrays is enough."""

    path: Path | None
    find: Callable[[Mapping[str, Any]], Any]
    stored: bool


writing: ContextVar[Writing | None] = ContextVar("writing", default=None)
reading: ContextVar[Reading | None] = ContextVar("reading", default=None)


def _own(array: Any) -> Any:
    """The array to write; a copy if it is a part of a larger one, all of which would be written."""
    if array is None:
        return None
    array = np.asarray(array)
    base = array
    while isinstance(base.base, np.ndarray):
        base = base.base
    part = base.nbytes != array.nbytes or base.base is not None or not array.flags.c_contiguous
    return np.array(array) if part else array


def _own_arrays(node: Any) -> Any:
    """The same for all arrays of a tree."""
    if isinstance(node, np.ndarray):
        return _own(node)
    if isinstance(node, dict):
        return {key: _own_arrays(value) for key, value in node.items()}
    return [_own_arrays(value) for value in node] if isinstance(node, (list, tuple)) else node


def _loaded(node: Any, known: dict[int, tuple[Any, Any]] | None = None) -> Any:
    """A tree with arrays that outlive the file: read, or mapped. What is in it several times is loaded once."""
    from collections.abc import Mapping

    known = {} if known is None else known
    if id(node) in known:
        return known[id(node)][1]
    if hasattr(node, "__array__"):
        result: Any = np.asarray(node)
    elif isinstance(node, Mapping):
        result = {key: _loaded(value, known) for key, value in node.items()}
    elif isinstance(node, (list, tuple, UserList)):
        result = [_loaded(value, known) for value in node]
    else:
        return node
    # Keep the node, so that no other one gets its id.
    known[id(node)] = node, result
    return result


def _present(**nodes: Any) -> dict[str, Any]:
    return {key: value for key, value in nodes.items() if value is not None}


class FrameConverter(Converter):
    """`CCDFrame` with its budget."""

    tags = (f"{TAGS}ccd_frame-*",)
    types = ("astro_calib.frame.frame.CCDFrame",)

    def to_yaml_tree(self, obj: Any, _tag: str, _ctx: Any) -> dict[str, Any]:
        """The tree of a frame."""
        from astro_calib.io.frame_tree import frame_tree
        from astro_calib.io.headers import meta_tree, wcs_tree
        from astro_calib.masters.provenance import meta_with_history

        # A file that somebody puts together of several objects holds all that belongs to each of them.
        to = writing.get() or Writing(None, include_masters=True)
        tree = _own_arrays(frame_tree(obj, to.path, include_masters=to.include_masters))
        return tree | _present(
            unit=obj.unit.to_string(),
            data=_own(obj.pixels),
            variance=None if obj.known_budget is None else _own(obj.known_budget.variance()),
            mask=_own(obj.mask),
            flags=_own(obj.flags),
            psf=_own(obj.psf),
            wcs=wcs_tree(obj.wcs),
            meta=meta_tree(meta_with_history(obj)),
        )

    def from_yaml_tree(self, node: Any, _tag: str, ctx: Any) -> Any:
        """The frame; or what is stored of it, where only that was asked for."""
        from astro_calib.io.find import Finder
        from astro_calib.io.headers import meta_of_tree, wcs_of_tree
        from astro_calib.io.stored import Stored

        where = reading.get()
        if where is None:
            path = _local(getattr(ctx, "url", None))
            where = Reading(path, Finder(path), stored=False)
        meta, wcs = meta_of_tree(node["meta"]), wcs_of_tree(node.get("wcs"))
        node = _loaded({key: value for key, value in node.items() if key not in ("meta", "wcs")})
        stored = Stored(
            name="the frame" if where.path is None else where.path.name,
            path=where.path,
            data=node["data"],
            total=node.get("variance"),
            tree=node,
            unit=node["unit"],
            meta=meta,
            wcs=wcs,
            mask=node.get("mask"),
            flags=node.get("flags"),
            psf=node.get("psf"),
            find=where.find,
        )
        return stored if where.stored else stored.frame()


def _local(url: str | None) -> Path | None:
    from urllib.parse import urlparse
    from urllib.request import url2pathname

    parts = urlparse(url or "")
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


class BudgetConverter(Converter):
    """`UncertaintyBudget` by itself."""

    tags = (f"{TAGS}uncertainty_budget-*",)
    types = ("astro_calib.noise.budget.UncertaintyBudget",)

    def to_yaml_tree(self, obj: Any, _tag: str, _ctx: Any) -> dict[str, Any]:
        """The tree of a budget, with all that it refers to."""
        from astro_calib.io.tree import budget_tree

        tree = _own_arrays(budget_tree(obj, whole=True, with_rest=False))
        del tree["version"]  # with the tag
        if any(entry in ("own", "data") for entry in tree["fields"] if isinstance(entry, str)):
            tree["data"] = _own(obj.data)
        return tree

    def from_yaml_tree(self, node: Any, _tag: str, _ctx: Any) -> Any:
        """The budget."""
        from astro_calib.io.budget_reader import budget_of_tree

        node = _loaded(node)
        return budget_of_tree(node, node.get("data"))


class SourceConverter(Converter):
    """`NoiseSource` by itself."""

    tags = (f"{TAGS}noise_source-*",)
    types = ("astro_calib.noise.source.NoiseSource",)

    def to_yaml_tree(self, obj: Any, _tag: str, _ctx: Any) -> dict[str, Any]:
        """The tree of a source, with all that it refers to."""
        from astro_calib.io.tree import source_tree

        tree: dict[str, Any] = _own_arrays(source_tree(obj))
        return tree

    def from_yaml_tree(self, node: Any, _tag: str, _ctx: Any) -> Any:
        """The source."""
        from astro_calib.io.budget_reader import source_of_tree

        return source_of_tree(_loaded(node))


class DetectorConverter(Converter):
    """`Detector` with its amplifiers; numbers are in electron / adu, electron and adu."""

    tags = (f"{TAGS}detector-*",)
    types = ("astro_calib.detector.detector.Detector",)

    def to_yaml_tree(self, obj: Any, _tag: str, _ctx: Any) -> dict[str, Any]:
        """The tree of a detector."""
        saturation = None if obj.saturation is None else float(obj.saturation.value)
        single = obj.gain is not None
        return _present(
            name=obj.name,
            saturation=saturation,
            single_amplifier=single,
            amplifiers=[_amplifier_tree(amplifier) for amplifier in obj.amplifiers],
        )

    def from_yaml_tree(self, node: Any, _tag: str, _ctx: Any) -> Any:
        """The detector."""
        import astropy.units as u

        from astro_calib.detector.amplifier import GAIN_UNIT, Amplifier
        from astro_calib.detector.detector import Detector

        saturation = None if node.get("saturation") is None else float(node["saturation"]) * u.adu
        amplifiers = []
        for entry in node["amplifiers"]:
            uncertainty = entry.get("gain_uncertainty")
            amplifiers.append(
                {
                    "gain": float(entry["gain"]) * GAIN_UNIT,
                    "read_noise": float(entry["read_noise"]) * u.electron,
                    "gain_uncertainty": None if uncertainty is None else float(uncertainty) * GAIN_UNIT,
                    "linearity": _linearity(entry.get("linearity")),
                    "correlation": _correlation(entry.get("correlation")),
                    "rows_in_overscan": entry.get("rows_in_overscan", True),
                    "data_section": entry.get("data_section"),
                    "overscan_section": entry.get("overscan_section"),
                    "saturation": None if entry.get("saturation") is None else float(entry["saturation"]) * u.adu,
                    "corner": entry.get("corner", "lower left"),
                }
            )
        if node["single_amplifier"]:
            (only,) = amplifiers
            for name in ("data_section", "overscan_section", "saturation", "corner"):
                del only[name]
            return Detector(**only, saturation=saturation, name=node["name"])
        several = tuple(Amplifier(**amplifier) for amplifier in amplifiers)
        return Detector(amplifiers=several, saturation=saturation, name=node["name"])


def _amplifier_tree(amplifier: Any) -> dict[str, Any]:
    from astro_calib.io.tree import correlation_entry

    uncertainty = amplifier.gain_uncertainty
    return _present(
        gain=float(amplifier.gain.value),
        read_noise=float(amplifier.read_noise.value),
        gain_uncertainty=None if uncertainty is None else float(uncertainty.value),
        data_section=amplifier.data_section,
        overscan_section=amplifier.overscan_section,
        saturation=None if amplifier.saturation is None else float(amplifier.saturation.value),
        corner=None if amplifier.corner == "lower left" else amplifier.corner,
        linearity=None if amplifier.linearity is None else _linearity_tree(amplifier.linearity),
        correlation=None if amplifier.correlation is None else correlation_entry(amplifier.correlation),
        rows_in_overscan=None if amplifier.rows_in_overscan else False,
    )


def _correlation(entry: Any) -> Any:
    from astro_calib.io.budget_reader import correlation_of_entry

    return None if entry is None else correlation_of_entry(entry)


def _linearity_tree(linearity: Any) -> dict[str, Any]:
    from astro_calib.detector.linearity import LinearityPolynomial

    if isinstance(linearity, LinearityPolynomial):
        covariance = linearity.covariance
        return _present(
            coefficients=list(linearity.coefficients),
            limit=float(linearity.limit.value),
            uncertainties=None if linearity.uncertainties is None else list(linearity.uncertainties),
            covariance=None if covariance is None else [list(map(float, row)) for row in np.asarray(covariance)],
        )
    uncertainties = linearity.uncertainties
    return _present(
        measured=linearity.measured.value.tolist(),
        corrected=linearity.corrected.value.tolist(),
        uncertainties=None if uncertainties is None else uncertainties.value.tolist(),
    )


def _linearity(entry: Any) -> Any:
    import astropy.units as u

    from astro_calib.detector.linearity import LinearityPolynomial, LinearityTable

    if entry is None:
        return None
    uncertainties = entry.get("uncertainties")
    if "coefficients" in entry:
        return LinearityPolynomial(
            list(entry["coefficients"]),
            limit=float(entry["limit"]) * u.adu,
            uncertainties=None if uncertainties is None else list(uncertainties),
            covariance=None if entry.get("covariance") is None else [list(row) for row in entry["covariance"]],
        )
    return LinearityTable(
        list(entry["measured"]) * u.adu,
        list(entry["corrected"]) * u.adu,
        None if uncertainties is None else list(uncertainties) * u.adu,
    )


class CCDDataConverter(Converter):
    """A plain `~astropy.nddata.CCDData`."""

    tags = (f"{TAGS}ccd_data-*",)
    types = ("astropy.nddata.ccddata.CCDData",)

    def to_yaml_tree(self, obj: Any, _tag: str, _ctx: Any) -> dict[str, Any]:
        """The tree of a CCDData."""
        from astropy.nddata import FlagCollection

        from astro_calib.io.headers import meta_tree, wcs_tree

        flags = obj.flags
        return _present(
            data=_own(obj.data),
            unit=obj.unit.to_string(),
            uncertainty=obj.uncertainty,
            mask=_own(obj.mask),
            flags={name: _own(plane) for name, plane in flags.items()}
            if isinstance(flags, FlagCollection)
            else _own(flags),
            meta=meta_tree(obj.meta),
            wcs=wcs_tree(obj.wcs),
            psf=_own(obj.psf),
        )

    def from_yaml_tree(self, node: Any, _tag: str, _ctx: Any) -> Any:
        """The CCDData."""
        from collections.abc import Mapping

        import astropy.units as u
        from astropy.nddata import CCDData, FlagCollection

        from astro_calib.io.headers import meta_of_tree, wcs_of_tree
        from astro_calib.io.stored_arrays import native

        arrays = {name: native(node[name]) for name in ("data", "mask", "psf") if node.get(name) is not None}
        flags = node.get("flags")
        if isinstance(flags, Mapping):
            planes = FlagCollection(shape=arrays["data"].shape)
            for name, plane in flags.items():
                planes[name] = native(plane)
            flags = planes
        elif flags is not None:
            flags = native(flags)
        uncertainty = node.get("uncertainty")
        if uncertainty is not None:
            uncertainty = type(uncertainty)(native(uncertainty.array), unit=uncertainty.unit, copy=False)
        return CCDData(
            **arrays,
            unit=u.Unit(node["unit"]),
            uncertainty=uncertainty,
            flags=flags,
            meta=meta_of_tree(node["meta"]),
            wcs=wcs_of_tree(node.get("wcs")),
        )


class InverseVarianceConverter(Converter):
    """`~astropy.nddata.InverseVariance`, the kind of uncertainty that asdf-astropy has no tag for."""

    tags = (f"{TAGS}inverse_variance-*",)
    types = ("astropy.nddata.nduncertainty.InverseVariance",)

    def to_yaml_tree(self, obj: Any, _tag: str, _ctx: Any) -> dict[str, Any]:
        """The tree of an inverse variance."""
        return _present(array=_own(obj.array), unit=None if obj.unit is None else obj.unit.to_string())

    def from_yaml_tree(self, node: Any, _tag: str, _ctx: Any) -> Any:
        """The inverse variance."""
        from astropy.nddata import InverseVariance

        from astro_calib.io.stored_arrays import native

        return InverseVariance(native(node["array"]), unit=node.get("unit"), copy=False)


class StarTableConverter(Converter):
    """What `~astro_calib.measure_snr` returns, written as the `~astropy.table.QTable` that it is."""

    tags = ()
    types = ("astro_calib.photometry.portable_table.StarTable",)

    def select_tag(self, _obj: Any, _tags: Any, _ctx: Any) -> None:
        """It has no tag of its own."""

    def to_yaml_tree(self, obj: Any, _tag: str | None, _ctx: Any) -> Any:
        """The same table, for which asdf has another converter."""
        from astropy.table import QTable

        return QTable(obj, copy=False)

    def from_yaml_tree(self, node: Any, _tag: str, _ctx: Any) -> Any:
        """Nothing is read by this converter."""
        raise NotImplementedError
