"""What one of our own files is: of which frames and masters it was made, and what its noise consists of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from astro_calib.flags import DataQuality
from astro_calib.night.common.names import named
from astro_calib.night.library.loan import LENT
from astro_calib.night.summary.error_shares import error_shares
from astro_calib.noise.shown import shares_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.night.preview.about_raw import Facts

__all__ = ["about_result"]

#: What is told of a step, in this order; the other parameters come behind these.
FIRST = ("raw", "frames", "method", "clip")


def about_result(path: Path) -> Facts:
    """Return what a file holds that this package wrote: read as a whole, and compared with its checksums."""
    from astro_calib.frame.frame import CCDFrame

    frame = CCDFrame.read(path)
    facts = {"is": _what(frame)}
    for label, keyword in (("object", "OBJECT"), ("filter", "FILTER")):
        if frame.meta.get(keyword) not in (None, ""):
            facts[label] = str(frame.meta[keyword])
    if frame.meta.get("EXPTIME") is not None:
        facts["exposure"] = f"{frame.meta['EXPTIME']:g} s"
    rows, columns = frame.shape
    facts["pixels"] = f"{columns} columns x {rows} rows, {frame.dtype}, in {frame.unit or 'no unit'}"
    facts["flagged"] = _flagged(frame)
    for number, step in enumerate(frame.provenance, start=1):
        facts[f"step {number}"] = "; ".join(_step(step))
    shares = error_shares(frame)
    variance = frame.variance
    if variance is not None:
        typical = float(np.sqrt(np.nanmedian(variance)))
        facts["error of a pixel"] = f"{typical:.4g} {frame.unit} (median)"
    if shares:
        facts["its variance"] = shares_text(shares)
    elif variance is None:
        facts["error of a pixel"] = "none: it has no budget"
    return facts


def _what(frame: CCDFrame) -> str:
    """What was made: a stack of so many frames, or a frame to which masters were applied."""
    applied = list(dict.fromkeys(kind for kind, _ in frame.history.applied))
    kinds = " and ".join(filter(None, (", ".join(applied[:-1]), *applied[-1:])))
    done = f", with {kinds} applied" if applied else ""
    if frame.n_used is not None:
        kind = f" (IMAGETYP={frame.meta['IMAGETYP']!r})" if frame.meta.get("IMAGETYP") else ""
        number = int(frame.n_used.max())
        return f"a stack of {number} frame{'s' * (number != 1)}{kind}{done}"
    if frame.provenance and frame.provenance[-1]["step"] == LENT:
        return f"a master {frame.provenance[-1]['parameters']['kind']} of another night{done}"
    return f"a calibrated frame{done}" if applied or frame.provenance else "a frame to which nothing was done"


def _step(step: Mapping[str, Any]) -> Iterator[str]:
    """A step in words."""
    versions = step.get("versions", {})
    yield f"{step['step']}, {str(step['date'])[:19]}, astro-calib {versions.get('astro-calib', '?')}"
    for entry in step["masters"]:
        yield f"{entry['kind']} {entry.get('file', entry['name'])}"
    parameters = dict(step["parameters"])
    for name in (*(name for name in FIRST if name in parameters), *(name for name in parameters if name not in FIRST)):
        yield f"{name.replace('_', ' ')} {_words(parameters[name])}"


def _words(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return named([str(one) for one in value])
    return str(value)


def _flagged(frame: CCDFrame) -> str:
    """How many pixels have each flag."""
    if frame.flags is None:
        return "no flags"
    counts = {flag.name: int(np.count_nonzero(frame.flags & flag)) for flag in DataQuality if flag.value}
    told = [f"{count} {str(name).replace('_', ' ').lower()}" for name, count in counts.items() if count]
    return ", ".join(told) if told else "no pixel"
