"""``astro-calib advise``: how many calibration frames to take, and how long to expose."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from astro_calib.cli.options import NUMBER, OVERWRITE, PATH, POSITIVE, example
from astro_calib.cli.output import check_writable, clear_errors, show

if TYPE_CHECKING:
    from pathlib import Path


@click.command(
    "advise",
    epilog=example(
        "advise --gain 1.5 --read-noise 8 --flux 200 --sky 5 \\\n      --dark-current 0.1 --flat-level 20000 --time 60",
        "advise --gain 1.5 --read-noise 8 --flux 200 --sky 5 \\\n"
        "      --flat-level 20000 --exposure 60 --science 20 --time 20",
    ),
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
def command(
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
    with clear_errors():
        import astropy.units as u

        from astro_calib.characterize import plan_calibration
        from astro_calib.detector.detector import Detector
        from astro_calib.io.atomic import write_atomically
        from astro_calib.report.pictures import rendered

        if out is not None:
            check_writable(out, overwrite)
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
        show(plan)
        if out is not None:
            picture = rendered(plan.plot())
            write_atomically(out, lambda path: path.write_bytes(picture))
