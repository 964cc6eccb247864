"""What a reduction made of a night, in numbers and as text."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from astro_calib.arguments import printable
from astro_calib.night.common.names import called
from astro_calib.night.common.output import SUMMARY
from astro_calib.night.common.remarks import parted, remark_lines
from astro_calib.night.common.text import columns, glued, number_text, paragraph
from astro_calib.night.summary.detector_text import number_lines
from astro_calib.night.summary.frame_tables import frame_lines, short_frame_lines
from astro_calib.night.summary.plain import plain, plain_setup, plain_unused
from astro_calib.night.summary.sky_doubt import sky_doubt
from astro_calib.night.summary.sky_level import doubts_of_level
from astro_calib.night.summary.unused_text import lost_lines, reason_lines
from astro_calib.report.page import REPORT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from astro_calib.night.common.frames import UnusedFile
    from astro_calib.night.plan.night_plan import NightPlan
    from astro_calib.night.plan.plan import Plan
    from astro_calib.night.summary.frame_summary import FrameSummary
    from astro_calib.night.summary.master_summary import MasterSummary

__all__ = ["NightSummary"]

#: No line of the summary is longer, but for long words.
WIDEST = 120


@dataclass(frozen=True, kw_only=True)
class NightSummary:
    """
    What a reduction made of a night. Its ``str`` is the text of ``summary.txt``.

    Parameters
    ----------
    out : Path
        The directory of the results.
    plan : NightPlan
        What there was to reduce.
    masters : tuple of MasterSummary
        The masters.
    frames : tuple of FrameSummary
        The calibrated science frames.
    failures : tuple of UnusedFile
        The science frames that could not be calibrated, and why.
    unused : tuple of UnusedFile
        All other files that are not used, and why.
    remarks : tuple of str
        What should be known about the results.
    seconds : float
        How long it took.
    pictures : bool
        Whether pictures were drawn.
    aperture : float or None
        Radius of the apertures on all frames, in pixels; None if it follows the width of each frame's stars.
    made : dict
        How it was made: ``versions``, ``parameters``, the ``command`` and when it was ``finished``.
    report : bool
        Whether the page for the browser was made.
    complete : (int, int)
        How many of the masters, and of the science frames, an earlier run had made that was interrupted.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from astro_calib import reduce_night, simulate
    >>> camera = simulate.camera((96, 128), seed=1, filters=["V"])
    >>> with TemporaryDirectory() as directory:
    ...     taken = simulate.night(
    ...         f"{directory}/raw", seed=1, camera=camera, science=1
    ...     )
    ...     summary = reduce_night(
    ...         f"{directory}/raw",
    ...         f"{directory}/reduced",
    ...         pictures=False,
    ...         progress=False,
    ...     )
    >>> [(master.title, master.number) for master in summary.masters]
    [('master bias', 10), ('master dark, 120 s', 10), ('master flat, V', 5)]
    >>> len(summary.frames), len(summary.failures), len(summary.unused)
    (1, 0, 0)
    """

    out: Path
    plan: NightPlan
    masters: tuple[MasterSummary, ...]
    frames: tuple[FrameSummary, ...]
    failures: tuple[UnusedFile, ...] = ()
    unused: tuple[UnusedFile, ...] = ()
    remarks: tuple[str, ...] = ()
    seconds: float = 0.0
    pictures: bool = True
    aperture: float | None = None
    made: Mapping[str, Any] = field(default_factory=dict)
    report: bool = True
    complete: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        return self.text()

    @property
    def lost(self) -> tuple[UnusedFile, ...]:
        """The science frames that are not among the results, and files that cannot be read and may be some."""
        return (*self.failures, *(file for file in self.unused if file.lost))

    @property
    def outcome(self) -> str:
        """
        How far the night was reduced.

        Returns
        -------
        {"all", "part", "nothing"}
            ``"part"`` if something is lost; ``"nothing"`` if there is no science frame among the results although there
            was one in the night.
        """
        if not self.lost:
            return "all"
        return "part" if self.frames or not any(file.kind == "science" for file in self.lost) else "nothing"

    @property
    def resumed(self) -> str:
        """
        What was complete already, as an earlier run had made it that was interrupted.

        Returns
        -------
        str
            One sentence; empty if nothing was.
        """
        masters, frames = self.complete
        if not any(self.complete):
            return ""
        all_frames = len(self.frames) + len(self.failures)
        made = f"{frames} of {all_frames} science frames and {masters} of {len(self.masters)} masters"
        return f"{made} were complete already, from an earlier run"

    @property
    def attention(self) -> tuple[str, ...]:
        """What has to be read before the results are used: contradicting numbers, odd flats, a sky below zero."""
        return tuple(alarm for setup in self.plan.setups for alarm in self._alarms(setup))

    @property
    def called(self) -> dict[Path, str]:
        """What the raw files are called: their names, with their folders where several have the same."""
        return called([frame.path for frame in self.plan.frames] + [file.path for file in self.unused])

    def _alarms(self, setup: Plan) -> list[str]:
        of_setup = f"{setup.title}: " if setup.title else ""
        frames = [frame for frame in self.frames if frame.setup == setup.name]
        by_darks = setup.bias_in_darks and setup.profile.pedestal is None
        skies = [(frame.sky, frame.shares) for frame in frames]
        doubt = sky_doubt(setup.numbers, skies, bias_in_darks=by_darks)
        masters = [master.alarm for master in self.masters if master.setup == setup.name]
        alarms = [*(number.alarm for number in setup.numbers), doubt, *masters, *doubts_of_level(frames)]
        return [f"{of_setup}{alarm}" for alarm in alarms if alarm]

    def to_dict(self) -> dict[str, Any]:
        """
        Return all that the summary says, and more, as JSON can hold it.

        Returns
        -------
        dict
            Paths are text, numbers that are not known are None.
        """
        return {
            "outcome": self.outcome,
            "out": str(self.out),
            "seconds": self.seconds,
            "aperture": self.aperture,
            "attention": list(self.attention),
            "remarks": [{"text": text, "files": list(names)} for text, names in map(parted, self.remarks)],
            "setups": [plain_setup(setup) for setup in self.plan.setups],
            "masters": plain(self.masters),
            "science": plain(self.frames),
            "lost": plain_unused(self.lost),
            "made": plain(self.made),
            "not_used": plain_unused(file for file in self.unused if not file.lost),
        }

    def text(self, width: int = WIDEST, *, short: bool = False) -> str:
        """
        Say what was made, beginning with what went wrong.

        Parameters
        ----------
        width : int
            No line is longer, but for words that are.
        short : bool
            Whether to leave out what is not needed at first sight.

        Returns
        -------
        str
            Several lines.
        """
        parts = [
            *self._first(width, short),
            *(lines for setup in self.plan.setups for lines in self._setup(setup, width, short)),
            ["masters (in electron)", *self._master_lines(width, short)] if self.masters else [],
            self._science(width, short),
            [] if short else self._titled("not used", [file for file in self.unused if not file.lost], width),
            self._places(width, short),
        ]
        # Names of files may hold commands to a terminal, and bytes that are no text.
        return "\n\n".join("\n".join(map(printable, lines)) for lines in parts if lines)

    def _first(self, width: int, short: bool) -> list[list[str]]:
        """What went wrong, and what should be known."""
        attention = [line for text in self.attention for line in paragraph(text, width, following=4 * " ")]
        remarks = [line for remark in self.remarks for line in remark_lines(remark, width, short=short)]
        lost = lost_lines(self.lost, len(self.frames), self.called, width)
        return [
            ["ATTENTION", *attention] if attention else [],
            [f"FAILED: {lost[0]}", *lost[1:]] if lost else [],
            self._made(width),
            ["remarks", *remarks] if remarks else [],
        ]

    def _made(self, width: int) -> list[str]:
        setups = self.plan.setups
        several = f"{len(self.plan.frames)} raw frames of {len(setups)} setups"
        masters, frames = len(self.masters), len(self.frames)
        made = f"{masters} master{'s' * (masters != 1)} and {frames} science frame{'s' * (frames != 1)}"
        made += f" in {self.seconds:.1f} s"
        where = f"{made}, written to {glued(str(self.out))}"
        lines = [setups[0].heading() if len(setups) == 1 else several, where, self.resumed]
        return [part for line in lines if line for part in paragraph(line, width, "")]

    def _setup(self, setup: Plan, width: int, short: bool) -> list[list[str]]:
        """The raw frames of one setup of the camera, and what is known of its detector."""
        title = paragraph(setup.heading(), width, "") if len(self.plan.setups) > 1 else ["raw frames"]
        own = ["each frame's read noise is that of its own overscan"] if setup.image_excess is not None else []
        facts = [line for fact in (*setup.facts(), *own) for line in paragraph(fact, width, following=4 * " ")]
        if steps := setup.profile.steps.words():
            facts += paragraph(f"steps beside the usual: {'; '.join(steps)}", width, following=4 * " ")
        return [
            [*title, *setup.kinds(width), *facts],
            [] if short else number_lines(setup.numbers, width),
        ]

    def _master_lines(self, width: int, short: bool) -> list[str]:
        rows: list[tuple[str, ...]] = [("file", "frames", "median", "sigma", "noise /\npredicted", "rejected")]
        for master in self.masters:
            numbers = (
                f"{master.level:.5g}",
                number_text(master.sigma, ".3g"),
                number_text(master.noise_ratio, ".3f"),
                number_text(master.rejected, ".2%"),
            )
            rows.append((glued(master.path.name), str(master.number or "-"), *numbers))
        if short:
            rows = [(*row[:3], *row[4:]) for row in rows]
        return columns(rows, "<" + ">" * (len(rows[0]) - 1), width)

    def _science(self, width: int, short: bool) -> list[str]:
        if not self.frames:
            return []
        return short_frame_lines(self.frames, width) if short else frame_lines(self.frames, self.aperture, width)

    def _titled(self, title: str, files: Sequence[UnusedFile], width: int) -> list[str]:
        return [f"{title} ({len(files)})", *reason_lines(files, self.called, width)] if files else []

    def _places(self, width: int, short: bool) -> list[str]:
        """Where the results are."""
        if short:
            return paragraph(f"more in {glued(str(self.out / SUMMARY))} (-v prints it)", width, "")
        places = [("masters", "masters")]
        if self.frames:
            places.append(("calibrated frames", "calibrated"))
        if any(frame.table is not None for frame in self.frames):
            places.append(("star tables", "tables"))
        if self.pictures:
            places.append(("pictures", "pictures"))
        if self.report:
            places.append(("report", REPORT))
        places.append(("this summary", SUMMARY))
        rows = [(what, glued(str(self.out / where))) for what, where in places]
        return ["results", *columns(rows, "<<", width)]
