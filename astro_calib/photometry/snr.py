"""The signal-to-noise ratio of stars, before and after a calibration."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_count, check_positive, check_switch
from astro_calib.errors import warn
from astro_calib.frame.rebuild import as_frame
from astro_calib.photometry.apertures import aperture_for, missing_light, weigh
from astro_calib.photometry.detection import REASONS, find_stars, measure_shape, recentred
from astro_calib.photometry.empty import empty_positions, robust_scatter
from astro_calib.photometry.fluxes import measure
from astro_calib.photometry.positions import positions_of
from astro_calib.photometry.search import search
from astro_calib.photometry.shapes import Shape
from astro_calib.photometry.sky_places import sky_places
from astro_calib.photometry.star_table import EmptyNoise, star_table

if TYPE_CHECKING:
    from astropy.table import QTable, Table
    from numpy.typing import ArrayLike, NDArray

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.photometry.apertures import Aperture
    from astro_calib.photometry.fluxes import Fluxes
    from astro_calib.photometry.search import Searched
    from astro_calib.photometry.sky_places import SkyPlaces

__all__ = ["compare_snr", "left_out", "measure_searched", "measure_snr"]

#: Width that is assumed where no star shows it, pixels.
USUAL_FWHM = 4.0
#: Stars with an axis longer than the other by this factor are trailed; an aperture that holds them has a radius of more
#: than this part of their length.
ELONGATED, HOLDING = 1.25, 0.75
#: This many objects of another shape are worth a warning, if they are half as many as the stars.
MANY_LEFT_OUT = 5
#: With fewer empty apertures than this, their scatter is not known to 25%.
FEWEST_EMPTY = 20


def measure_snr(
    ccd: CCDFrame,
    before: CCDFrame | None = None,
    *,
    positions: ArrayLike | Table | None = None,
    recenter: bool = False,
    fwhm: float | None = None,
    radius: float | None = None,
    annulus: tuple[float, float] | None = None,
    threshold: float = 5.0,
    max_stars: int = 1000,
    n_empty: int = 300,
    seed: int = 0,
) -> QTable:
    r"""
    Measure stars: their flux, its error, and what the error is made of.

    Parameters
    ----------
    ccd : CCDFrame, shape (ny, nx)
        A calibrated frame with its budget. Pixels that are masked, flagged as unusable, not finite or without a finite
        variance are left out.
    before : CCDFrame, shape (ny, nx), optional
        The same exposure before calibration, in the same unit (see `~astro_calib.photometry.before_calibration`). The
        same pixels with the same weights are measured on it.
    positions : array_like of shape (n, 2), or Table with columns x and y, optional
        Where to measure, in pixels from 0 at the centre of the first; without it stars are searched for.
    recenter : bool
        Whether to move each of the positions to the centre of the star that is there, if it is no further than the
        aperture's radius and as significant as ``threshold`` asks for.
    fwhm : float, optional
        Full width at half maximum of a star in pixels. Without it, it is measured on the brightest unsaturated stars,
        along their longer axis if they are not round;
        stars narrower than 1.3 pixels cannot be told from cosmic rays, so that it must be given for them.
    radius : float, optional
        Of the aperture, pixels. One ``fwhm`` by default, which holds 94% of a Gaussian star's light, and gets 88% of
        the best SNR that an aperture can give a faint star.
    annulus : (float, float), optional
        Inner and outer radius, pixels. By default it begins 2.5 ``fwhm`` from the star (or 1.5 from the edge of a wider
        aperture) and has ten times the area of the aperture.
    threshold : float
        How many standard deviations of a pixel a star's peak must have, after filtering with a star's profile.
    max_stars : int
        The brightest so many of the stars found are measured.
    n_empty : int
        Number of empty apertures.
    seed : int
        Of the random places of the empty apertures.

    Returns
    -------
    QTable
        A row for each star, brightest first, or for each position as given, with the columns

        - ``id`` from 1, and ``x`` and ``y`` in pixels; ``shift``, how far a position was moved in pixels, with
          ``recenter``, NaN where there is nothing to centre on; ``ra`` and ``dec`` in degrees (ICRS), if the frame has
          a WCS of the sky; ``aperture_radius`` in pixels;
        - ``flux`` and ``flux_err`` in the unit of the frame, NaN where nothing can be measured; ``snr``, the one over
          the other; ``snr_empirical``, the flux over the scatter of empty apertures;
        - ``flux_before``, ``flux_err_before``, ``snr_before`` and ``snr_empirical_before``, if ``before`` is given;
        - what flux_err is made of, as standard deviations, the squares of which add up: ``err_source``, the shot noise
          of the star; ``err_sky``, the shot noise of everything else, sky and dark current; ``err_read_noise``; the
          masters' ``err_dark``, ``err_bias`` and ``err_flat``; and ``err_other`` (overscan, gain, repaired cosmic
          rays);
        - ``n_missing``, how many pixels of the aperture are masked or outside of the frame: their light is not in the
          flux; ``n_saturated``, how many are saturated, which are missing as well; ``missing_light``, the part of a
          star's light that falls on missing pixels, and ``partial``, whether it is more than 1%, or a pixel is
          saturated: then the flux is too low; ``flags``, the bits of `~astro_calib.DataQuality` that are set in the
          aperture, ``REJECTED`` left out.

        Its ``meta`` has the name of the frame (``frame``), ``radius``, ``annulus`` and ``fwhm`` in pixels, the width
        across the longer axis (``fwhm_across``) and the angle of that from x to y (``angle``, degrees), the number of
        stars found (``n_found``, measured or not), how many of those in the table are ``partial`` (``n_partial``), and
        how many peaks were left out that may have been stars: ``n_masked``, ``n_too_sharp`` (cosmic rays, hot pixels),
        ``n_too_elongated`` and ``n_too_flat`` for a star of this frame, ``n_blended`` (closer than two radii to a
        brighter one) and ``n_edge`` (the aperture is not all on the frame). It has the number of empty apertures
        (``n_empty``), the robust scatter of their
        sums (``empty_scatter``) and the median of their predicted errors (``empty_predicted``) in the unit of the
        frame, and the same before (``empty_scatter_before``, ``empty_predicted_before``); NaN if there is no room for
        20 of them.

    Raises
    ------
    FrameError
        If a frame has no variance, is no image, or has no pixel that can be measured.
    ShapeMismatchError
        If the frames differ in shape.
    astropy.units.UnitConversionError
        If the frames differ in unit.
    ValueError
        If an argument is out of range.

    Warns
    -----
    AstropyUserWarning
        If no star was found, or many were left out that do not have the shape of the others; if no star shows the
        width, or an aperture that was asked for does not hold stars that are trailed; if the WCS cannot be used, or
        there is no room for empty apertures.

    Notes
    -----
    Each star has one map of weights w, aperture minus annulus: its flux is :math:`\sum_x w z`, and the variance that
    of the weighted sum, source by source (`~astro_calib.UncertaintyBudget.variances_of_sum`). An overscan level of
    each row adds up along the row, and one of the frame cancels. For independent pixels it is the CCD equation [1]_,
    with n pixels in the aperture, m in the annulus, background B per pixel and read noise R:

    .. math:: \sigma_F^2 = F + n (1 + n/m) (B + R^2)

    except that pixels on the edge of the aperture count by the square of the part inside: in an aperture with a radius
    of 4 pixels that makes n smaller by 9%, of 20 by 2%.

    Pixels of the annulus beyond 3 robust standard deviations from its median are rejected, again and again, in ``ccd``.

    The error before knows the read noise and the shot noise of the raw frame, but not the fixed pattern that a
    calibration removes. Empty apertures do: where their scatter is larger than predicted, the pattern is still there.

    References
    ----------
    .. [1] Merline & Howell 1995, Experimental Astronomy 6, 163 (doi:10.1007/BF00421131)

    Examples
    --------
    >>> import astropy.units as u
    >>> import numpy as np
    >>> from astro_calib import (
    ...     CCDFrame,
    ...     Detector,
    ...     create_deviation,
    ...     measure_snr,
    ... )
    >>> camera = Detector(
    ...     gain=1 * u.electron / u.adu, read_noise=5 * u.electron
    ... )
    >>> y, x = np.mgrid[:100, :100]
    >>> star = 500 * np.exp(-((x - 40.0) ** 2 + (y - 60.0) ** 2) / (2 * 1.5**2))
    >>> electrons = np.random.default_rng(1).poisson(
    ...     100.0 + star
    ... ) + np.random.default_rng(2).normal(0, 5, (100, 100))
    >>> image = create_deviation(CCDFrame(electrons, unit="electron"), camera)
    >>> table = measure_snr(image, fwhm=3.5)
    >>> print(len(table), table["x"][0].round(1), table["y"][0].round(1))
    1 40.0 pix 60.0 pix
    >>> light = (
    ...     2 * np.pi * 1.5**2 * 500 * (1 - np.exp(-0.5 * (3.5 / 1.5) ** 2))
    ... )  # of it in the aperture
    >>> bool(
    ...     abs(table["flux"][0].value - light) < 3 * table["flux_err"][0].value
    ... )
    True
    """
    threshold = check_positive("threshold", threshold)
    fwhm = None if fwhm is None else check_positive("fwhm", fwhm, u.pixel)
    radius = None if radius is None else check_positive("radius", radius, u.pixel)
    ccd = as_frame(ccd)
    for what, value in (("fwhm", fwhm), ("radius", radius)):
        if value is not None and value > max(ccd.shape):
            msg = f"{what} is {value:g} pixels, more than {ccd.name} has along its sides; its shape is {ccd.shape}."
            raise ValueError(msg)
    check_positive("max_stars", check_count("max_stars", max_stars))
    check_count("n_empty", n_empty)
    check_count("seed", seed)
    if check_switch("recenter", recenter) and positions is None:
        msg = f"recenter moves positions, and none are given for {ccd.name}; stars that are searched for are centred."
        raise ValueError(msg)
    return measure_searched(
        search(ccd, before),
        positions=positions,
        recenter=recenter,
        fwhm=fwhm,
        radius=radius,
        annulus=annulus,
        threshold=threshold,
        max_stars=max_stars,
        n_empty=n_empty,
        seed=seed,
    )


def measure_searched(
    searched: Searched,
    *,
    positions: ArrayLike | Table | None = None,
    recenter: bool = False,
    fwhm: float | None = None,
    radius: float | None = None,
    annulus: tuple[float, float] | None = None,
    threshold: float = 5.0,
    max_stars: int = 1000,
    n_empty: int = 300,
    seed: int = 0,
) -> QTable:
    """Measure stars, as `~astro_calib.measure_snr` does, on frames that were searched for objects."""
    ccd, scene = searched.frames[0], searched.scene
    fwhm_needed = fwhm is None and (positions is None or radius is None or annulus is None)
    measured_shape = measure_shape(scene) if fwhm_needed or positions is None else None
    width = fwhm or (USUAL_FWHM if measured_shape is None else measured_shape.along)
    shape = _shape(fwhm, measured_shape)
    aperture = aperture_for(width, radius, annulus)
    counts: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
    shift = None
    if positions is None:
        found = find_stars(scene, shape, threshold, 2 * aperture.radius, counts)
        places = aperture.inside(found, ccd.shape)
        counts["edge"] = len(found) - len(places)
        _tell_of_the_search(ccd.name, len(places), counts, threshold)
        if (radius if fwhm is None else fwhm) is not None:
            _tell_of_the_aperture(ccd.name, aperture, shape)
    else:
        places = positions_of(positions)
        if recenter:
            places, shift = recentred(scene, places, shape, threshold, aperture.radius)
    if fwhm_needed and measured_shape is None and len(places):
        warn(f"{ccd.name}: too few bright stars to measure their width; a fwhm of {width:g} pixels is assumed.")
    n_found = len(places)
    places = places[:max_stars] if positions is None else places
    nowhere = empty_positions(scene.objects | scene.missing, aperture.radius, width, n_empty, seed)
    if len(nowhere) < min(n_empty, FEWEST_EMPTY):
        warn(f"{ccd.name}: there is room for {len(nowhere)} empty apertures only; their scatter is not measured.")

    stars, empty = (weigh(ccd.pixels, scene.missing, where, aperture, searched.flags) for where in (places, nowhere))
    pairs = list(zip(searched.frames, searched.budgets, strict=True))
    measured = [measure(frame.pixels, budget, stars) for frame, budget in pairs]
    noise = [_noise(measure(frame.pixels, budget, empty)) for frame, budget in pairs]
    table = star_table(
        places,
        stars,
        measured,
        noise,
        ccd.unit,
        radius=aperture.radius,
        missing_light=_missing_light(scene.missing, places, aperture.radius, shape, stars.n_missing, measured[0].flux),
        sky=_sky(ccd, places),
        shift=shift,
    )
    if positions is None:
        table = table[np.argsort(-table["flux"].value, kind="stable")]
        table["id"][:] = np.arange(1, len(table) + 1)
    table.meta = {
        "frame": ccd.name,
        "fwhm": width if fwhm is not None or measured_shape is not None else None,
        "fwhm_across": None if measured_shape is None else measured_shape.across,
        "angle": None if measured_shape is None else float(np.degrees(measured_shape.angle)),
        "radius": aperture.radius,
        "annulus": [aperture.inner, aperture.outer],
        "n_found": n_found,
        "n_partial": int(np.count_nonzero(table["partial"])),
        "n_empty": len(nowhere),
    }
    if positions is None:
        table.meta |= {_key(reason): number for reason, number in counts.items()}
    for suffix, one in zip(("", "_before"), noise, strict=False):
        table.meta[f"empty_scatter{suffix}"] = one.scatter
        table.meta[f"empty_predicted{suffix}"] = one.predicted
    return table


def compare_snr(before: CCDFrame, after: CCDFrame, **options: Any) -> QTable:
    """
    Measure the same stars on a frame before and after calibration.

    Parameters
    ----------
    before, after : CCDFrame, shape (ny, nx)
        The same exposure, both in the same unit. Stars are searched for on ``after``.
    **options
        More arguments of `~astro_calib.measure_snr`.

    Returns
    -------
    QTable
        That of ``measure_snr(after, before)``, and ``snr_ratio`` and ``snr_empirical_ratio``: after over before.

    Raises
    ------
    FrameError, ShapeMismatchError, astropy.units.UnitConversionError, ValueError
        As `~astro_calib.measure_snr` does.

    Examples
    --------
    >>> from astro_calib import compare_snr, simulate
    >>> from astro_calib.photometry import before_calibration
    >>> camera = simulate.camera((150, 150), seed=1)
    >>> stars = simulate.random_stars(
    ...     (150, 150), 8, 2, flux_range=(2000, 20000)
    ... )
    >>> raw, truth = camera.expose(
    ...     "science", 10, filter="V", sky=20, stars=stars, rng=3
    ... )
    >>> before = before_calibration(
    ...     raw,
    ...     camera.detector,
    ...     overscan="[155:182,1:150]",
    ...     trim="[1:150,1:150]",
    ... )
    >>> table = compare_snr(before, 2 * before, fwhm=3.5)
    >>> print(table["snr_ratio"].mean().round(6))
    1.0
    """
    table = measure_snr(after, as_frame(before, "the frame before calibration"), **options)
    for name, words in (("snr", "signal-to-noise ratio"), ("snr_empirical", "flux over scatter of empty apertures")):
        with np.errstate(divide="ignore", invalid="ignore"):
            table[f"{name}_ratio"] = table[name] / table[f"{name}_before"]
        table[f"{name}_ratio"].info.description = f"{words}, after over before"
    return table


def _shape(fwhm: float | None, measured: Shape | None) -> Shape:
    """The shape of the stars to search for: a width that was given goes before, if stars are about round."""
    if fwhm is None:
        return Shape(USUAL_FWHM, USUAL_FWHM, 0.0) if measured is None else measured
    if measured is not None and measured.along > ELONGATED * measured.across and measured.across < ELONGATED * fwhm:
        return measured
    return Shape(fwhm, fwhm, 0.0)


def left_out(table: QTable) -> dict[str, int]:
    """How many peaks were left out of a table that may have been stars, by reason."""
    return {reason: table.meta[_key(reason)] for reason in REASONS}


def _key(reason: str) -> str:
    return f"n_{reason.replace(' ', '_')}"


def _tell_of_the_search(name: str, found: int, counts: Counter[str], threshold: float) -> None:
    """Say what was left out if it may be what was looked for."""
    reasons = ", ".join(f"{counts[reason]} {reason}" for reason in REASONS if counts[reason])
    if found == 0:
        warn(f"{name}: no star found above {threshold:g} sigma{f'; left out: {reasons}' if reasons else ''}.")
        return
    unlike = counts["too elongated"] + counts["too flat"]
    if unlike >= MANY_LEFT_OUT and unlike > found / 2:
        warn(
            f"{name}: {found} stars found, but {unlike} peaks left out that have another shape (left out: {reasons}); "
            "look at the frame, and give the positions of those that are stars."
        )


def _tell_of_the_aperture(name: str, aperture: Aperture, shape: Shape) -> None:
    """Say so if stars are trailed out of an aperture that was asked for."""
    if shape.along > ELONGATED * shape.across and aperture.radius < HOLDING * shape.along:
        warn(
            f"{name}: stars are {shape.along:.1f} by {shape.across:.1f} pixels; apertures of radius "
            f"{aperture.radius:g} pixels do not hold their light. Give a radius of {shape.along:.0f}, or none."
        )


def _missing_light(
    missing: NDArray[np.bool_],
    places: NDArray[np.float64],
    radius: float,
    shape: Shape,
    n_missing: NDArray[np.int64],
    flux: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The part of each star's light that is missing; all of it where nothing can be measured."""
    part = np.where(np.isfinite(flux), 0.0, 1.0)
    holed = np.isfinite(flux) & (n_missing > 0)
    part[holed] = missing_light(missing, places[holed], radius, shape)
    return part


def _sky(ccd: CCDFrame, places: NDArray[np.float64]) -> SkyPlaces | None:
    """Where the stars are on the sky; a WCS that cannot be used is no reason not to measure."""
    try:
        return sky_places(ccd.wcs, places)
    except Exception as error:  # noqa: BLE001  a WCS raises errors of any kind
        reason = " ".join(str(error).split()) or type(error).__name__
        warn(f"{ccd.name}: its WCS cannot be used, so that stars have no ra and dec: {reason}")
        return None


def _noise(empty: Fluxes) -> EmptyNoise:
    if len(empty.flux) < FEWEST_EMPTY:
        return EmptyNoise(float("nan"), float("nan"))
    return EmptyNoise(robust_scatter(empty.flux), float(np.median(empty.error)))
