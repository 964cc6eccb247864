"""What was done to a frame: with which masters, which parameters and versions, and when."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.frame.lending import master_of
from astro_calib.noise.place import path_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from astro_calib.frame.frame import CCDFrame

__all__ = ["meta_with_history", "record", "steps_to_write"]

#: Whose versions are remembered.
PACKAGES = ("astro-calib", "astropy", "ccdproc", "numpy")
#: Masters that have keywords of their own in a header.
KINDS = ("bias", "dark", "flat")


def record(
    frame: CCDFrame,
    step: str,
    *,
    masters: Mapping[str, CCDFrame | None] | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> None:
    """
    Add a step to what is remembered of a frame's making.

    Files of the frame tell it in their headers (HISTORY; BIASFILE and BIASID, and so on for dark and flat; CALVERS,
    CALDATE), and as a tree beside the budget. `~astro_calib.CCDFrame.provenance` gives it.

    Parameters
    ----------
    frame : CCDFrame
        The frame, as the step has left it.
    step : str
        What was done, such as ``"calibrate"``.
    masters : mapping of str to CCDFrame, optional
        The masters that were used by their kind; those that are None were not.
    parameters : mapping, optional
        With which parameters; those that are None were not given.

    Examples
    --------
    >>> from astro_calib import CCDFrame
    >>> from astro_calib.masters.provenance import record
    >>> frame = CCDFrame([[1.0, 2.0]], unit="electron")
    >>> record(
    ...     frame,
    ...     "combine",
    ...     parameters={"method": "mean", "frames": ["b1.fits", "b2.fits"]},
    ... )
    >>> frame.provenance[0]["step"], frame.provenance[0]["parameters"]["frames"]
    ('combine', ['b1.fits', 'b2.fits'])
    """
    entries = [_entry(kind, master) for kind, master in (masters or {}).items() if master is not None]
    made = {
        "step": step,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "masters": entries,
        "parameters": {name: _plain(value) for name, value in (parameters or {}).items() if value is not None},
        "versions": dict(_versions()),
    }
    frame.history = dataclasses.replace(frame.history, provenance=(*frame.provenance, made))


@cache
def _versions() -> dict[str, str]:
    """Found once: it takes milliseconds."""
    return {package: version(package) for package in PACKAGES}


def _entry(kind: str, master: CCDFrame) -> dict[str, Any]:
    known = master_of(master)
    if known.checksum is None:
        known.checksum = master.pixel_digest()
    return {"kind": kind, "identity": known.identity, "name": known.name, "checksum": known.checksum}


def _plain(value: Any) -> Any:
    """A parameter as both formats can hold it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, (float, np.number)):
        return float(value) if np.isfinite(value) else str(value)
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    return f"{value:g}" if isinstance(value, u.Quantity) and value.isscalar else str(value)


def steps_to_write(frame: CCDFrame) -> list[dict[str, Any]]:
    """The steps as a file holds them: with the files of masters, and with the remark that its header tells them."""
    return [_with_files(step) | {"in_header": True} for step in frame.provenance]


def _with_files(step: Mapping[str, Any]) -> dict[str, Any]:
    masters = []
    for entry in step.get("masters", ()):
        path = path_of(entry["identity"])
        masters.append(dict(entry) if path is None else {**entry, "file": path.name})
    return {**deepcopy(dict(step)), "masters": masters}


def meta_with_history(frame: CCDFrame) -> Any:
    """A frame's header as it is written: true of the frame, with the steps that it lacks; a copy if that changes it."""
    from astropy.io.fits import Header

    new: Sequence[Mapping[str, Any]] = [_with_files(step) for step in frame.provenance if not step.get("in_header")]
    # BLANK stands for a pixel without a value among whole numbers; in others that is NaN.
    stale = "BLANK" in frame.meta and frame.dtype.kind == "f"
    other_unit = "BUNIT" in frame.meta and str(frame.meta["BUNIT"]) != str(frame.unit)
    if not (new or stale or other_unit):
        return frame.meta
    meta = deepcopy(frame.meta)
    if stale:
        del meta["BLANK"]
    if other_unit:
        meta["BUNIT"] = str(frame.unit)
    for step in new:
        software = f"astro-calib {step['versions']['astro-calib']}"
        values: dict[str, Any] = {
            "CALVERS": (software, "what calibrated it"),
            "CALDATE": (_date(step), "and when, UTC"),
        }
        for entry in step["masters"]:
            if entry["kind"] in KINDS:
                name = entry["kind"].upper()
                values[f"{name}FILE"] = (entry.get("file", entry["name"]), f"master {entry['kind']}")
                values[f"{name}ID"] = (entry["identity"], f"CALID of the master {entry['kind']}")
        for keyword, (value, comment) in values.items():
            meta[keyword] = (value, comment) if isinstance(meta, Header) else value
        if isinstance(meta, Header):
            for line in _history(step, software):
                meta.add_history(line.encode("ascii", "replace").decode())
    return meta


def _date(step: Mapping[str, Any]) -> str:
    """When a step was done, as FITS writes it: UTC without saying so."""
    return str(step["date"]).removesuffix("+00:00")


def _history(step: Mapping[str, Any], software: str) -> list[str]:
    """A step in words, in lines that fit into a header as far as can be."""
    lines = [f"{_date(step)} {software}: {step['step']}"]
    for entry in step["masters"]:
        lines.append(f"  {entry['kind']}: {entry.get('file', entry['name'])}")
        lines.append(f"    {entry['identity']}, checksum {entry.get('checksum', 'unknown')}")
    for name, value in step["parameters"].items():
        parts = value.items() if isinstance(value, Mapping) else [("", value)]
        lines += [f"  {name}{f'.{part}' if part else ''} = {_words(text)}" for part, text in parts]
    lines.append("  " + ", ".join(f"{package} {number}" for package, number in step["versions"].items()))
    return ["".join(char if char.isprintable() else "?" for char in line) for line in lines]


def _words(value: Any) -> str:
    return ", ".join(map(_words, value)) if isinstance(value, (list, tuple)) else str(value)
