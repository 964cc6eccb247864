"""The command ``astro-calib``: arguments to function calls, errors to one clear message and exit status 1."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Iterator

    from astropy.nddata import CCDData

    from astro_calib.night import Plan, RawFrame
    from astro_calib.night.summary import NightSummary

__all__ = ["main"]


def _hush(context: click.Context, parameter: click.Parameter, quiet: bool) -> bool:
    """Let astropy log errors only, until the command has ended."""
    del parameter
    if quiet:
        from astropy import log

        context.call_on_close(partial(log.setLevel, log.level))
        log.setLevel("ERROR")
    return quiet


QUIET = click.option(
    "-q", "--quiet", is_flag=True, callback=_hush, help="Show neither progress nor the summary; errors only."
)
OVERWRITE = click.option("--overwrite", is_flag=True, help="Replace the results of an earlier run.")


class _Name(click.Path):
    """A path; an empty text, which would mean the working directory, is refused."""

    def convert(self, value: Any, parameter: click.Parameter | None, context: click.Context | None) -> Any:
        if value == "":
            self.fail("it is empty; give the name of a file or directory ('.' for this one).", parameter, context)
        return super().convert(value, parameter, context)


PATH = _Name(path_type=Path)
#: Cards that are the same in all frames of one setup of a camera.
SETTINGS = ("INSTRUME", "GAIN", "EGAIN", "OFFSET", "BLKLEVEL", "READOUTM", "READMODE", "XBINNING", "YBINNING")


def _example(*calls: str) -> str:
    """Lines for the end of a help text; the first letter tells click to leave them as they are."""
    return "\b\nExample:\n" + "\n".join(f"  astro-calib {call}" for call in calls)


@contextmanager
def _clear_errors() -> Iterator[None]:
    """Turn errors that a user can do something about into messages; any other is a fault of this program."""
    try:
        yield
    except (OSError, ValueError, MemoryError) as error:
        # FrameError, ProfileError and the errors of units are ValueErrors.
        raise click.ClickException(str(error) or type(error).__name__) from error


class _Commands(click.Group):
    """Commands that say in one line which signal ended them, and that do without standard error."""

    def main(self, *arguments: Any, **options: Any) -> Any:
        from astro_calib.io.terminal import Ended, steady_streams, unwinding_signals

        with steady_streams(), unwinding_signals():
            try:
                return super().main(*arguments, **options)
            except Ended as end:
                click.echo(f"\n{_ended_by(end.number)}", err=True)
                raise

    def invoke(self, context: click.Context) -> Any:
        from astro_calib.io.terminal import Ended

        try:
            return super().invoke(context)
        except KeyboardInterrupt as error:
            # click would take it for an ordinary failure.
            raise Ended(signal.SIGINT) from error


def _ended_by(number: int) -> str:
    how = "Interrupted" if number == signal.SIGINT else f"Ended by {signal.Signals(number).name}"
    return f"{how}: the files that were finished are whole, no others are left behind."


def _show(text: object, where: str = "") -> None:
    """Print results; ``where`` says where else they are, if they cannot be printed."""
    from astro_calib.io.terminal import forget_stdout

    try:
        try:
            click.echo(text)
        except UnicodeEncodeError:
            click.echo(str(text).encode("ascii", "replace").decode())
    except BrokenPipeError:
        # The reader of the pipe has closed it.
        forget_stdout()
    except OSError as error:
        forget_stdout()
        msg = f"the results cannot be printed: {error.strerror or error}.{where}"
        raise click.ClickException(msg) from error


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=_example("demo", "reduce raw/ -o reduced/ --gain 1.5 --read-noise 8"),
)
@click.version_option(package_name="astro-calib", prog_name="astro-calib")
@click.pass_context
def main(context: click.Context) -> None:
    """Reduce CCD frames, with error bars that know where they came from."""
    context.with_resource(_log_to_stderr())


@contextmanager
def _log_to_stderr() -> Iterator[None]:
    """Send astropy's log to standard error: it would mix information with the results on standard output."""
    import logging

    from astropy import log
    from astropy.logger import StreamHandler

    before = list(log.handlers)
    beside = logging.StreamHandler()
    beside.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    log.handlers[:] = [beside, *(handler for handler in before if not isinstance(handler, StreamHandler))]
    try:
        yield
    finally:
        log.handlers[:] = before


@main.command(
    epilog=_example(
        "reduce raw/ -o reduced/ --gain 1.5 --read-noise 8",
        "reduce d10*.fits.gz -o reduced/ --profile nickel",
    )
)
@click.argument("raw", nargs=-1, required=True, type=PATH)
@click.option("-o", "--out", required=True, type=PATH, help="Directory for the results; made if needed.")
@click.option(
    "-p",
    "--profile",
    default="generic",
    show_default=True,
    help="Instrument profile: generic, nickel, or the path of a TOML file.",
)
@click.option("--gain", type=float, help="Gain in electron/adu, instead of the profile's or the header's.")
@click.option("--read-noise", type=float, help="Read noise in electron, likewise.")
@click.option("--saturation", type=float, help="Level in adu at which a pixel is saturated, likewise.")
@click.option(
    "--aperture",
    type=click.FloatRange(min=0, min_open=True),
    metavar="PIXELS",
    help="Radius of the apertures on every frame, so that fluxes can be compared.  [default: each frame's FWHM]",
)
@click.option("--unit", help="adu: the raw frames are in adu, whatever their BUNIT says.")
@click.option("--no-stars", is_flag=True, help="Calibrate only: measure neither stars nor the noise of the sky.")
@click.option("--no-pictures", is_flag=True, help="Draw no pictures, which takes as long as all else.")
@OVERWRITE
@QUIET
def reduce(
    raw: tuple[Path, ...],
    out: Path,
    profile: str,
    gain: float | None,
    read_noise: float | None,
    saturation: float | None,
    aperture: float | None,
    unit: str | None,
    no_stars: bool,
    no_pictures: bool,
    overwrite: bool,
    quiet: bool,
) -> None:
    """
    Reduce a night of raw frames: RAW are FITS files, or directories of them.

    Biases, darks, flats and science frames are told apart by their headers, as the profile says. OUT will
    hold masters and calibrated frames (FITS, which CCDData.read opens), a table of the stars of each frame
    (ECSV), pictures (PNG) and summary.txt. The exit status is 1 if a science frame, or a file that cannot be
    read and may be one, is not among them.
    """
    with _clear_errors():
        from astro_calib.night import reduce_night

        summary = reduce_night(
            raw,
            out,
            profile=profile,
            gain=gain,
            read_noise=read_noise,
            saturation=saturation,
            unit=unit,
            overwrite=overwrite,
            aperture=aperture,
            stars=not no_stars,
            pictures=not no_pictures,
            progress=not quiet,
        )
    if not quiet:
        _show(summary, f" They are in {out / 'summary.txt'}.")
    problems = _lost(summary)
    if problems:
        raise click.ClickException(problems)


def _lost(summary: NightSummary) -> str:
    """The science frames that are missing in the results, and files that may be some; empty if there are none."""
    from astro_calib.night.frames import by_reason

    lost = [file for file in summary.unused if file.lost]
    science = [*summary.failures, *(file for file in lost if file.kind == "science")]
    others = [file for file in lost if file.kind not in ("", "science")]
    unreadable = [file for file in lost if not file.kind]
    lines = []
    if science:
        total = len(science) + len(summary.frames)
        lines.append(f"{len(science)} of {total} science frames could not be reduced:")
        lines += [f"  {line}" for line in by_reason(science)]
    if unreadable:
        lines.append(f"files that cannot be read, and may be science frames ({len(unreadable)}):")
        lines += [f"  {line}" for line in by_reason(unreadable)]
    if others:
        lines.append(f"frames that could not be used, or results that could not be written ({len(others)}):")
        lines += [f"  {line}" for line in by_reason(others)]
    return "\n".join(lines)


@main.command(epilog=_example("demo", "demo night/ --seed 7"))
@click.argument("out", default="astro-calib-demo", type=PATH)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="The same seed, the same night.")
@OVERWRITE
@QUIET
def demo(out: Path, seed: int, overwrite: bool, quiet: bool) -> None:
    """
    Simulate a small night, reduce it, and say where the results are.

    The raw frames go to OUT/raw, the results to OUT/reduced; OUT is astro-calib-demo if it is not given.
    """
    with _clear_errors():
        from astro_calib import simulate
        from astro_calib.io.atomic import remove_leftovers
        from astro_calib.night import reduce_night
        from astro_calib.night.output import check_output

        # Before the frames of an earlier demo are removed.
        check_output(out, overwrite=True)
        raw, reduced = out / "raw", out / "reduced"
        remove_leftovers(raw)
        if not overwrite and raw.is_dir() and any(raw.iterdir()):
            msg = f"{raw} holds files already; give another directory, or --overwrite to make the demo again."
            raise FileExistsError(msg)
        if overwrite:
            _forget_demo(raw)
        simulate.night(raw, seed=seed, progress=not quiet)
        summary = reduce_night(raw, reduced, profile="generic", overwrite=overwrite, progress=not quiet)
    if not quiet:
        _show(f"{summary}\n  raw frames         {raw}", f" They are in {reduced / 'summary.txt'}.")


def _forget_demo(raw: Path) -> None:
    """Remove the simulated frames of an earlier demo, told by what their headers say."""
    from astropy.io import fits

    for path in raw.glob("*.fits"):
        if fits.getheader(path).get("TELESCOP") == "simulated":
            path.unlink()


@main.command(
    epilog=_example(
        "validate --quick",
        "validate --step overscan --step chain",
        "validate --against ccdproc -o validation.ecsv",
    )
)
@click.option("--quick", is_flag=True, help="Seconds instead of minutes: find only what is off by ten per cent or so.")
@click.option("--against", type=click.Choice(["ccdproc"]), help="Do the same with another package.")
@click.option("--seed", default=0, show_default=True, help="The same seed gives the same table.")
@click.option("--step", "steps", multiple=True, metavar="NAME", help="Try this step only; may be given again.")
@click.option("-j", "--jobs", type=int, help="How many processes share the work; as many as there are CPUs by default.")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="Write the table to this file, as ECSV.")
@OVERWRITE
@QUIET
def validate(
    quick: bool,
    against: str | None,
    seed: int,
    steps: tuple[str, ...],
    jobs: int | None,
    out: Path | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """
    Find out whether the error bars are true.

    Raw frames are simulated many times over, reduced step by step and from end to end, and the errors that are made
    are compared with the errors that are predicted. A line for each trial says: the step; the error of what; the
    error predicted and the error observed (electron, or adu); their ratio, with its standard error; within how much
    of 1 it must be, or what it may be at most. With --against ccdproc the last column is the ratio for ccdproc and its
    own error bars. The exit status is 1 if an error bar is wrong, or needs more draws to tell ("more").
    """
    with _clear_errors():
        from astro_calib.io.atomic import write_atomically
        from astro_calib.validation import validate as validated

        if out is not None:
            _check_writable(out, overwrite)
        result = validated(quick=quick, against=against, seed=seed, steps=steps or None, jobs=jobs, progress=not quiet)
        # First, so that nothing is lost if the table cannot be written.
        if not quiet:
            _show(result)
        if out is not None:
            write_atomically(out, partial(result.table.write, format="ascii.ecsv"))
    problems = {"wrong error bars": result.failures, "not known well enough, more draws are needed": result.unknown}
    lines = [
        line for what, names in problems.items() if names for line in (f"{what}:", *(f"  {name}" for name in names))
    ]
    if lines:
        raise click.ClickException("\n".join(lines))


POSITIVE = click.FloatRange(min=0, min_open=True)
NUMBER = click.IntRange(min=1)


@main.command(
    epilog=_example(
        "advise --gain 1.5 --read-noise 8 --flux 200 --sky 5 --dark-current 0.1 --flat-level 20000 --time 60",
        "advise --gain 1.5 --read-noise 8 --flux 200 --sky 5 --flat-level 20000 --exposure 60 --science 20 --time 20",
    )
)
@click.option("--gain", type=POSITIVE, required=True, help="Gain, electron/adu.")
@click.option("--read-noise", type=click.FloatRange(min=0), required=True, help="Read noise, electron.")
@click.option("--saturation", type=POSITIVE, help="Level at which a pixel is saturated, adu.")
@click.option("--flux", type=POSITIVE, required=True, help="Light of the target in the aperture, electron/s.")
@click.option("--sky", type=click.FloatRange(min=0), required=True, help="Light of the sky in a pixel, electron/s.")
@click.option("--dark-current", type=click.FloatRange(min=0), default=0.0, help="In a pixel, electron/s.")
@click.option("--fwhm", type=POSITIVE, default=4.0, show_default=True, help="Width of a star at half maximum, pixels.")
@click.option("--aperture", type=POSITIVE, metavar="PIXELS", help="Radius of the aperture.  [default: the FWHM]")
@click.option("--flat-level", type=POSITIVE, required=True, help="Light in a pixel of one flat, adu.")
@click.option("--lamp-time", type=click.FloatRange(min=0), default=5.0, show_default=True, help="Of one flat, s.")
@click.option(
    "--read-out-time", type=click.FloatRange(min=0), default=10.0, show_default=True, help="Of each frame, s."
)
@click.option("--exposure", type=POSITIVE, help="Of each science frame, s.  [default: the shortest that is as good]")
@click.option("--dark-exposure", type=POSITIVE, help="Of each dark, s.  [default: that of the science frames]")
@click.option("--time", type=POSITIVE, help="Telescope time for the frames whose numbers are not given, min.")
@click.option("--science", type=NUMBER, help="Number of science frames, if they are there.")
@click.option("--biases", type=NUMBER, help="Number of biases, likewise.")
@click.option("--darks", type=NUMBER, help="Number of darks, likewise.")
@click.option("--flats", type=NUMBER, help="Number of flats, likewise.")
@click.option("-o", "--out", type=PATH, help="Draw the SNR against the numbers of frames into this file, as PNG.")
@OVERWRITE
def advise(
    gain: float,
    read_noise: float,
    saturation: float | None,
    flux: float,
    sky: float,
    dark_current: float,
    fwhm: float,
    aperture: float | None,
    flat_level: float,
    lamp_time: float,
    read_out_time: float,
    exposure: float | None,
    dark_exposure: float | None,
    time: float | None,
    science: int | None,
    biases: int | None,
    darks: int | None,
    flats: int | None,
    out: Path | None,
    overwrite: bool,
) -> None:
    """
    Say how many calibration frames to take, and how long to expose.

    Frames whose numbers are given are there already. All others share the telescope time so that the signal-to-noise
    ratio of the target is best. A line for each kind of frame says: how many; the exposure of each (s); the time of all
    (min); the noise that they bring to the flux (electron), and its share of the variance (%); by how much the SNR
    grows with one more minute of them (% / min); and the SNR with as many of them as one could wish.
    """
    with _clear_errors():
        import astropy.units as u

        from astro_calib.characterize import plan_calibration
        from astro_calib.detector.detector import Detector
        from astro_calib.io.atomic import write_atomically
        from astro_calib.report.pictures import rendered

        if out is not None:
            _check_writable(out, overwrite)
        rate = u.electron / u.s
        level = None if saturation is None else saturation * u.adu
        detector = Detector(gain=gain * u.electron / u.adu, read_noise=read_noise * u.electron, saturation=level)
        plan = plan_calibration(
            detector,
            flux=flux * rate,
            sky=sky * rate,
            dark_current=dark_current * rate,
            fwhm=fwhm,
            radius=aperture,
            flat_level=flat_level * u.adu,
            lamp_time=lamp_time * u.s,
            read_out_time=read_out_time * u.s,
            exposure=None if exposure is None else exposure * u.s,
            dark_exposure=None if dark_exposure is None else dark_exposure * u.s,
            time=None if time is None else time * u.min,
            science=science,
            biases=biases,
            darks=darks,
            flats=flats,
        )
        _show(plan)
        if out is not None:
            picture = rendered(plan.plot())
            write_atomically(out, lambda path: path.write_bytes(picture))


def _check_writable(out: Path, overwrite: bool) -> None:
    """Say what is wrong with a path before the work begins, not after."""
    from tempfile import TemporaryFile

    if out.is_dir():
        msg = f"{out} is a directory; give the name of a file."
        raise IsADirectoryError(msg)
    if out.exists() and not overwrite:
        msg = f"{out} exists already; give another file, or --overwrite to replace it."
        raise FileExistsError(msg)
    if not out.parent.is_dir():
        msg = f"{out.parent} is not a directory; make it first."
        raise NotADirectoryError(msg)
    try:
        with TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        msg = f"no file can be made in {out.parent}: {error.strerror}; give another place."
        raise OSError(msg) from error


@main.command(epilog=_example("ptc raw/", "ptc flats/ biases/ -o curve.png", "ptc raw/ --filter V --json"))
@click.argument("raw", nargs=-1, required=True, type=PATH)
@click.option(
    "-p",
    "--profile",
    default="generic",
    show_default=True,
    help="Instrument profile, as for reduce: says what is a flat.",
)
@click.option("--unit", help="adu: the raw frames are in adu, whatever their BUNIT says.")
@click.option("--filter", "only", help="Use the flats of this filter only.  [default: each filter by itself]")
@click.option(
    "--section",
    "sections",
    multiple=True,
    metavar="SECTION",
    help="Pixels of an amplifier, such as '[1:512,1:1024]'; may be given again.  [default: the headers' data section]",
)
@click.option("--json", "as_json", is_flag=True, help="Print all numbers as JSON.")
@click.option("-o", "--out", type=PATH, help="Draw the curve with its fit into this file (PNG, PDF, SVG).")
@OVERWRITE
@QUIET
def ptc(
    raw: tuple[Path, ...],
    profile: str,
    unit: str | None,
    only: str | None,
    sections: tuple[str, ...],
    as_json: bool,
    out: Path | None,
    overwrite: bool,
    quiet: bool,
) -> None:
    """
    Measure gain, read noise and more from flats and biases: the photon transfer curve.

    RAW are FITS files, or directories of them; two flats through one filter and two biases are enough. Frames that
    differ from most in shape or settings are left out, and named. With --out and several filters each has a file, with
    the filter in its name.
    """
    with _clear_errors():
        import json

        from astro_calib.characterize import photon_transfer
        from astro_calib.io.atomic import write_atomically
        from astro_calib.night import plan_night

        # Neither number is used, but a plan wants them.
        plan = plan_night(raw, profile, unit=unit, gain=1.0, read_noise=1.0)
        flats = _flats_to_use(plan, only)
        pictures = _pictures(out, list(flats))
        for path in pictures.values():
            _check_writable(path, overwrite)
        biases = [_raw_frame(frame.path) for frame in plan.biases]
        chosen = sections or ((plan.trim,) if plan.trim else None)
        results = {}
        for name, frames in flats.items():
            lit = [_raw_frame(frame.path) for frame in frames]
            _check_one_setup([frame.path for frame in (*frames, *plan.biases)], [*lit, *biases])
            results[name] = photon_transfer(lit, biases, sections=chosen)
        for name, path in pictures.items():
            write_atomically(path, results[name].plot().savefig)
    if as_json:
        _show(json.dumps({name: result.to_dict() for name, result in results.items()}, indent=2))
    elif not quiet:
        for name, result in results.items():
            _show(f"filter {name or '-'}: {len(flats[name])} flats, {len(biases)} biases\n{result}")
    if not quiet:
        for file in plan.unused:
            click.echo(f"not used: {file}", err=True)


@main.command(
    epilog=_example(
        "audit raw/ --gain 1.5 --read-noise 8",
        "audit raw/ reduced/ -o audit.png -o audit.ecsv",
        "audit reduced/ --json",
    )
)
@click.argument("frames", nargs=-1, required=True, type=PATH)
@click.option(
    "-p", "--profile", default="generic", show_default=True, help="Instrument profile, as for reduce; for raw frames."
)
@click.option("--gain", type=float, help="Gain in electron/adu, instead of the profile's or the header's.")
@click.option("--read-noise", type=float, help="Read noise in electron, likewise.")
@click.option("--unit", help="adu: the raw frames are in adu, whatever their BUNIT says.")
@click.option("--filter", "only", help="Use the flats of this filter.  [default: the one with most of them]")
@click.option("--json", "as_json", is_flag=True, help="Print all numbers as JSON.")
@click.option(
    "-o",
    "--out",
    "outs",
    multiple=True,
    type=PATH,
    help="Write the table of faults (.ecsv) or draw the figure (PNG, PDF, SVG); may be given again.",
)
@OVERWRITE
@QUIET
def audit(
    frames: tuple[Path, ...],
    profile: str,
    gain: float | None,
    read_noise: float | None,
    unit: str | None,
    only: str | None,
    as_json: bool,
    outs: tuple[Path, ...],
    overwrite: bool,
    quiet: bool,
) -> None:
    """
    Find out whether the error bars of these frames are right, and if not, which fault it is.

    FRAMES are raw biases, darks and flats (FITS files, or directories of them), a directory that reduce wrote, or both.
    What the frames show is compared with what gain and read noise predict, and a sentence names each fault: a wrong
    gain or read noise, rows, tones, a level that drifts or is clamped, a wrong dark or flat; or those that these frames
    cannot tell apart, and the frame that would decide. The exit status is 1 if a fault was found.
    """
    with _clear_errors():
        import json

        from astro_calib.characterize import audit_noise
        from astro_calib.io.atomic import write_atomically
        from astro_calib.night.to_audit import frames_to_audit

        for path in outs:
            _check_writable(path, overwrite)
        given = frames_to_audit(frames, profile, unit=unit, gain=gain, read_noise=read_noise, filter_name=only)
        _check_one_setup(given.paths, given.raw)
        result = audit_noise(given.frames, given.detector, overscan=given.overscan, trim=given.trim)
        for path in outs:
            if path.suffix == ".ecsv":
                write_atomically(path, partial(result.write, overwrite=True))
            else:
                write_atomically(path, result.plot().savefig)
    if as_json:
        _show(json.dumps(result.to_dict(), indent=2))
    elif not quiet:
        _show(result)
    if not quiet:
        for file in given.left_out:
            click.echo(f"not used: {file}", err=True)
    if not result.right:
        msg = f"the error bars are not right:\n{result.verdict}"
        raise click.ClickException(msg)


def _flats_to_use(plan: Plan, only: str | None) -> dict[str, tuple[RawFrame, ...]]:
    """The flats by filter, of one filter if that is asked for, else of those that have two or more."""
    from astro_calib.errors import FrameError

    flats = plan.flats
    if only is not None:
        if only not in flats:
            msg = f"there are no flats through filter {only!r}; there are some through {', '.join(flats) or 'none'}."
            raise FrameError(msg)
        return {only: flats[only]}
    found = {name: frames for name, frames in flats.items() if len(frames) > 1}
    if not found or len(plan.biases) < 2:
        number = max((len(frames) for frames in flats.values()), default=0)
        msg = (
            "photon transfer needs two flats or more through one filter and two biases or more; "
            f"found: {number} and {len(plan.biases)}."
        )
        raise FrameError(msg)
    return found


def _check_one_setup(paths: list[Path], frames: list[CCDData]) -> None:
    """Refuse frames that were not taken with the same settings of one camera, as far as their headers tell."""
    from astro_calib.errors import FrameError

    for card in SETTINGS:
        files: dict[str, Path] = {}
        for path, frame in zip(paths, frames, strict=True):
            if card in frame.meta:
                files.setdefault(str(frame.meta[card]).strip(), path)
        if len(files) > 1:
            listed = ", ".join(f"{value} ({path.name})" for value, path in list(files.items())[:3])
            msg = f"the frames differ in {card}: {listed}; give frames of one setup, one run for each."
            raise FrameError(msg)


def _pictures(out: Path | None, names: list[str]) -> dict[str, Path]:
    """Which file the curve of each filter goes to."""
    if out is None:
        return {}
    if len(names) == 1:
        return {names[0]: out}
    from astro_calib.night.names import file_name

    return {name: out.with_name(f"{out.stem}-{file_name(name)}{out.suffix}") for name in names}


def _raw_frame(path: Path) -> CCDData:
    """A raw frame with its header, in adu."""
    from astropy.nddata import CCDData

    from astro_calib.night.raw_file import read_raw_file

    header, pixels = read_raw_file(path)
    return CCDData(pixels, unit="adu", meta=header)
