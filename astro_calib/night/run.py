"""A night from raw files to calibrated frames, star tables, pictures and a summary."""

from __future__ import annotations

import math
import time
from contextlib import closing
from functools import partial
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astro_calib.arguments import described
from astro_calib.io.terminal import progress_bar
from astro_calib.night.common.names import called
from astro_calib.night.common.output import Output, check_output
from astro_calib.night.common.remarks import Remarks
from astro_calib.night.planning import make_plan
from astro_calib.night.summary.made import made_with, told
from astro_calib.night.summary.summary import NightSummary
from astro_calib.night.summary.write import write_summary
from astro_calib.night.tasks.bars import Bars
from astro_calib.night.tasks.cluster import run_on_cluster
from astro_calib.night.tasks.crew import check_crew, crew, memory_for_each
from astro_calib.night.tasks.gather import Gathered
from astro_calib.night.tasks.graph import tasks_of
from astro_calib.night.tasks.in_order import in_order
from astro_calib.night.tasks.keys import keys_of
from astro_calib.night.tasks.resume import Resumption, check_results
from astro_calib.night.tasks.serial import run_serial
from astro_calib.night.tasks.workplace import Workplace
from astro_calib.stack.request import check_memory_limit

if TYPE_CHECKING:
    from os import PathLike

    import astropy.units as u
    from distributed import Client

    from astro_calib.night.profiles.by_hand import Pattern
    from astro_calib.night.profiles.profile import Profile
    from astro_calib.stack.request import MemoryLimit

__all__ = ["reduce_night"]

#: Parameters in which runs into one folder may differ.
OF_NO_MATTER = {"raw", "out", "overwrite", "memory_limit", "progress", "workers", "client"}


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
    memory_limit: MemoryLimit = "auto",
    progress: bool = True,
    workers: int | None = None,
    client: Client | None = None,
) -> NightSummary:
    """
    Reduce a night: make the masters, calibrate every science frame, measure its stars.

    Written are ``masters/*.fits`` and ``calibrated/*.fits`` (which ``CCDData.read`` opens), ``tables/*.ecsv``,
    ``pictures/*.png``, ``summary.txt``, the same as ``summary.json``, and ``report.html``, a page for the browser. Each
    file is there whole or not at all. A frame that cannot be read or reduced is named in the summary, and the others go
    on.

    After a run that was interrupted the same call goes on: what is complete stays, if raw files, parameters and version
    are the same.

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
    cosmic_rays : {"repair", "mask", "compare"}, optional
        Whether cosmic rays are repaired, as `~astro_calib.cosmicray_lacosmic` does, or flagged and masked only.
        ``"compare"`` flags and masks those that up to four other frames of the same object, filter and exposure time
        show, shifted by whole pixels, as `~astro_calib.find_cosmic_rays` does; L.A.Cosmic does it for frames without
        such others, which is a remark. This and the following may be in ``[steps]`` of the profile as well, with
        fringes, illumination, shutter and crosstalk.
    sky : int, optional
        The degree of a surface that is fitted to the sky of each frame and subtracted, with its error.
    bin : int, optional
        How many pixels along each axis of the calibrated frames are added up.
    colours : bool
        Whether the planes of frames of a colour sensor are written, too, each with its noise; stars are measured in a
        green one.
    overwrite : bool
        Whether results that are in ``out`` already are replaced, also those of the same parameters.
    stars : bool
        Whether to measure the stars and the noise of the sky on each science frame, for the tables and for the pictures
        that show them.
    pictures : bool
        Whether to draw pictures; without them the report has none either.
    aperture : float, optional
        Radius in pixels of the apertures in which stars are measured, the same on every frame. By default it is the
        width of each frame's stars, so that fluxes of different frames hold different parts of a star's light.
    memory_limit : float or "auto"
        About how many bytes this process, or each worker, may take while it makes a master; by default what it takes
        anyway and half of what is free. Frames that do not fit are kept in temporary files and combined by rows. The
        master is the same.
    progress : bool
        Whether to show progress bars.
    workers : int, optional
        How many processes share the night out among them, each with one thread; by default this one does it with as
        many threads as there are processors. The results are the same. It needs the extra ``distributed``, and in a
        script ``if __name__ == "__main__":`` above the call, as all that starts processes in Python.
    client : distributed.Client, optional
        A client of a dask.distributed cluster, whose workers do the night. They need the same files under the same
        paths, and the same versions of packages.

    Returns
    -------
    NightSummary
        Its ``str`` is the text of ``summary.txt``.

    Raises
    ------
    ImportError
        If ``workers`` or ``client`` is given, and dask.distributed is not installed.
    FrameError
        If there is nothing that can be reduced, a master cannot be made, or the gain or the read noise is
        neither known nor can be measured. The message says what was found and what to do.
    ProfileError
        If the profile is not valid.
    ValueError
        If the aperture or the memory limit is not a positive number, or ``detector`` or ``workers`` is something else.
    OSError
        If ``out`` cannot be written, another run is at work there, or it holds results that are finished, or are of
        other parameters, and ``overwrite`` is False; or if the workers of ``client`` do not see the files, or there are
        none. What is complete stays, and the same call goes on.

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
    parameters = told(locals())
    started = time.monotonic()
    bar = partial(progress_bar, unit="file", show=progress)
    number = isinstance(aperture, Real) and not isinstance(aperture, bool)
    if aperture is not None and not (number and 0 < aperture < math.inf):
        msg = f"aperture is {described(aperture)}; it must be a positive number of pixels."
        raise ValueError(msg)
    check_memory_limit(memory_limit)
    # Before all files are read, which takes a while.
    check_crew(workers, client)
    check_output(out, overwrite=True)
    choices = {"stars": stars, "pictures": pictures, "aperture": aperture}
    same = {name: text for name, text in parameters.items() if name not in OF_NO_MATTER}
    past = check_results(Path(out), same, overwrite=overwrite)
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
    remarks.add(*plan.remarks)
    names, tasks = called(raw_paths), tasks_of(plan)
    keys = keys_of(tasks, plan, names, choices)
    resumed = Resumption(tasks, keys, past, Path(out), raw_paths, same, overwrite=overwrite)
    resumed.check()
    raw_files = [*raw_paths, *(frame.file for frame in plan.frames)]
    with remarks.heard():
        results_folder = Output(out, raw_files, overwrite=True, check=resumed.check_untouched)
    with results_folder as output, resumed.journal() as journal:
        results = Gathered(plan, remarks, output)
        place = Workplace(plan, output, names, choices, memory_for_each(memory_limit, workers))
        with Bars(plan, bar) as bars, crew(workers, client) as cluster:
            if cluster is None:
                outcomes = run_serial(tasks, place, resumed.known, bars.read)
            else:
                outcomes = run_on_cluster(tasks, place, resumed.known, cluster)
            with closing(outcomes):
                results.take(bars.counted(in_order(tasks, resumed.noted(outcomes, journal), bars.expected)))
        output.remove_leftovers()
        resumed.clear(output)
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
            complete=resumed.complete(),
        )
        return write_summary(summary, output)
