"""A night from raw files to calibrated frames, star tables, pictures and a summary."""

from __future__ import annotations

import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from numbers import Real
from typing import TYPE_CHECKING, Any

from astro_calib.arguments import described
from astro_calib.errors import FrameError
from astro_calib.io.terminal import progress_bar
from astro_calib.night.common.frames import UnusedFile
from astro_calib.night.common.names import called
from astro_calib.night.common.net import tried
from astro_calib.night.common.output import Output, check_output
from astro_calib.night.common.remarks import Remark, Remarks
from astro_calib.night.files.survey import left_out
from astro_calib.night.masters.masters import make_masters, write_masters
from astro_calib.night.planning import make_plan
from astro_calib.night.science import reduce_science
from astro_calib.night.summary.journal import tell_masters, tell_reduced, tell_unused
from astro_calib.night.summary.made import made_with
from astro_calib.night.summary.summary import NightSummary
from astro_calib.night.summary.write import write_summary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from os import PathLike
    from pathlib import Path

    import astropy.units as u

    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.plan.plan import Plan
    from astro_calib.night.profiles.by_hand import Pattern
    from astro_calib.night.profiles.profile import Profile
    from astro_calib.night.science import Made
    from astro_calib.night.summary.frame_summary import FrameSummary
    from astro_calib.night.summary.master_summary import MasterSummary

__all__ = ["reduce_night"]


def reduce_night(
    raw: Any,
    out: str | PathLike[str],
    *,
    profile: str | PathLike[str] | Profile = "auto",
    gain: u.Quantity | float | None = None,
    read_noise: u.Quantity | float | None = None,
    saturation: u.Quantity | float | None = None,
    pedestal: u.Quantity | float | None = None,
    unit: str | u.UnitBase | None = None,
    masters: Any = None,
    bias: Pattern = None,
    dark: Pattern = None,
    flat: Pattern = None,
    science: Pattern = None,
    bad_pixels: str | PathLike[str] | None = None,
    detector: str = "auto",
    cosmic_rays: str | None = None,
    sky: int | None = None,
    bin: int | None = None,  # noqa: A002  as the word is used
    colours: bool = False,
    overwrite: bool = False,
    stars: bool = True,
    pictures: bool = True,
    aperture: float | None = None,
    progress: bool = True,
) -> NightSummary:
    """
    Reduce a night: make the masters, calibrate every science frame, measure its stars.

    Written are ``masters/*.fits`` and ``calibrated/*.fits`` (which ``CCDData.read`` opens), ``tables/*.ecsv``,
    ``pictures/*.png``, ``summary.txt``, the same as ``summary.json``, and ``report.html``, a page for the browser. Each
    file is there whole or not at all. A frame that cannot be read or reduced is named in the summary, and the others go
    on.

    Parameters
    ----------
    raw : path, ccdproc.ImageFileCollection, or iterable of paths
        Raw frames: FITS files, directories of them, or both.
    out : path
        Directory for the results; made if it does not exist. It must not be one that holds raw frames.
    profile : str, path or Profile
        Name of a built-in instrument profile, path of a TOML file, or what `~astro_calib.night.load_profile` returned.
        ``"auto"`` is the built-in one that each frame's header chooses.
    gain, read_noise, saturation : Quantity or float, optional
        In electron/adu, electron and adu; go before what the profile and the headers say.
    pedestal : Quantity or float, optional
        The level of zero light in adu, for frames without overscan and biases.
    unit : str or unit, optional
        ``"adu"``: the numbers in the raw frames are in adu, whatever their BUNIT says.
    masters : path or iterable of paths, optional
        Masters of other nights, or directories of them: those that fit stand in for biases, darks and flats that the
        night lacks. They are written beside the night's own, and the summary says from when they are.
    bias, dark, flat, science : str, path, or several, optional
        What files of this kind, or folders of them, are called: a name, a path, or a pattern such as ``"dusk*"``. It
        goes before what headers say.
    bad_pixels : path, optional
        A FITS image in which bad pixels are not 0, of the shape of the raw frames or of what is kept of them.
    detector : {"auto", "header", "measure", "profile"}
        Where gain and read noise are from. ``"auto"``: what is given here or in the profile; else what the night's own
        flats and biases say, if they are sure enough to overrule the headers; else the headers. ``"header"``: what is
        given, else the headers. ``"measure"``: flats and biases only. ``"profile"``: what is given only.
    cosmic_rays : {"repair", "mask"}, optional
        Whether cosmic rays are repaired, as `~astro_calib.cosmicray_lacosmic` does, or flagged and masked only. This
        and the following may be in ``[steps]`` of the profile as well, with fringes, illumination, shutter and
        crosstalk.
    sky : int, optional
        The degree of a surface that is fitted to the sky of each frame and subtracted, with its error.
    bin : int, optional
        How many pixels along each axis of the calibrated frames are added up.
    colours : bool
        Whether the planes of frames of a colour sensor are written, too, each with its noise; stars are measured in a
        green one.
    overwrite : bool
        Whether results that are in ``out`` already may be replaced.
    stars : bool
        Whether to measure the stars and the noise of the sky on each science frame, for the tables and for the pictures
        that show them.
    pictures : bool
        Whether to draw pictures; without them the report has none either.
    aperture : float, optional
        Radius in pixels of the apertures in which stars are measured, the same on every frame. By default it is the
        width of each frame's stars, so that fluxes of different frames hold different parts of a star's light.
    progress : bool
        Whether to show progress bars.

    Returns
    -------
    NightSummary
        Its ``str`` is the text of ``summary.txt``.

    Raises
    ------
    FrameError
        If there is nothing that can be reduced, a master cannot be made, or the gain or the read noise is
        neither known nor can be measured. The message says what was found and what to do.
    ProfileError
        If the profile is not valid.
    ValueError
        If the aperture is not a positive number, or ``detector`` is something else.
    OSError
        If ``out`` cannot be written, or holds results and ``overwrite`` is False.

    Examples
    --------
    >>> import tempfile
    >>> from astro_calib import reduce_night, simulate
    >>> with tempfile.TemporaryDirectory() as directory:
    ...     camera = simulate.camera((96, 128), seed=1, filters=["V"])
    ...     taken = simulate.night(
    ...         f"{directory}/raw", seed=1, camera=camera, science=1
    ...     )
    ...     summary = reduce_night(
    ...         f"{directory}/raw", f"{directory}/reduced", progress=False
    ...     )
    >>> [master.path.name for master in summary.masters]
    ['master-bias.fits', 'master-dark-120s.fits', 'master-flat-V.fits']
    """
    parameters = dict(locals())
    started = time.monotonic()
    bar = partial(progress_bar, unit="file", show=progress)
    number = isinstance(aperture, Real) and not isinstance(aperture, bool)
    if aperture is not None and not (number and 0 < aperture < math.inf):
        msg = f"aperture is {described(aperture)}; it must be a positive number of pixels."
        raise ValueError(msg)
    # Before all files are read, which takes a while.
    check_output(out, overwrite=overwrite)
    remarks = Remarks()
    parts = iter(("headers", "pixels"))
    with remarks.heard():
        plan = make_plan(
            raw,
            profile,
            detector=detector,
            gain=gain,
            read_noise=read_noise,
            saturation=saturation,
            pedestal=pedestal,
            unit=unit,
            masters=masters,
            patterns={"bias": bias, "dark": dark, "flat": flat, "science": science},
            bad_pixels=bad_pixels,
            steps={"cosmic_rays": cosmic_rays, "sky": sky, "bin": bin, "colours": colours},
            watch=lambda paths: bar(paths, desc=f"reading {next(parts)}"),
        )
    raw_paths = [frame.path for frame in plan.frames] + [file.path for file in plan.unused]
    with remarks.heard():
        results_folder = Output(out, [*raw_paths, *(frame.file for frame in plan.frames)], overwrite=overwrite)
    with results_folder as output:
        remarks.add(*plan.remarks)
        results = _Results(called=called(raw_paths))
        errors: list[FrameError] = []
        for setup in plan.setups:
            try:
                _reduce_setup(setup, output, remarks, results, bar, stars=stars, pictures=pictures, aperture=aperture)
            except FrameError as error:
                # A master that cannot be made costs its setup, and not those of the others.
                errors.append(error)
                lost = [left_out(frame, str(error)) for frame in setup.frames]
                results.unused += lost
                tell_unused(lost)
        if len(errors) == len(plan.setups):
            raise errors[0]
        old = [path.relative_to(output.directory) for path in output.left_over()]
        if old:
            remarks.add(f"left over from an earlier reduction: {', '.join(map(str, old))}")
        summary = NightSummary(
            out=output.directory,
            plan=plan,
            masters=tuple(results.masters),
            frames=tuple(results.frames),
            failures=tuple(results.failures),
            unused=tuple(dict.fromkeys((*plan.unused, *results.unused))),
            remarks=remarks.lines(),
            seconds=time.monotonic() - started,
            pictures=pictures,
            aperture=aperture,
            made=made_with(parameters),
        )
        return write_summary(summary, output)


@dataclass
class _Results:
    """What became of the frames of a night, setup by setup; and what its files are called."""

    called: Mapping[Path, str]
    masters: list[MasterSummary] = field(default_factory=list)
    frames: list[FrameSummary] = field(default_factory=list)
    failures: list[UnusedFile] = field(default_factory=list)
    unused: list[UnusedFile] = field(default_factory=list)


def _reduce_setup(
    plan: Plan, output: Output, remarks: Remarks, results: _Results, bar: Callable[..., Any], **choices: Any
) -> None:
    """Make the masters of one setup of the camera and reduce its science frames; a FrameError if that cannot be."""
    of_setup = f" {plan.title}" if plan.title else ""
    calibration = len(plan.frames) - len(plan.science)
    with bar(desc=f"masters{of_setup}", total=calibration) as count, remarks.heard():
        masters = make_masters(plan, done=lambda _: count.update())
        results.unused += masters.unused
        made = write_masters(masters, output, pictures=choices["pictures"], lost=results.unused, setup=plan)
    results.masters += made
    tell_masters(made)
    tell_unused(masters.unused)
    said = [*masters.remarks, *(remark for master in made for remark in master.remarks())]
    remarks.add(*(Remark(remark, [f"({plan.title})"]) if plan.title else remark for remark in said))
    make = partial(reduce_science, plan=plan, masters=masters, output=output, **choices)
    for outcome in _outcomes(bar(plan.science, desc=f"science{of_setup}"), make, remarks, results.called):
        if isinstance(outcome, UnusedFile):
            results.failures.append(outcome)
            tell_unused([outcome])
        else:
            results.frames.append(outcome)
            tell_reduced(outcome)
            remarks.add(*outcome.remarks())


def _outcomes(
    frames: Iterable[RawFrame], make: Callable[[RawFrame], Made], remarks: Remarks, called: Mapping[Path, str]
) -> Iterator[FrameSummary | UnusedFile]:
    """Reduce the frames in their order, and yield what became of each; write one while the next is made."""

    def begun(frame: RawFrame) -> Callable[[], FrameSummary | UnusedFile]:
        with remarks.heard(frame.path.name, called[frame.path]):
            made = tried(frame.path, frame.kind, lambda: make(frame))
        if isinstance(made, UnusedFile):
            return lambda: made
        written = writer.submit(made.write_image)

        def ended() -> FrameSummary:
            written.result()
            with remarks.heard(frame.path.name, called[frame.path]):
                made.write_beside()
            return replace(made.summary, raw_name=called[frame.path])

        return lambda: tried(frame.path, frame.kind, ended)

    with ThreadPoolExecutor(1) as writer:
        last = None
        for frame in frames:
            following = begun(frame)
            if last is not None:
                yield last()
            last = following
        if last is not None:
            yield last()
