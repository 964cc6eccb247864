"""How many calibration frames to take: the SNR that a plan gives, and the plan that gives the best."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import astropy.units as u
import numpy as np

from astro_calib.arguments import check_count, check_number, check_positive, described, quantity_of
from astro_calib.detector.detector import Amplifier, Detector, as_detector

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from astropy.table import Table
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

__all__ = ["CalibrationPlan", "plan_calibration"]

ELECTRON_RATE = u.electron / u.s
#: What is planned, and what one of it is called.
KINDS = {"science": "science frame", "biases": "bias", "darks": "dark", "flats": "flat"}
#: Radius of the aperture, inner radius of the annulus, in full widths at half maximum, how far from the edge of a wide
#: aperture the annulus begins, in pixels, and its area, in apertures: those of `~astro_calib.measure_snr`.
RADIUS, INNER, GAP, ANNULUS_AREA = 1.0, 2.5, 1.5, 10.0
#: Where in a pixel a star's centre may be: averages over these stand for all places, by symmetry.
PLACES = (0.125, 0.375)
#: The brightest pixel of a recommended exposure stays at this part of the saturation, for pedestal and better seeing.
FULL = 0.8
#: Around so many of the best exposures, these parts of them are tried.
REFINED, PARTS = 3, np.linspace(0.94, 1.06, 25)
#: Exposures that are tried: these times powers of ten, in seconds, from the shortest.
ROUND = np.concatenate([np.arange(1, 2, 0.1), np.arange(2, 5, 0.2), np.arange(5, 10, 0.5)])
SHORTEST = 0.1
#: The shortest exposure is taken with which the SNR is at least this part of the best: more frames show more hits.
NEARLY = 0.997
#: Numbers of frames that are tried on either side of where the SNR would be best if they need not be whole.
TRIED = 2
#: More frames of a kind than this are not planned.
MOST = 100_000


@dataclass(frozen=True, kw_only=True, eq=False)
class CalibrationPlan:
    """
    How many frames of each kind to take, and the SNR that they give.

    Parameters
    ----------
    exposure, dark_exposure : Quantity, s
        Exposure of each science frame and of each dark.
    science, biases, darks, flats : int
        Numbers of frames.
    time : Quantity, min
        What all these frames take, read-out included.
    signal : Quantity, electron
        Light of the target in the aperture, in one exposure.
    variances : dict of str to float
        Variance of the target's flux, in electron squared, that each kind would bring if there was one frame of it.
    gain_variance : float
        What the uncertainty of the gain brings, in electron squared; it depends on no number of frames.
    seconds : dict of str to float
        What one frame of each kind takes, s, read-out included.
    remarks : tuple of str
        What should be known about the plan, such as that the target saturates.

    Examples
    --------
    As `plan_calibration` makes it; see there.

    >>> import astropy.units as u
    >>> from astro_calib import Detector
    >>> from astro_calib.characterize import plan_calibration
    >>> camera = Detector(gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron)
    >>> plan = plan_calibration(camera, flux=100 * u.electron / u.s, sky=5 * u.electron / u.s, fwhm=3.5,
    ...                         exposure=60 * u.s, flat_level=20000 * u.electron, lamp_time=5 * u.s,
    ...                         read_out_time=15 * u.s, science=5, biases=10, flats=4)
    >>> bool(plan.snr < plan.snr_with(biases=100))
    True
    """

    exposure: u.Quantity
    dark_exposure: u.Quantity
    science: int
    biases: int
    darks: int
    flats: int
    time: u.Quantity
    signal: u.Quantity
    variances: Mapping[str, float]
    gain_variance: float
    seconds: Mapping[str, float]
    remarks: tuple[str, ...] = ()

    @property
    def numbers(self) -> dict[str, int]:
        """The numbers of frames by kind; no darks where there is no dark current."""
        return {kind: getattr(self, kind) for kind in self.variances}

    @property
    def snr(self) -> float:
        """Signal-to-noise ratio of the target in the mean of the science frames."""
        return float(self._snr(self.numbers))

    def snr_with(self, **numbers: float) -> float:
        """
        The SNR with other numbers of frames.

        Parameters
        ----------
        **numbers : float
            Of ``science``, ``biases``, ``darks`` or ``flats``; `numpy.inf` for a master without noise. Those that are
            not given are the plan's.

        Returns
        -------
        float
            Signal-to-noise ratio of the target.

        Raises
        ------
        TypeError
            If there is no such kind.
        ValueError
            If a number is not positive.
        """
        for kind, number in numbers.items():
            if kind not in KINDS:
                msg = f"snr_with has no argument {kind!r}; expected {', '.join(KINDS)}."
                raise TypeError(msg)
            if not number > 0:
                msg = f"{kind} is {described(number)}; expected a positive number."
                raise ValueError(msg)
        return float(self._snr({**self.numbers, **numbers}))

    def _snr(self, numbers: Mapping[str, Any]) -> Any:
        """Signal over noise; numbers of frames may be arrays."""
        parts = sum(variance / numbers[kind] for kind, variance in self.variances.items())
        return self.signal.value / np.sqrt(parts + self.gain_variance)

    @property
    def table(self) -> Table:
        """
        A row for each kind of frame.

        With the columns ``frames``, ``number``, ``exposure`` (s), ``time`` (min, of all of them with read-out),
        ``noise`` (electron, what they bring to the error of the flux), ``share`` (of the variance, %), ``gain`` (of SNR
        by one more minute of them, %) and ``SNR at best`` (with endless frames of this kind).
        """
        from astropy.table import Table

        total = (self.signal.value / self.snr) ** 2
        overheads = {"science": self.exposure.value, "biases": 0.0, "darks": self.dark_exposure.value}
        rows = []
        for kind, number in self.numbers.items():
            part = self.variances[kind] / number
            rows.append(
                (
                    kind,
                    number,
                    overheads.get(kind, np.nan),
                    number * self.seconds[kind] / 60,
                    np.sqrt(part),
                    100 * part / total,
                    100 * (self.snr_with(**{kind: number + 60 / self.seconds[kind]}) / self.snr - 1),
                    self.snr_with(**{kind: np.inf}),
                )
            )
        names = ("frames", "number", "exposure", "time", "noise", "share", "gain", "SNR at best")
        table = Table(rows=rows, names=names)
        units = {"exposure": u.s, "time": u.min, "noise": u.electron, "share": u.percent, "gain": u.percent / u.min}
        for name, unit in units.items():
            table[name].unit = unit
        for name, form in zip(names[2:], ("g", ".1f", ".4g", ".1f", ".3f", ".1f"), strict=True):
            table[name].format = form
        return table

    @property
    def next(self) -> str:
        """The kind of frame of which one more minute gains most."""
        gains = self.table["gain"]
        return str(self.table["frames"][int(np.argmax(gains))])

    def __str__(self) -> str:
        numbers = self.numbers
        frames = [_counted(number, kind) for kind, number in numbers.items()]
        frames[0] += f" of {self.exposure.value:g} s"
        if "darks" in numbers:
            frames[2] += f" of {self.dark_exposure.value:g} s"
        table = self.table
        masters = sum(row["share"] for row in table if row["frames"] != "science")
        perfect = self.snr_with(**dict.fromkeys([kind for kind in numbers if kind != "science"], np.inf))
        gain = table["gain"][int(np.argmax(table["gain"]))]
        lines = [
            f"{', '.join(frames)}: SNR {self.snr:.4g}, in {self.time.value:.1f} min.",
            f"The masters are {masters:.1f}% of the variance; with perfect ones the SNR is {perfect:.4g}.",
            f"One more minute gains most with {self.next}: {gain:.2g}% of the SNR.",
            *self.remarks,
        ]
        return "\n".join([*lines, "", *table.pformat(max_lines=-1, max_width=-1)])

    def plot(self) -> Figure:
        """
        Draw the SNR against the number of frames of each kind, the others as in the plan.

        Returns
        -------
        matplotlib.figure.Figure
            With a point on each curve for the plan.
        """
        from matplotlib.figure import Figure

        figure = Figure(figsize=(8.0, 5.0), layout="constrained")
        axes = figure.subplots()
        most = max(30, *(3 * number for number in self.numbers.values()))
        steps = np.unique(np.geomspace(1, most, 200).round())
        for kind, number in self.numbers.items():
            snr = self._snr({**self.numbers, kind: steps})
            (line,) = axes.plot(steps, snr, label=kind)
            axes.plot([number], [self.snr], "o", color=line.get_color())
        perfect = self.snr_with(**dict.fromkeys([kind for kind in self.numbers if kind != "science"], np.inf))
        axes.axhline(perfect, color="#8a8a8a", linestyle="--", label="perfect masters")
        axes.set(
            xscale="log",
            xlabel="number of frames, the others as planned",
            ylabel="SNR of the target",
            title=f"SNR {self.snr:.4g} in {self.time.value:.1f} min",
        )
        axes.xaxis.set_major_formatter("{x:g}")
        axes.legend()
        return figure


def plan_calibration(
    detector: Detector | Amplifier,
    *,
    flux: u.Quantity,
    sky: u.Quantity,
    fwhm: float,
    flat_level: u.Quantity,
    lamp_time: u.Quantity,
    read_out_time: u.Quantity,
    dark_current: u.Quantity = 0 * ELECTRON_RATE,
    exposure: u.Quantity | None = None,
    dark_exposure: u.Quantity | None = None,
    time: u.Quantity | None = None,
    science: int | None = None,
    biases: int | None = None,
    darks: int | None = None,
    flats: int | None = None,
    at_least: int = 3,
    radius: float | None = None,
    annulus: tuple[float, float] | None = None,
) -> CalibrationPlan:
    r"""
    Plan how many frames of each kind to take, and how long to expose.

    Numbers of frames that are given are taken as they are and cost nothing: they are there already, or are taken by
    day. Those that are left out share the telescope ``time`` so that the SNR of the target is best. If all are given,
    the plan says what SNR they give, and which kind gains most by one more minute.

    Parameters
    ----------
    detector : Detector or Amplifier
        Gain, read noise and saturation, measured or stated. Of a detector with several amplifiers give the one that
        reads the target: ``detector.amplifiers[0]``.
    flux : Quantity, electron / s
        Light of the target in the aperture, as `~astro_calib.measure_snr` measures it.
    sky : Quantity, electron / s
        Light of the sky in each pixel.
    fwhm : float or Quantity
        Full width at half maximum of the target, pixels.
    flat_level : Quantity, electron or adu
        Light in each pixel of one flat.
    lamp_time : Quantity, s
        How long a flat is exposed for that.
    read_out_time : Quantity, s
        What each frame takes beside its exposure.
    dark_current : Quantity, electron / s
        In each pixel. Without it no darks are planned.
    exposure : Quantity, s, optional
        Of each science frame. Without it the shortest exposure is taken that gives nearly the best SNR, to 0.3%, and
        does not saturate the detector.
    dark_exposure : Quantity, s, optional
        Of each dark, which is scaled to the exposure; by default the exposure itself.
    time : Quantity, min, optional
        Telescope time for the frames whose numbers are not given.
    science, biases, darks, flats : int, optional
        Numbers of frames, if they are given.
    at_least : int
        Frames of each kind that are planned at the least. Among three a hit can be told.
    radius : float or Quantity, optional
        Of the aperture, pixels. Like ``annulus`` it is that of `~astro_calib.measure_snr` by default.
    annulus : (float, float), optional
        Inner and outer radius of the annulus, in which the sky is measured, pixels.

    Returns
    -------
    CalibrationPlan
        The numbers, the exposure and the SNR; ``print`` it, or ``plot()`` it.

    Raises
    ------
    TypeError
        If the detector is none, or a number is none.
    astropy.units.UnitConversionError
        If a quantity has the wrong unit.
    ValueError
        If a number is out of range, there is no time for the fewest frames, or not enough is given to plan.

    Notes
    -----
    Science frames are averaged without shifts between them, under one master of each kind, the mean of its frames, so
    that the noise of the masters does not average down. With the weights w of aperture minus annulus, the sky and the
    target's light z in a pixel, the exposure ratio :math:`\rho = t/t_d` of science frame and dark, :math:`\rho_f` that
    of flat and dark, the flat's level L, the dark current d, and read noise and digitisation R, the variance is

    .. math::

        V = \frac{1}{N} \sum_x w^2 (z + d t + R^2)
          + \frac{R^2}{N_b} \sum_x w^2 \left[\rho - 1 + (1 - \rho_f) \frac{z}{L}\right]^2
          + \frac{R^2 + d t_d}{N_d} \sum_x w^2 \left[\rho - \rho_f \frac{z}{L}\right]^2
          + \frac{R^2 + d t_f + L}{N_f} \sum_x w^2 \frac{z^2}{L^2},

    and the uncertainty of the gain adds its part. A master bias is subtracted from darks, flats and science frames:
    with darks of the exposure of the science frames it cancels but for what the flat has of it. Clipping and medians
    bring a little more noise, see `astro_calib.estimators`. If frames have the variances :math:`v_i` and the costs
    :math:`c_i`, the best numbers are as :math:`\sqrt{v_i / c_i}` (Neyman 1934, for strata of a sample); what whole
    numbers and the fewest frames change is found by trying those around.

    Examples
    --------
    Half an hour for a faint star, seen with a camera that has some dark current:

    >>> import astropy.units as u
    >>> from astro_calib import Detector
    >>> from astro_calib.characterize import plan_calibration
    >>> camera = Detector(gain=1.5 * u.electron / u.adu, read_noise=8 * u.electron, saturation=60000 * u.adu)
    >>> night = dict(flux=40 * u.electron / u.s, sky=5 * u.electron / u.s, dark_current=0.1 * u.electron / u.s,
    ...              fwhm=3.5, flat_level=20000 * u.adu, lamp_time=5 * u.s, read_out_time=15 * u.s)
    >>> plan = plan_calibration(camera, time=30 * u.min, **night)
    >>> plan.exposure.unit, bool(plan.time <= 30 * u.min), plan.flats
    (Unit("s"), True, 4)

    What else is worth while, if these frames are there?

    >>> plan = plan_calibration(camera, exposure=60 * u.s, science=20, biases=10, darks=3, flats=10, **night)
    >>> plan.next
    'darks'
    """
    amplifier, saturation = _amplifier(detector)
    gain = float(amplifier.gain.value)
    # R^2 with the digitisation of whole numbers.
    read_variance = float(amplifier.read_noise.value) ** 2 + gain**2 / 12
    uncertainty = 0.0 if amplifier.gain_uncertainty is None else float(amplifier.gain_uncertainty.value) / gain
    fwhm = check_number("fwhm", fwhm, u.pixel, minimum=0.5)
    radius = RADIUS * fwhm if radius is None else check_positive("radius", radius, u.pixel)
    conditions = _Conditions(
        flux=check_positive("flux", _with_unit("flux", flux, ELECTRON_RATE), ELECTRON_RATE),
        sky=check_number("sky", _with_unit("sky", sky, ELECTRON_RATE), ELECTRON_RATE),
        dark=check_number("dark_current", _with_unit("dark_current", dark_current, ELECTRON_RATE), ELECTRON_RATE),
        level=_flat_level(flat_level, gain, saturation),
        lamp=check_number("lamp_time", _with_unit("lamp_time", lamp_time, u.s), u.s),
        read_out=check_number("read_out_time", _with_unit("read_out_time", read_out_time, u.s), u.s),
        read_variance=read_variance,
        gain_uncertainty=uncertainty,
        sums=_sums(fwhm, radius, _annulus(annulus, fwhm, radius)),
    )
    if conditions.read_out + conditions.lamp == 0:
        msg = "read_out_time and lamp_time are 0: flats that take no time can be had without end."
        raise ValueError(msg)
    fixed = _given_numbers(
        {"science": science, "biases": biases, "darks": darks, "flats": flats}, with_darks=conditions.dark > 0
    )
    free = [kind for kind in KINDS if kind not in fixed and (kind != "darks" or conditions.dark > 0)]
    dark_time = None
    if dark_exposure is not None:
        dark_time = check_positive("dark_exposure", _with_unit("dark_exposure", dark_exposure, u.s), u.s)
    # The most electrons that a pixel may hold, without pedestal.
    brightest = np.inf if saturation is None else saturation * gain
    planner = _Planner(
        conditions=conditions,
        free=free,
        fixed=fixed,
        seconds=_available(time, free),
        fewest=max(1, check_count("at_least", at_least)),
        dark_time=dark_time,
        brightest=brightest,
        longest=FULL * brightest / conditions.peak_rate(),
    )
    if exposure is not None:
        t = check_positive("exposure", _with_unit("exposure", exposure, u.s), u.s)
        plans = planner.plans([t])
        if not plans:
            raise ValueError(planner.needs([t]))
        return plans[0]
    if science is not None:
        msg = "give the exposure of the science frames, whose number is given."
        raise ValueError(msg)
    return _best_exposure(planner)


def _given_numbers(given: Mapping[str, Any], *, with_darks: bool) -> dict[str, int]:
    """The numbers of frames that are given, once it is clear that they are some."""
    if given["darks"] and not with_darks:
        msg = f"darks is {given['darks']}, but dark_current is 0; give the dark current, or no darks."
        raise ValueError(msg)
    fixed = {}
    for kind, number in given.items():
        if number is None or (kind == "darks" and not with_darks):
            continue
        fixed[kind] = check_count(kind, number)
        if fixed[kind] == 0:
            msg = f"{kind} is 0; without any there is nothing to calibrate with. Give 1 or more, or leave it out."
            raise ValueError(msg)
    return fixed


def _best_exposure(planner: _Planner) -> CalibrationPlan:
    """The plan with the shortest exposure of those that are nearly the best."""
    candidates = _exposures(planner.seconds, planner.longest)
    plans = planner.plans(candidates, lengthen=True)
    if not plans:
        raise ValueError(planner.needs(candidates))
    # Where frames are few, how they fill the time matters: around the best, exposures are tried in small steps.
    best = sorted(plans, key=lambda plan: plan.snr)[-REFINED:]
    around = {float(f"{plan.exposure.value * part:.3g}") for plan in best for part in PARTS}
    plans += planner.plans([t for t in sorted(around) if t <= planner.longest], lengthen=True)
    enough = NEARLY * max(plan.snr for plan in plans)
    return min((plan for plan in plans if plan.snr >= enough), key=lambda plan: plan.exposure)


@dataclass(frozen=True, kw_only=True)
class _Planner:
    """
    What is to be planned.

    Attributes
    ----------
    conditions : _Conditions
        What is observed with what.
    free : list of str
        The kinds of frame whose numbers are to be found.
    fixed : dict of str to int
        The other numbers.
    seconds : float
        Time for the free ones.
    fewest : int
        How many of each there have to be.
    dark_time : float or None
        Exposure of the darks, s; None for that of the science frames.
    brightest, longest : float
        Electrons at which a pixel saturates, and the exposure (s) in which the target stays well below.
    """

    conditions: _Conditions
    free: Sequence[str]
    fixed: Mapping[str, int]
    seconds: float
    fewest: int
    dark_time: float | None
    brightest: float
    longest: float

    def plans(self, exposures: Iterable[float], *, lengthen: bool = False) -> list[CalibrationPlan]:
        """The best plan for each of the exposures with which there is time; lengthened to take all of it, if asked."""
        found = []
        for t in exposures:
            variances, costs = self._of_one(t)
            numbers = _best_numbers(self.free, self.fixed, variances, costs, self.seconds, self.fewest)
            if numbers is not None:
                found.append(self._plan(self._lengthened(t, numbers, costs) if lengthen else t, numbers))
        return found

    def needs(self, exposures: Sequence[float]) -> str:
        """What to say if there is no time for the fewest frames, with none of the exposures."""
        needed = min(self.fewest * sum(self._of_one(t)[1][kind] for kind in self.free) for t in exposures) / 60
        return (
            f"time is {self.seconds / 60:.3g} min; {self.fewest} frames of each of {', '.join(self.free)} take "
            f"{needed:.3g} min. Give more time, a shorter exposure, or fewer frames with at_least=."
        )

    def _of_one(self, t: float) -> tuple[dict[str, float], dict[str, float]]:
        """The variance that one frame of each kind brings, and what it costs."""
        of_dark = self.dark_time or t
        return self.conditions.variances(t, of_dark), self.conditions.costs(t, of_dark)

    def _lengthened(self, t: float, numbers: Mapping[str, int], costs: Mapping[str, float]) -> float:
        """The exposure with which as many frames take all of the time, to three digits."""
        left = self.seconds - sum(numbers[kind] * costs[kind] for kind in self.free)
        matched = self.dark_time is None and "darks" in self.free
        longer = min(t + left / (numbers["science"] + (numbers["darks"] if matched else 0)), self.longest)
        digit = 10.0 ** (np.floor(np.log10(longer)) - 2)
        return max(t, round(float(np.floor(longer / digit * (1 + 1e-12)) * digit), 6))

    def _plan(self, t: float, numbers: Mapping[str, int]) -> CalibrationPlan:
        conditions = self.conditions
        variances, costs = self._of_one(t)
        signal = conditions.flux * t
        return CalibrationPlan(
            exposure=t * u.s,
            dark_exposure=(self.dark_time or t) * u.s,
            **{"darks": 0, **numbers},
            time=sum(number * costs[kind] for kind, number in numbers.items()) / 60 * u.min,
            signal=signal * u.electron,
            variances=variances,
            gain_variance=(signal * conditions.gain_uncertainty) ** 2,
            seconds=costs,
            remarks=self._remarks(t),
        )

    def _remarks(self, t: float) -> tuple[str, ...]:
        """What should be known about an exposure."""
        remarks = []
        collected = self.conditions.peak_rate() * t
        if collected >= self.brightest:
            remarks.append(
                f"The target saturates: its brightest pixel collects {collected:.3g} electrons in {t:g} s, and "
                f"saturates at {self.brightest:.3g}. Expose for {self.longest:.2g} s at most."
            )
        if self.dark_time not in (None, t) and self.conditions.dark:
            remarks.append("The darks are scaled, which is right only for pixels whose dark current is steady.")
        return tuple(remarks)


# -- the noise -------------------------------------------------------------------------------------------------------


class _Sums(NamedTuple):
    """
    Sums over the pixels of aperture minus annulus, with weights w and the part p of the target's light in a pixel.

    The light in the aperture is one; `peak` is the most that a pixel can have of it.
    """

    ww: float
    wwp: float
    wwpp: float
    peak: float

    def of_square(self, constant: float, slope: float) -> float:
        """The sum of w^2 (constant + slope p)^2."""
        return constant**2 * self.ww + 2 * constant * slope * self.wwp + slope**2 * self.wwpp


@dataclass(frozen=True, kw_only=True)
class _Conditions:
    """What is observed with what: rates in electron / s, levels in electrons, times in seconds."""

    flux: float
    sky: float
    dark: float
    level: float
    lamp: float
    read_out: float
    read_variance: float
    gain_uncertainty: float
    sums: _Sums

    def peak_rate(self) -> float:
        """Electrons a second in the brightest pixel of the target."""
        return self.flux * self.sums.peak + self.sky + self.dark

    def costs(self, t: float, dark_t: float) -> dict[str, float]:
        """Seconds for a frame of each kind."""
        exposures = {"science": t, "biases": 0.0, "darks": dark_t, "flats": self.lamp}
        return {kind: exposures[kind] + self.read_out for kind in KINDS if kind != "darks" or self.dark}

    def variances(self, t: float, dark_t: float) -> dict[str, float]:
        """The variance of the target's flux that one frame of each kind brings, as in `plan_calibration`."""
        sums, level = self.sums, self.level
        target, sky = self.flux * t, self.sky * t
        ratio, of_flat = (t / dark_t, self.lamp / dark_t) if self.dark else (0.0, 0.0)
        own = self.read_variance + self.dark * t
        found = {
            "science": target * sums.wwp + (sky + own) * sums.ww,
            "biases": self.read_variance
            * sums.of_square(ratio - 1 + (1 - of_flat) * sky / level, (1 - of_flat) * target / level),
            "flats": (self.read_variance + self.dark * self.lamp + level) * sums.of_square(sky, target) / level**2,
        }
        if self.dark:
            of_square = sums.of_square(ratio - of_flat * sky / level, -of_flat * target / level)
            found["darks"] = (self.read_variance + self.dark * dark_t) * of_square
        return {kind: found[kind] for kind in KINDS if kind in found}


def _sums(fwhm: float, radius: float, annulus: tuple[float, float]) -> _Sums:
    """The sums over a Gaussian target, on average over where in a pixel its centre is."""
    from scipy.special import erf

    half = int(np.ceil(annulus[1])) + 2
    pixels = np.arange(-half, half + 1)
    scale = np.sqrt(4 * np.log(2)) / fwhm

    def light(x: float, y: float) -> NDArray[np.float64]:
        along = [(erf((pixels + 0.5 - c) * scale) - erf((pixels - 0.5 - c) * scale)) / 2 for c in (y, x)]
        return np.asarray(np.outer(*along))

    found, enclosed = [], []
    for y in PLACES:
        for x in PLACES:
            inside = _overlap(radius, x, y, half)
            distance = np.hypot(*np.meshgrid(pixels - x, pixels - y))
            ring = (distance >= annulus[0]) & (distance <= annulus[1])
            weights = inside - ring * (inside.sum() / np.count_nonzero(ring))
            image = light(x, y)
            enclosed.append(np.sum(inside * image))
            part = image / enclosed[-1]
            found.append([np.sum(weights**2 * part**power) for power in range(3)])
    ww, wwp, wwpp = np.mean(found, axis=0)
    return _Sums(float(ww), float(wwp), float(wwpp), float(light(0.0, 0.0).max() / np.mean(enclosed)))


def _overlap(radius: float, x: float, y: float, half: int) -> NDArray[np.float64]:
    """The part of each pixel that is inside of a circle."""
    from photutils.geometry import circular_overlap_grid

    edge, size = half + 0.5, 2 * half + 1
    return np.asarray(circular_overlap_grid(-edge - x, edge - x, -edge - y, edge - y, size, size, radius, 1, 1))


# -- the numbers -----------------------------------------------------------------------------------------------------


def _best_numbers(
    free: Sequence[str],
    fixed: Mapping[str, int],
    variances: Mapping[str, float],
    costs: Mapping[str, float],
    seconds: float,
    fewest: int,
) -> dict[str, int] | None:
    """The numbers of frames with the least variance that the time allows; None if it does not for the fewest."""
    # The dearest first, so that what is left of the time goes into the cheaper ones.
    order = sorted(free, key=lambda kind: -costs[kind])
    best: tuple[float, list[int]] = (np.inf, [])

    def choose(place: int, left: float, so_far: list[int], variance: float) -> None:
        nonlocal best
        if place == len(order):
            if variance < best[0]:
                best = variance, so_far
            return
        rest = order[place:]
        exact = _shared_out(rest, variances, costs, left, fewest)
        if exact is None:
            return
        most = int(min(MOST, (left + 1e-9 - fewest * sum(costs[kind] for kind in rest[1:])) / costs[rest[0]]))
        around = [most] if len(rest) == 1 else range(int(exact) - TRIED, int(exact) + TRIED + 2)
        for number in sorted({min(max(fewest, one), most) for one in around}):
            part = variances[rest[0]] / number
            choose(place + 1, left - number * costs[rest[0]], [*so_far, number], variance + part)

    choose(0, seconds, [], 0.0)
    if len(best[1]) < len(order):
        return None
    numbers = {**fixed, **dict(zip(order, best[1], strict=True))}
    return {kind: numbers[kind] for kind in KINDS if kind in numbers}


def _shared_out(
    kinds: Sequence[str], variances: Mapping[str, float], costs: Mapping[str, float], seconds: float, fewest: int
) -> float | None:
    """How many frames of the first kind are best, if numbers need not be whole; None without time for the fewest."""
    if fewest * sum(costs[kind] for kind in kinds) > seconds * (1 + 1e-12) + 1e-9:
        return None
    shared = list(kinds)
    while shared:
        left = seconds - fewest * sum(costs[kind] for kind in kinds if kind not in shared)
        total = sum(np.sqrt(variances[kind] * costs[kind]) for kind in shared)
        numbers = {kind: left * np.sqrt(variances[kind] / costs[kind]) / total if total else 0.0 for kind in shared}
        few = [kind for kind in shared if numbers[kind] < fewest]
        if not few:
            return float(min(numbers.get(kinds[0], fewest), MOST))
        shared = [kind for kind in shared if kind not in few]
    return float(fewest)


def _exposures(seconds: float, longest: float) -> list[float]:
    """The round exposures up to the longest."""
    last = int(np.ceil(np.log10(max(seconds, 1))))
    tried = [round(float(one) * 10.0**power, 3) for power in range(round(np.log10(SHORTEST)), last) for one in ROUND]
    found = [t for t in tried if t <= min(seconds, longest)]
    if not found:
        msg = (
            f"the brightest pixel of the target saturates in {longest / FULL:.2g} s, before the shortest exposure that "
            f"is planned, {SHORTEST:g} s. Give the exposure=, or defocus."
        )
        raise ValueError(msg)
    return found


# -- what is given ---------------------------------------------------------------------------------------------------


def _amplifier(detector: Any) -> tuple[Amplifier, float | None]:
    """The amplifier that reads the target, and the saturation in adu."""
    if isinstance(detector, Amplifier):
        return detector, None
    detector = as_detector(detector, "plan_calibration")
    if len(detector.amplifiers) > 1:
        msg = (
            f"the detector has {len(detector.amplifiers)} amplifiers; give the one that reads the target, as in "
            "plan_calibration(detector.amplifiers[0], ...)."
        )
        raise ValueError(msg)
    saturation = detector.saturation
    return detector.amplifiers[0], None if saturation is None else float(saturation.value)


def _with_unit(what: str, value: Any, unit: u.UnitBase) -> Any:
    """The value, once it is clear that it has a unit."""
    quantity = quantity_of(value)
    if quantity is None:
        msg = f"{what} is {described(value)}; expected a number with its unit, as in 5 * u.Unit({str(unit)!r})."
        raise TypeError(msg)
    if quantity.unit == u.dimensionless_unscaled:
        msg = f"{what} has no unit; give it in {unit}, for example {described(value)} * u.Unit({str(unit)!r})."
        raise u.UnitTypeError(msg)
    return quantity


def _flat_level(value: Any, gain: float, saturation: float | None) -> float:
    """The level of a flat in electrons."""
    quantity = _with_unit("flat_level", value, u.electron)
    if quantity.unit.is_equivalent(u.adu):
        quantity = quantity.to_value(u.adu) * gain * u.electron
    level = check_positive("flat_level", quantity, u.electron)
    if saturation is not None and level >= saturation * gain:
        full = f"{saturation:g} adu, which is {saturation * gain:g} electron"
        msg = f"flat_level is {value}, and the detector saturates at {full}; give a lower level."
        raise ValueError(msg)
    return level


def _annulus(annulus: Any, fwhm: float, radius: float) -> tuple[float, float]:
    if annulus is None:
        inner = max(INNER * fwhm, radius + GAP)
        return inner, float(np.hypot(inner, np.sqrt(ANNULUS_AREA) * radius))
    try:
        inner, outer = (check_positive("a radius of the annulus", one, u.pixel) for one in annulus)
    except TypeError as error:
        msg = f"annulus is {described(annulus)}; expected its inner and outer radius in pixels, such as (10, 15)."
        raise TypeError(msg) from error
    if not radius <= inner < outer:
        msg = f"annulus is {annulus}; expected an inner radius of {radius:g} or more, and a larger outer one."
        raise ValueError(msg)
    return inner, outer


def _available(time: Any, free: Sequence[str]) -> float:
    """The telescope time in seconds."""
    if not free:
        return 0.0
    if time is None:
        msg = f"give the telescope time=, or the numbers of {', '.join(free)}."
        raise ValueError(msg)
    return check_positive("time", _with_unit("time", time, u.s), u.s)


def _counted(number: int, kind: str) -> str:
    return f"{number} {KINDS[kind] if number == 1 else kind + ' frames' * (kind == 'science')}"
