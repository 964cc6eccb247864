"""The steps of a setup beside the usual: their files, read once, and what they are for `astro_calib.calibrate`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from astro_calib.errors import FrameError
from astro_calib.night.common.names import for_filter
from astro_calib.night.profiles.steps import FILES, OF_FILTERS

if TYPE_CHECKING:
    from pathlib import Path

    from astro_calib.frame.frame import CCDFrame
    from astro_calib.night.common.frames import RawFrame
    from astro_calib.night.profiles.steps import Steps

__all__ = ["ExtraSteps"]


class ExtraSteps:
    """
    The steps that a profile or options ask for.

    Their files are read when they are first needed; one that cannot be is a FrameError that names it.
    """

    def __init__(self, steps: Steps) -> None:
        self.steps = steps
        self._read: dict[Path, Any] = {}

    def read(self) -> None:
        """Read all files, so that one that cannot be read costs no time."""
        for name in self.steps.names:
            value = getattr(self.steps, name)
            if name == "crosstalk":
                self._crosstalk(value)
            elif name in FILES:
                for path in value.values() if name in OF_FILTERS else (value,):
                    self._master(path)

    def options(self, frame: RawFrame, *, with_dark: bool) -> dict[str, Any]:
        """Return the arguments of `astro_calib.calibrate` for a frame; ``with_dark`` says whether it gets a dark."""
        steps = self.steps
        found: dict[str, Any] = {}
        if steps.crosstalk is not None:
            found["crosstalk"] = self._crosstalk(steps.crosstalk)
        if steps.shutter is not None and frame.kind in ("flat", "science"):
            found["shutter"] = self._master(steps.shutter)
        if frame.kind != "science":
            return found
        if steps.dark_amplitude is not None and with_dark:
            found["dark_amplitude"] = steps.dark_amplitude
        for name, files in (("illumination", steps.illumination), ("fringe", steps.fringe)):
            path = files.get(frame.filter, files.get("*"))
            if path is not None:
                found[name] = self._master(path)
        if steps.sky is not None:
            found["sky"] = steps.sky
        if steps.cosmic_rays in ("repair", "mask"):
            found["cosmic_rays"] = True if steps.cosmic_rays == "repair" else "mask"
        return found

    def remarks(self, science: tuple[RawFrame, ...]) -> list[str]:
        """Say for which filters there is no file of a step that has some for others."""
        said = []
        for name, files in (("illumination", self.steps.illumination), ("fringe", self.steps.fringe)):
            without = sorted({frame.filter for frame in science} - set(files)) if files and "*" not in files else []
            said += [f"no {name} is given for {for_filter(one)}: its frames are reduced without" for one in without]
        return said

    def finished(self, image: CCDFrame) -> CCDFrame:
        """Return a calibrated frame, or the frame that it is compared with, with its pixels added up."""
        if self.steps.bin is None:
            return image
        from astro_calib.steps.binning import block_sum

        return block_sum(image, self.steps.bin)

    def _master(self, path: Path) -> CCDFrame:
        from astro_calib.frame.frame import CCDFrame

        if path not in self._read:
            try:
                self._read[path] = CCDFrame.read(path)
            except OSError as error:
                msg = f"{path} cannot be read: {error.strerror or error}; it is asked for by [steps] of the profile."
                raise FrameError(msg) from error
        found: CCDFrame = self._read[path]
        return found

    def _crosstalk(self, path: Path) -> Any:
        from astro_calib.detector.crosstalk import Crosstalk

        if path not in self._read:
            try:
                self._read[path] = Crosstalk.read(path)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or error
                msg = f"{path} cannot be read: {reason}; it is asked for by [steps] of the profile."
                raise FrameError(msg) from error
        return self._read[path]
