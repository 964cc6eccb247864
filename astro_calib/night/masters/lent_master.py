"""A master of another night, read and made ready for this one: in its electrons, with what is known of its noise."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import astropy.units as u
import numpy as np
from astropy.nddata import CCDData, VarianceUncertainty

from astro_calib.arguments import printable
from astro_calib.errors import FrameError
from astro_calib.frame.frame import CCDFrame
from astro_calib.frame.rebuild import usable
from astro_calib.masters.provenance import record
from astro_calib.night.common.frames import UnusedFile, by_reason
from astro_calib.night.common.net import tried
from astro_calib.night.common.remarks import Remark, heard_of_file
from astro_calib.night.library.loan import LENT
from astro_calib.stack.levels import finite_median

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from astro_calib.detector.detector import Detector
    from astro_calib.night.library.loan import Borrowed
    from astro_calib.night.library.master_file import MasterFile
    from astro_calib.night.plan.plan import Plan

__all__ = ["Borrower", "borrowed_master", "lent_master", "lent_pedestal"]

#: Gains of two nights that differ by more than this part are not those of one camera in one setup.
SAME_GAIN = 0.05
#: Those that differ by less than this part are the same, as far as files tell them.
WRITTEN = 1e-5
#: A flat of a lower level is normalised, and its level says nothing of the light in it.
COUNTS = 100.0
#: A level of fewer of its pixels' standard deviations than this is no pedestal.
PEDESTAL = 5.0
#: So many pixels tell how they scatter.
PIXELS = 1_000_000
#: The noise of a master is no larger than the scatter of its pixels, but for the error of that scatter.
SCATTER = 1.1


class Borrower(NamedTuple):
    """
    What a borrowed master is made ready for: the frames of one setup.

    Attributes
    ----------
    detector : Detector
        With which these frames are calibrated.
    shape : (int, int)
        Rows and columns of the raw frames.
    overscan, trim : str or None
        Their sections.
    bias_in_darks : bool
        Whether they get no bias but that which is in their darks.
    pedestal : float
        The level that is subtracted from them, in adu; 0 for none.
    """

    detector: Detector
    shape: tuple[int, int]
    overscan: str | None
    trim: str | None
    bias_in_darks: bool = False
    pedestal: float = 0.0

    @property
    def gain(self) -> float:
        """In electron/adu."""
        return float(self.detector.amplifiers[0].gain.value)

    @property
    def read_noise(self) -> float:
        """In electron."""
        noise = self.detector.amplifiers[0].read_noise
        return 0.0 if noise is None else float(noise.value)


def borrowed_master(
    plan: Plan, one: Borrowed, bias: CCDFrame | None = None
) -> tuple[CCDFrame | None, tuple[UnusedFile, ...], tuple[str, ...]]:
    """Return a master that a plan has borrowed, None if it cannot be used; that it is not used; and what is said."""
    borrower = Borrower(
        plan.camera, plan.frames[0].shape, plan.overscan, plan.trim, plan.bias_in_darks, plan.pedestal or 0.0
    )
    outcome = tried(one.master.path, one.master.kind, partial(lent_master, one, borrower, bias))
    if isinstance(outcome, UnusedFile):
        reason = f"the {one.title} of the library cannot be used: {outcome.reason}"
        return None, (replace(outcome, reason=reason),), (Remark(reason, [one.master.path.name]),)
    frame, said = outcome
    return frame, (), tuple(said)


def lent_pedestal(plan: Plan) -> float | None:
    """
    Return the level of zero light in adu by a plan, or else by a borrowed dark that holds its bias; None without one.

    Another program's dark tells it but for its dark current. A FrameError says why none of them tells it.
    """
    if plan.pedestal is not None or not plan.bias_in_darks or plan.darks:
        return plan.pedestal
    files = [one.master for one in plan.loan.of_kind("dark") if one.master.may_hold_bias]
    gain = float(plan.camera.amplifiers[0].gain.value)
    told = [tried(file.path, "dark", partial(_level_of_zero, file, gain)) for file in files]
    level = next((one for one in told if not isinstance(one, UnusedFile)), None)
    if files and level is None:
        reasons = "".join(f"\n  {line}" for line in by_reason(one for one in told if isinstance(one, UnusedFile)))
        msg = (
            "there are neither biases nor an overscan, and no borrowed dark tells the level of zero light; give "
            f"biases, a master bias with --masters, or --pedestal:{reasons}"
        )
        raise FrameError(msg)
    return level


def _level_of_zero(file: MasterFile, gain: float) -> float:
    """The level in adu of a dark that holds its bias; a FrameError if it does not."""
    if file.ours:
        return file.pedestal
    with heard_of_file(file.path.name):
        frame = CCDFrame.read(file.path, unit="electron" if file.unit == "electron" else "adu")
    level = finite_median(frame.pixels[usable(frame)])
    if not level > PEDESTAL * _scatter(frame):
        msg = f"it has a level of {level:.4g} {file.unit}: its bias was subtracted already"
        raise FrameError(msg)
    return level if frame.unit == u.adu else level / gain


def lent_master(one: Borrowed, borrower: Borrower, bias: CCDFrame | None = None) -> tuple[CCDFrame, list[str]]:
    """
    Return a borrowed master in electrons, and what is to be said of it.

    ``bias`` is the bias that the frames of the night get; a dark that holds its own is freed from it. A FrameError says
    why the master cannot be used.
    """
    file, remarks = one.master, list[str]()
    with heard_of_file(file.path.name):
        frame = CCDFrame.read(file.path, unit="electron" if file.unit == "electron" else "adu")
    if not np.isfinite(frame.pixels).any():
        msg = f"{file.path.name} holds no finite number"
        raise FrameError(msg)
    if file.ours:
        frame = _in_electrons(frame, file, borrower, remarks)
        frame = _freed_from_bias(frame, file, borrower, bias, holds_bias=file.holds_bias)
    else:
        frame = _foreign(frame, file, borrower, bias, remarks)
    if file.kind == "dark":
        frame.meta["EXPTIME"] = file.exposure_time
    record(frame, LENT, parameters={"kind": file.kind, "file": printable(file.path.name), "age": one.age})
    return frame, [printable(f"{file.path.name}: {remark}") for remark in remarks]


def _foreign(
    frame: CCDFrame, file: MasterFile, borrower: Borrower, bias: CCDFrame | None, remarks: list[str]
) -> CCDFrame:
    """A master that another program has made, in electrons."""
    from astro_calib.steps.header import forget_sections
    from astro_calib.steps.trim import trim_image

    if borrower.trim is not None and frame.shape == borrower.shape:
        frame = trim_image(frame, borrower.trim)
    else:
        forget_sections(frame.meta)
    level, scatter = finite_median(frame.pixels[usable(frame)]), _scatter(frame)
    if (
        file.kind != "flat"
        and frame.dtype.kind == "f"
        and np.nanmin(frame.pixels) >= 0
        and np.nanmax(frame.pixels) <= 1
    ):
        msg = (
            f"{file.path.name} holds numbers between 0 and 1: they were divided by the range of the camera, as "
            "PixInsight does; write it in adu, as whole numbers of 16 bits"
        )
        raise FrameError(msg)
    holds_bias = file.kind == "dark" and _holds_bias(level, scatter, file, borrower, bias)
    if holds_bias and borrower.bias_in_darks:
        remarks.append(
            "there is no bias, and its level is taken for that of zero light: the noise of the dark current is left out"
        )
    if file.kind == "bias":
        _check_pedestal(level, scatter, file, borrower)
    if file.kind == "flat" and level >= COUNTS and not file.subtracted:
        remarks.append(
            "nothing in its header says that its bias was subtracted: it counts as subtracted; if it was not, subtract "
            "it before, or give the raw flats"
        )
    frame = _with_noise(frame, file, borrower, scatter, _signal(frame, file, borrower, bias, holds_bias), remarks)
    if file.kind == "flat" and level < COUNTS:
        return frame.replace(frame.pixels, frame.known_budget, unit=u.dimensionless_unscaled)
    frame = _in_electrons(frame, file, borrower, remarks)
    return _freed_from_bias(frame, file, borrower, bias, holds_bias=holds_bias)


def _in_electrons(frame: CCDFrame, file: MasterFile, borrower: Borrower, remarks: list[str]) -> CCDFrame:
    """The master in electrons of the gain that the night's frames are multiplied with."""
    from astro_calib.steps.gain import gain_correct

    if frame.unit == u.adu:
        return gain_correct(frame, borrower.detector)
    if file.kind == "flat":
        return frame
    if not file.gain:
        remarks.append(f"it is in electron, of which gain is not known: {borrower.gain:.4g} electron/adu is taken")
        return frame
    own = [float(one.gain.value) for one in borrower.detector.amplifiers]
    if len(file.gain) != 1 or len(own) != 1:
        same = len(own) == len(file.gain)
        if not same or any(abs(one / other - 1) > SAME_GAIN for one, other in zip(own, file.gain, strict=True)):
            theirs, ours = (", ".join(f"{gain:.4g}" for gain in gains) for gains in (file.gain, own))
            remarks.append(
                f"it was made with gains of {theirs} electron/adu, and this night's are {ours}: it is not converted; "
                "state the right ones in [[amplifiers]] of a profile for both nights"
            )
        return frame
    ratio = borrower.gain / file.gain[0]
    if abs(ratio - 1) > SAME_GAIN:
        remarks.append(
            f"it was made with a gain of {file.gain[0]:.4g} electron/adu, and this night's is {borrower.gain:.4g}: it "
            "is converted, but one of the two is wrong; give the right one with --gain"
        )
    return frame if abs(ratio - 1) < WRITTEN else frame.multiply(ratio)


def _freed_from_bias(
    frame: CCDFrame, file: MasterFile, borrower: Borrower, bias: CCDFrame | None, *, holds_bias: bool
) -> CCDFrame:
    """A dark without the bias that is in it, unless the frames need it there."""
    from astro_calib.steps.bias import subtract_bias

    if file.kind == "dark" and borrower.bias_in_darks and not holds_bias and not borrower.pedestal:
        msg = f"the bias of {file.path.name} was subtracted, and there is none for the frames; add one to the library"
        raise FrameError(msg)
    if not holds_bias:
        return frame
    level = file.pedestal - (borrower.pedestal if borrower.bias_in_darks else 0.0)
    if level:
        frame = frame.add(level * borrower.gain * frame.unit)
    if borrower.bias_in_darks:
        return frame
    if bias is None:
        msg = f"{file.path.name} holds its bias, and there is none to subtract; add a master bias to the library"
        raise FrameError(msg)
    return subtract_bias(frame, bias)


def _check_pedestal(level: float, scatter: float, file: MasterFile, borrower: Borrower) -> None:
    """Refuse a bias that holds the pedestal although the frames have an overscan, and the other way round."""
    pedestal = abs(level) > PEDESTAL * scatter
    said = f"{file.path.name} has a level of {level:.4g} {file.unit}"
    if pedestal and borrower.overscan is not None:
        msg = f"{said}: it holds the pedestal, which is subtracted from the frames of the night by their overscan"
        raise FrameError(msg)
    if not pedestal and borrower.overscan is None:
        msg = f"{said}: its pedestal was subtracted, and the frames of the night have no overscan that tells theirs"
        raise FrameError(msg)


def _holds_bias(level: float, scatter: float, file: MasterFile, borrower: Borrower, bias: CCDFrame | None) -> bool:
    """Whether a dark holds its bias, as its level says."""
    if borrower.overscan is not None:
        if level > PEDESTAL * scatter and not file.subtracted:
            msg = (
                f"{file.path.name} has a level of {level:.4g} {file.unit}: it seems to hold the pedestal, which is "
                "subtracted from the frames of the night by their overscan"
            )
            raise FrameError(msg)
        return False
    if bias is None:
        return level > PEDESTAL * scatter and not file.subtracted
    of_bias = finite_median(bias.pixels[usable(bias)]) / (borrower.gain if file.unit == "adu" else 1)
    return abs(level - of_bias) < abs(level)


def _signal(
    frame: CCDFrame, file: MasterFile, borrower: Borrower, bias: CCDFrame | None, holds_bias: bool
) -> NDArray[np.floating] | float:
    """The electrons whose shot noise is in a master, for each of its frames; NaN if it does not tell."""
    if file.kind == "bias":
        return 0.0
    electrons = frame.pixels * (borrower.gain if frame.unit == u.adu else 1.0)
    if holds_bias:
        electrons = electrons - (borrower.pedestal * borrower.gain if bias is None else bias.pixels)
    if file.kind == "flat" and finite_median(frame.pixels[usable(frame)]) < COUNTS:
        return np.nan
    return np.maximum(electrons, 0)


def _with_noise(
    frame: CCDFrame,
    file: MasterFile,
    borrower: Borrower,
    scatter: float,
    signal: NDArray[np.floating] | float,
    remarks: list[str],
) -> CCDFrame:
    """The master with the noise that its file states, or else that of a mean of so many frames; else as exact."""
    doubt = ""
    if frame.variance is not None:
        stated = float(np.sqrt(finite_median(frame.variance[usable(frame)])))
        if not stated > SCATTER * scatter:
            return frame
        doubt = f"the {stated:.3g} {frame.unit} that the file states cannot be right, and "
    most = "" if file.kind == "flat" else f", but at most the scatter of its pixels, {scatter:.3g} {frame.unit}"
    variance = None
    if not file.number:
        remarks.append(
            f"its noise is not known{most}: {doubt}nothing says how many frames it is of. It counts as exact"
        )
    elif not np.isfinite(signal).all():
        remarks.append(
            f"its noise is not known: {doubt}nothing says how much light was in its frames. It counts as exact"
        )
    else:
        scale = borrower.gain if frame.unit == u.adu else 1.0
        variance = (borrower.read_noise**2 + signal) / (file.number * scale**2)
        remarks.append(f"its noise is taken to be that of a mean of {file.number} frames")
    plain = CCDData(
        frame.pixels,
        unit=frame.unit,
        uncertainty=None if variance is None else VarianceUncertainty(_as(frame, variance)),
        mask=frame.mask,
        meta=frame.meta,
        wcs=frame.wcs,
    )
    result = CCDFrame(plain, name=frame.name)
    result.flags = frame.flags
    return result


def _as(frame: CCDFrame, variance: NDArray[np.floating] | float) -> NDArray[np.floating]:
    return np.array(np.broadcast_to(variance, frame.shape), dtype=frame.dtype if frame.dtype.kind == "f" else None)


def _scatter(frame: CCDFrame) -> float:
    """The standard deviation of a pixel, from differences of neighbours without outliers."""
    from astropy.stats import mad_std

    # Some of the rows tell it well enough.
    every = max(1, frame.size // PIXELS)
    data = np.where(usable(frame)[::every], frame.pixels[::every], np.nan)
    return float(mad_std(np.diff(data, axis=1), ignore_nan=True) / np.sqrt(2))
