"""A piece of work of a night, one master or one science frame, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from astro_calib.errors import FrameError
    from astro_calib.night.common.frames import UnusedFile
    from astro_calib.night.summary.frame_summary import FrameSummary
    from astro_calib.night.summary.master_summary import MasterSummary

__all__ = ["BIAS", "DARK", "DARK_FOR", "FLAT", "LENT", "LIGHT", "SCIENCE", "Outcome", "Task"]

#: What there is to do: a master of raw frames, one that is borrowed, the dark for an exposure time, a look for light in
#: darks, a science frame.
BIAS, DARK, FLAT, LENT, DARK_FOR, LIGHT, SCIENCE = "bias", "dark", "flat", "lent", "dark for", "light", "science"


@dataclass(frozen=True, kw_only=True)
class Task:
    """
    One master, or one science frame.

    Parameters
    ----------
    name : str
        Its name, different for each of a night.
    kind : str
        What there is to do, such as ``BIAS``.
    setup : int
        Which of the setups of the night it is of.
    of : float, str or int
        Which of its kind: the exposure time of a dark, the key of a group of flats, the number of a borrowed master or
        of a science frame.
    file : str
        Under which name its result is written, without suffix; empty if there is none.
    needs : tuple of str
        The tasks that its result hangs on.
    after : tuple of str
        Tasks that have to be over before, on which the result hangs only if some of ``needs`` came to nothing.
    """

    name: str
    kind: str
    setup: int
    of: Any = None
    file: str = ""
    needs: tuple[str, ...] = ()
    after: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """
    What became of a task.

    Parameters
    ----------
    name : str
        The task's.
    summary : MasterSummary, FrameSummary or None
        What the summary says of what was made.
    failure : UnusedFile or None
        Why a science frame could not be reduced.
    unused : tuple of UnusedFile
        Frames of a master that are of no use.
    heard, said : tuple of str
        Remarks: the warnings that were heard, and what is to be said besides.
    files : tuple of str
        What was written, in the directory of the results.
    master : str
        Where the master is that serves from now on, in the directory of the results; empty if there is none.
    facts : dict
        What others have to know of the dark for an exposure time: its own time, and how it was made.
    error : FrameError or None
        Why nothing of the setup can be reduced.
    passing : bool
        Whether something had a part in it that another run may find well, such as a disk that failed.
    """

    name: str
    summary: MasterSummary | FrameSummary | None = None
    failure: UnusedFile | None = None
    unused: tuple[UnusedFile, ...] = ()
    heard: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    master: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    error: FrameError | None = None
    passing: bool = False
