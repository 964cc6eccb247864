"""
Make the table of what goes through the functions of other packages: each is called, and what comes out is looked at.

Run from the checkout, with the packages of the extra ``test`` installed.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import ccdproc
import dask.array as da
import matplotlib as mpl
import matplotlib.figure
import numpy as np
from astropy.convolution import Gaussian2DKernel, convolve
from astropy.nddata import CCDData, Cutout2D, NDData, StdDevUncertainty, block_reduce
from astropy.stats import sigma_clipped_stats
from astropy.table import QTable
from astropy.utils.exceptions import AstropyUserWarning
from astropy.visualization import ImageNormalize, ZScaleInterval, simple_norm
from astropy.wcs import WCS
from make_validation import csv_table
from photutils.aperture import ApertureStats, CircularAperture
from photutils.aperture import aperture_photometry as photutils_photometry
from photutils.background import Background2D
from photutils.detection import DAOStarFinder
from photutils.psf import CircularGaussianPRF, PSFPhotometry
from photutils.segmentation import SourceCatalog, detect_sources
from reproject import reproject_exact, reproject_interp
from scipy.ndimage import gaussian_filter
from specreduce.background import Background
from specreduce.extract import BoxcarExtract, HorneExtract
from specreduce.tracing import FlatTrace

from astro_calib import CCDFrame, DataQuality, NoiseSource, UncertaintyBudget, block_sum, combine
from astro_calib.photometry import aperture_photometry, as_photutils, boxcar_spectrum

if TYPE_CHECKING:
    from collections.abc import Callable

DOCS = Path(__file__).parent
SHAPE, UNIT = (24, 28), u.electron
#: Two masked pixels, in the star and in the sky, and other values for them, which show whether they count: a wild one,
#: and one that no clipping removes.
MASKED, OTHER_VALUES = ([11, 18], [13, 22]), [-1e7, 110.0]
READ_NOISE, LEVEL = 25.0, 4.0


def wcs_of_frame() -> WCS:
    """A WCS with pixels of 0.36 arcsec."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [14, 12]
    wcs.wcs.crval, wcs.wcs.cdelt = [10, 20], [-1e-4, 1e-4]
    return wcs


def frame_of_star(*, shared: bool = True, other_values: bool = False) -> CCDFrame:
    """A frame with a star, and two masked pixels; its level has an error, in common or as much for each pixel."""
    y, x = np.indices(SHAPE)
    data = np.random.default_rng(1).normal(100, 5, SHAPE)
    data += 2000 * np.exp(-((y - 10) ** 2 + (x - 13) ** 2) / 4)
    if other_values:
        data[MASKED] = OTHER_VALUES
    mask = np.zeros(SHAPE, dtype=bool)
    mask[MASKED] = True
    sources = [NoiseSource("read noise", READ_NOISE), NoiseSource("overscan", LEVEL, axes=() if shared else (0, 1))]
    return CCDFrame(
        data,
        unit=UNIT,
        budget=UncertaintyBudget(SHAPE, [(source, 1.0) for source in sources]),
        mask=mask,
        flags=np.where(mask, DataQuality.BAD, 0).astype(np.uint16),
        wcs=wcs_of_frame(),
        meta={"OBJECT": "a star"},
        name="star.fits",
    )


class Result(NamedTuple):
    """What comes out of a function, as far as it is there."""

    values: Any
    unit: Any = None
    mask: Any = None
    error: Any = None
    sources: tuple[str, ...] = ()


def looked_at(out: Any) -> Result:
    """What a result holds."""
    if isinstance(out, Result):
        return out
    if isinstance(out, CCDFrame):
        names = tuple(name for name in out.budget.names if name != "uncertainty")
        return Result(out.pixels, out.unit, out.mask, out.sigma, names)
    if isinstance(out, NDData):
        error = None if out.uncertainty is None else out.uncertainty.represent_as(StdDevUncertainty).array
        return Result(out.data, out.unit, out.mask, error)
    if isinstance(out, np.ma.MaskedArray):
        return Result(out.data, None, out.mask)
    return Result(getattr(out, "value", out), getattr(out, "unit", None))


def columns(table: QTable, values: str, error: str) -> Result:
    """Two columns of a table, of which the second may not be there."""
    found = table[values]
    return Result(getattr(found, "value", found), found.unit, None, table[error] if error in table.colnames else None)


def stars(frame: CCDFrame | None = None, **given: Any) -> Result:
    """The flux of the star, fitted by photutils."""
    fit = PSFPhotometry(CircularGaussianPRF(fwhm=3.3), (7, 7), aperture_radius=4)
    start = QTable({"x": [13.0], "y": [10.0], "flux": [25000.0] * UNIT})
    return columns(fit(*([] if frame is None else [frame]), init_params=start, **given), "flux_fit", "flux_err")


def summed(frame: CCDFrame | None = None, **given: Any) -> Result:
    """The sum over an aperture, by the statistics of photutils."""
    found = ApertureStats(*([] if frame is None else [frame]), aperture=APERTURE, **given)
    error = found.sum_err
    return Result(found.sum.value, found.sum.unit, None, None if np.all(np.isnan(error)) else error.value)


def segments(frame: CCDFrame) -> Result:
    """The flux of the star in the pixels above a threshold."""
    given = as_photutils(frame)
    found = detect_sources(given["data"], 300 * UNIT, 5, mask=given["mask"])
    catalog = SourceCatalog(given["data"], found, error=given["error"], mask=given["mask"])
    return Result(catalog.segment_flux.value, catalog.segment_flux.unit, None, catalog.segment_flux_err.value)


def places(found: QTable | None) -> Result:
    """Where stars were found, if there are any."""
    return Result(np.zeros(0) if found is None else np.array([found["x_centroid"], found["y_centroid"]]))


def limits(norm: Any) -> Result:
    """The limits of a normalisation."""
    return Result(np.array([norm.vmin, norm.vmax]))


def of_hdus(hdus: Any) -> Result:
    """What the HDUs of a file hold."""
    mask, variance = (hdus[name].data if name in hdus else None for name in ("MASK", "UNCERT"))
    return Result(hdus[0].data, u.Unit(hdus[0].header["BUNIT"]), mask, np.sqrt(variance))


def picture(frame: CCDFrame) -> Any:
    """What matplotlib shows."""
    mpl.use("Agg")
    figure = mpl.figure.Figure()
    return figure.subplots().imshow(frame).get_array()


def slices_of(frame: CCDFrame) -> tuple[slice, ...]:
    """The slices of a cutout around the star."""
    return Cutout2D(frame.pixels, (13, 11), 9).slices_original


APERTURE = CircularAperture((13.2, 10.4), r=4)


class Trial(NamedTuple):
    """A function, as it is called, and what it gives for a frame."""

    package: str
    call: str
    result: Callable[[CCDFrame], Any]


TRIALS = [
    Trial("astropy.nddata", "frame.to_ccddata()", lambda frame: frame.to_ccddata()),
    Trial("astropy.nddata", "CCDData(frame)", CCDData),
    Trial("astropy.nddata", "frame[::-1]", lambda frame: frame[::-1]),
    Trial("astropy.nddata", "Cutout2D(frame, ...)", lambda frame: Cutout2D(frame, (13, 11), 9).data),
    Trial("astropy.nddata", "frame[cutout.slices_original]", lambda frame: frame[slices_of(frame)]),
    Trial("astropy.nddata", "frame.to_hdu()", lambda frame: of_hdus(frame.to_hdu())),
    Trial("astropy.nddata", "block_reduce(frame, 2)", lambda frame: block_reduce(frame, 2)),
    Trial("astropy.nddata", "ac.block_sum(frame, 2)", lambda frame: block_sum(frame, 2)),
    Trial("astropy.stats", "sigma_clipped_stats(frame)", lambda frame: np.array(sigma_clipped_stats(frame))),
    Trial("astropy.convolution", "convolve(frame, kernel)", lambda frame: convolve(frame, Gaussian2DKernel(1))),
    Trial(
        "astropy.visualization",
        "ZScaleInterval().get_limits(frame)",
        lambda frame: np.array(ZScaleInterval().get_limits(frame)),
    ),
    Trial("astropy.visualization", "simple_norm(frame, ...)", lambda frame: limits(simple_norm(frame, "asinh"))),
    Trial("astropy.visualization", "ImageNormalize(frame)", lambda frame: limits(ImageNormalize(frame))),
    Trial(
        "astropy.visualization",
        "ImageNormalize(frame, ZScaleInterval())",
        lambda frame: limits(ImageNormalize(frame, interval=ZScaleInterval())),
    ),
    Trial("matplotlib", "imshow(frame)", picture),
    Trial("numpy", "np.sqrt(frame)", np.sqrt),
    Trial("numpy", "np.mean(frame)", np.mean),
    Trial("numpy", "np.median(frame)", np.median),
    Trial("numpy", "np.stack([frame, frame])", lambda frame: np.stack([frame, frame])),
    Trial("scipy", "ndimage.gaussian_filter(frame, 1)", lambda frame: gaussian_filter(frame, 1)),
    Trial(
        "photutils",
        "aperture_photometry(frame, ...)",
        lambda frame: columns(photutils_photometry(frame, APERTURE), "aperture_sum", "aperture_sum_err"),
    ),
    Trial("photutils", "ApertureStats(frame, ...)", summed),
    Trial("photutils", "ApertureStats(**as_photutils(frame), ...)", lambda frame: summed(**as_photutils(frame))),
    Trial(
        "photutils",
        "ac.photometry.aperture_photometry(frame, ...)",
        lambda frame: columns(aperture_photometry(frame, APERTURE), "aperture_sum", "aperture_sum_err"),
    ),
    Trial("photutils", "PSFPhotometry(...)(frame)", stars),
    Trial("photutils", "PSFPhotometry(...)(**as_photutils(frame))", lambda frame: stars(**as_photutils(frame))),
    Trial("photutils", "SourceCatalog(...)  # of as_photutils(frame)", segments),
    Trial("photutils", "Background2D(frame, ...)", lambda frame: Background2D(frame, 8).background),
    Trial(
        "photutils",
        "Background2D(frame.pixels, mask=...)",
        lambda frame: Background2D(frame.pixels, 8, mask=frame.mask).background,
    ),
    Trial("photutils", "DAOStarFinder(...)(frame)", lambda frame: places(DAOStarFinder(200 * UNIT, 3.3)(frame))),
    Trial(
        "photutils",
        "DAOStarFinder(...)(frame.pixels, mask=...)",
        lambda frame: places(DAOStarFinder(200, 3.3)(frame.pixels, mask=frame.mask)),
    ),
    Trial("ccdproc", "subtract_bias(frame, bias)", lambda frame: ccdproc.subtract_bias(frame, frame[::-1])),
    Trial("ccdproc", "combine([frame, ...])", lambda frame: ccdproc.combine([frame, frame[::-1]])),
    Trial("ccdproc", "Combiner([frame, ...])", lambda frame: ccdproc.Combiner([frame, frame[::-1]]).average_combine()),
    Trial("ccdproc", "ac.combine([frame, ...])", lambda frame: combine([frame, frame[::-1]])),
    Trial("ccdproc", "wcs_project(frame, wcs)", lambda frame: ccdproc.wcs_project(frame, wcs_of_frame())),
    Trial("ccdproc", "transform_image(frame, np.flipud)", lambda frame: ccdproc.transform_image(frame, np.flipud)),
    Trial("ccdproc", "median_filter(frame, 3)", lambda frame: ccdproc.median_filter(frame, 3)),
    Trial("reproject", "reproject_interp(frame, ...)", lambda frame: reproject_interp(frame, wcs_of_frame(), SHAPE)[0]),
    Trial("reproject", "reproject_exact(frame, ...)", lambda frame: reproject_exact(frame, wcs_of_frame(), SHAPE)[0]),
    Trial(
        "specreduce",
        "BoxcarExtract(frame, ...)",
        lambda frame: BoxcarExtract(frame, FlatTrace(frame, 10.3), width=5).spectrum,
    ),
    Trial(
        "specreduce",
        "ac.photometry.boxcar_spectrum(frame, ...)",
        lambda frame: boxcar_spectrum(frame, BoxcarExtract(frame, FlatTrace(frame, 10.3), width=5)),
    ),
    Trial("specreduce", "HorneExtract(frame, ...)", lambda frame: HorneExtract(frame, FlatTrace(frame, 10.3)).spectrum),
    Trial(
        "specreduce",
        "Background(frame, ...).sub_image()",
        lambda frame: Background.two_sided(frame, FlatTrace(frame, 10.3), separation=7, width=2).sub_image(),
    ),
    Trial("dask", "from_array(frame)", lambda frame: da.from_array(frame, chunks=16).compute()),
    Trial("dask", "from_array(frame).mean()", lambda frame: da.from_array(frame, chunks=16).mean().compute()),
    Trial("dask", "from_array(frame.pixels).mean()", lambda frame: da.from_array(frame.pixels).mean().compute()),
    Trial("dask", "CCDFrame(dask_array)", lambda frame: CCDFrame(da.from_array(frame.pixels), unit=UNIT)),
]


class Outcome(NamedTuple):
    """What a trial shows, in the words of the table."""

    package: str
    call: str
    goes: str
    unit: str
    mask: str
    error: str
    says: str


def outcome(trial: Trial) -> Outcome:
    """Call the function of a trial for some frames, and compare."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = looked_at(trial.result(frame_of_star()))
        except Exception as refusal:  # noqa: BLE001  whatever a package says to a frame
            return Outcome(*trial[:2], f"no: {type(refusal).__name__}", "", "", "", "")
        says = "a warning" if any(issubclass(one.category, AstropyUserWarning) for one in caught) else ""
        other = looked_at(trial.result(frame_of_star(other_values=True)))
        alone = looked_at(trial.result(frame_of_star(shared=False)))
    unit = "kept" if found.unit is not None and found.unit == UNIT else "dropped"
    return Outcome(*trial[:2], "yes", unit, _mask(found, other), _error(found, alone), says)


def _mask(found: Result, other: Result) -> str:
    """What becomes of the mask: whether it is there, or whether the values of masked pixels matter."""
    if found.mask is not None and np.any(found.mask):
        return "kept"
    same = np.shape(found.values) == np.shape(other.values) and np.allclose(found.values, other.values, equal_nan=True)
    return "left out" if same else "counted"


def _error(found: Result, alone: Result) -> str:
    """What the error is: that of the budget, of each pixel, or of a sum, with or without what pixels share."""
    if found.sources:
        return "with its sources"
    if found.error is None:
        return "none"
    if np.shape(found.error) == SHAPE:
        return "of each pixel" if np.allclose(found.error, np.sqrt(READ_NOISE + LEVEL)) else "another one"
    return "as if independent" if np.allclose(found.error, alone.error) else "with shared noise"


def table() -> str:
    """The table: a line for each package, and one for each call."""
    heading = ["Call", "Works", "Unit", "Masked pixels", "Error", "Remark"]
    rows = []
    package = ""
    for trial in TRIALS:
        if trial.package != package:
            package = trial.package
            rows.append([f"**{package}**", *[""] * (len(heading) - 1)])
        _, call, *words = outcome(trial)
        rows.append([f"``{call}``", *words])
    return csv_table(heading, rows)


def main() -> None:
    """Write the table."""
    (DOCS / "other_packages_table.inc").write_text(table(), encoding="utf-8")


if __name__ == "__main__":
    main()
