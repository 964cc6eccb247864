"""A science frame from its raw file to its calibrated frame, its stars and its pictures."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from astro_calib.arguments import printable
from astro_calib.flags import DataQuality
from astro_calib.frame.bayer_cards import pattern_in
from astro_calib.frame.rebuild import usable
from astro_calib.night.masters.masters import calibrate_raw, read_raw
from astro_calib.night.masters.read_out import detector_of
from astro_calib.night.summary.error_shares import error_shares
from astro_calib.night.summary.frame_summary import FrameSummary
from astro_calib.night.summary.sky_level import below_zero
from astro_calib.photometry.growth import within_square
from astro_calib.photometry.ratios import RATIOS
from astro_calib.photometry.sky_noise import MARGIN, measure_sky_noise
from astro_calib.report.histogram import histogram_of
from astro_calib.report.pictures import before_after_picture, histogram_picture, snr_picture
from astro_calib.stack.levels import finite_median
from astro_calib.steps.planes import colour_planes

if TYPE_CHECKING:
    from collections.abc import Callable

    from astropy.table import QTable
    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector
    from astro_calib.frame.frame import CCDFrame
    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.common.output import Output
    from astro_calib.night.masters.master_set import FrameMasters
    from astro_calib.night.plan.plan import Plan
    from astro_calib.photometry.sky_noise import SkyNoise
    from astro_calib.report.histogram import Histogram

__all__ = ["Made", "Photometry", "before_calibrated", "calibrated", "measured", "reduce_science"]


#: The plane in which the stars of a colour sensor are measured.
GREEN = "G1"


class Photometry(NamedTuple):
    """What was measured on a calibrated science frame: its stars, the noise of its sky, and where objects are in it."""

    stars: QTable
    sky: SkyNoise
    objects: NDArray[np.bool_]


class Made(NamedTuple):
    """
    A science frame that is made and not written yet: its summary, and what writes it.

    ``write_image`` writes the calibrated frame, nothing else, and can be called from any thread; ``write_beside``
    writes table and pictures, after the frame.
    """

    summary: FrameSummary
    write_image: Callable[[], object]
    write_beside: Callable[[], object]


def reduce_science(
    frame: RawFrame,
    plan: Plan,
    masters: FrameMasters,
    output: Output,
    compare: Callable[[CCDFrame], CCDFrame] | None = None,
    *,
    stars: bool = True,
    pictures: bool = True,
    aperture: float | None = None,
) -> Made:
    """
    Calibrate a science frame, measure its stars, and make all that is to be written about it.

    A filter without a flat is reduced without one. ``aperture`` is the radius of the apertures in pixels; by default it
    follows the width of the frame's stars. ``compare`` finds cosmic rays in the calibrated frame with
    the help of others. A frame that cannot be calibrated is a FrameError.
    """
    from astro_calib.io.fits.write import prepare_fits

    raw = read_raw(frame)
    detector = detector_of(plan, raw, neighbours=True)
    image = calibrated(frame, plan, masters, raw, detector)
    if compare is not None:
        image = compare(image)
    photometry, figures, histogram = None, {}, None
    content: dict[str, bytes] = {}
    planes = colour_planes(image) if _has_planes(plan, image) else {}
    if stars or pictures:
        before = masters.steps.finished(before_calibrated(raw, plan, masters, detector))
        # In a mosaic of colours each star is a checkerboard: those of a green plane are measured.
        seen = (planes[GREEN], colour_planes(before)[GREEN]) if planes else (image, before)
        photometry = measured(*seen, aperture) if stars else None
        if pictures:
            content, histogram = _drawn(frame, plan, *seen, photometry)
    if photometry is not None:
        figures = _figures(photometry.stars, photometry.sky)
        figures["table"] = output.path("tables", frame.name)
        # A name of bytes that are no text cannot be written into a table.
        photometry.stars.meta["frame"] = printable(photometry.stars.meta["frame"])

    path = output.path("calibrated", frame.name)

    def write_image() -> None:
        output.make_way(path)
        write()

    def write_beside() -> None:
        output.written(path)
        for colour, plane in planes.items():
            output.write("calibrated", f"{frame.name}-{colour}", partial(plane.write, overwrite=True))
        if photometry is not None:
            output.write("tables", frame.name, partial(photometry.stars.write, format="ascii.ecsv"))
        for kind, png in content.items():
            output.write("pictures", f"{frame.name}-{kind}", partial(Path.write_bytes, data=png))

    bad = _flagged(image, DataQuality.BAD | DataQuality.NO_DATA)
    saturated = _saturated(raw, plan)
    if saturated.shape != bad.shape:
        # Pixels were added up: what is saturated in one of them is that in the sum.
        saturated = _flagged(image, DataQuality.SATURATED)
    summary = FrameSummary(
        path=path,
        raw=frame.path,
        object=frame.object,
        filter=frame.filter,
        exposure_time=frame.exposure_time,
        saturated=int(np.count_nonzero(saturated & ~bad)),
        bad=int(np.count_nonzero(bad)),
        shares=error_shares(image),
        below_zero=below_zero(image),
        setup=plan.name,
        histogram=histogram,
        **figures,
    )
    write = prepare_fits(image, path, overwrite=True)
    return Made(summary, write_image, write_beside)


def _has_planes(plan: Plan, image: CCDFrame) -> bool:
    """Whether the planes of a colour sensor are asked for, and a frame has them."""
    return plan.profile.steps.colours and pattern_in(image.meta, image.shape[0], image.name) is not None


def _figures(stars: QTable, sky: SkyNoise) -> dict[str, Any]:
    """What a summary tells of stars and sky."""
    from astro_calib.photometry.snr import left_out

    # Without a positive flux there is no SNR.
    bright = stars[(stars["flux"] > 0) & (stars["flux_before"] > 0)]
    scatter, predicted = stars.meta["empty_scatter"], stars.meta["empty_predicted"]
    return {
        "sky": sky,
        "stars": len(stars),
        "stars_found": stars.meta["n_found"],
        "left_out": {reason: number for reason, number in left_out(stars).items() if number},
        "fwhm": stars.meta["fwhm"] or np.nan,
        "fwhm_across": stars.meta["fwhm_across"] or np.nan,
        "aperture": stars.meta["radius"],
        "snr_before": finite_median(bright["snr_before"]),
        "snr_after": finite_median(bright["snr"]),
        "snr_empirical_before": finite_median(bright["snr_empirical_before"]),
        "snr_empirical_after": finite_median(bright["snr_empirical"]),
        "empty_ratio": scatter / predicted if predicted > 0 else np.nan,
    }


def _drawn(
    frame: RawFrame, plan: Plan, image: CCDFrame, before: CCDFrame, photometry: Photometry | None
) -> tuple[dict[str, bytes], Histogram | None]:
    """The pictures of a frame as PNG, by the ends of their names, and the histogram of its sky."""
    title = f"{frame.path.name}   {frame.object}   {frame.filter} {frame.exposure_time:g} s"
    good = usable(before), usable(image)
    pictures = {
        "frames": before_after_picture(
            title,
            ("before: raw less its pedestal / electron", before.pixels, good[0]),
            ("after / electron", image.pixels, good[1]),
        )
    }
    if photometry is None:
        return pictures, None
    stars, sky, objects = photometry
    step = before.digital_step or float(plan.camera.amplifiers[0].gain.value)
    histogram = histogram_of(
        before.pixels, image.pixels, good[0] & good[1] & ~within_square(objects, MARGIN), sky, step
    )
    if histogram is not None:
        pictures["histogram"] = histogram_picture(title, histogram)
    ratios = {words: (stars[earlier], stars[later]) for earlier, later, words in RATIOS.values()}
    pictures["snr"] = snr_picture(title, ratios)
    return pictures, histogram


def calibrated(
    frame: RawFrame,
    plan: Plan,
    masters: FrameMasters,
    raw: CCDFrame | None = None,
    detector: Detector | None = None,
) -> CCDFrame:
    """Return a science frame in electron, calibrated; ``raw`` is the frame in adu, if it was read, by ``detector``."""
    return calibrate_raw(
        frame,
        plan,
        raw,
        detector=detector,
        bias=masters.bias,
        dark=masters.dark,
        flat=masters.flat,
        steps=masters.steps,
    )


def measured(image: CCDFrame, before: CCDFrame, aperture: float | None = None) -> Photometry:
    """
    Measure the stars of a science frame, and the noise of the sky between them; search for objects once.

    With ``aperture``, the radius in pixels, the annulus goes with it, so that nothing follows the width of the stars.
    """
    from astro_calib.photometry.apertures import annulus_around
    from astro_calib.photometry.search import search
    from astro_calib.photometry.snr import measure_searched

    searched = search(image, before)
    annulus = None if aperture is None else annulus_around(aperture)
    objects = searched.scene.objects
    return Photometry(
        measure_searched(searched, radius=aperture, annulus=annulus), measure_sky_noise(image, objects), objects
    )


def before_calibrated(raw: CCDFrame, plan: Plan, masters: FrameMasters, detector: Detector) -> CCDFrame:
    """Return a raw frame in electron less its pedestal, which the master bias tells where there is no overscan."""
    from astro_calib.photometry import before_calibration

    pedestal = plan.pedestal
    if plan.overscan is None and pedestal is None:
        assert masters.bias is not None  # plan_night has made sure
        pedestal = masters.pedestal / plan.camera.amplifiers[0].gain.value
    return before_calibration(raw, detector, overscan=plan.frames[0].overscans, trim=plan.trim, pedestal=pedestal)


def _saturated(raw: CCDFrame, plan: Plan) -> NDArray[np.bool_]:
    """Return where the raw frame is saturated: the calibrated one has the saturated pixels of its masters as well."""
    from astro_calib.steps.quality import flag_saturated
    from astro_calib.steps.trim import trim_image

    flagged = flag_saturated(raw, plan.camera)
    return _flagged(flagged if plan.trim is None else trim_image(flagged, plan.trim), DataQuality.SATURATED)


def _flagged(frame: CCDFrame, flag: DataQuality) -> NDArray[np.bool_]:
    if frame.flags is None:
        return np.zeros(frame.shape, dtype=bool)
    flagged: NDArray[np.bool_] = (frame.flags & np.uint16(flag)) != 0
    return flagged
